//! What a read does with a record that it cannot use, and with a store that does not answer.

use larder_base::CacheKey;
use larder_near::Entry;
use serde::{Serialize, de::DeserializeOwned};

use super::{Acquire, Acquired, Step};
use crate::{
    Error,
    core::{Core, is_out_of_memory, is_unknown_outcome, is_wrong_type},
    found::{Lookup, Tier},
    open::{Unusable, span},
    script::{Lease, Mode, Token},
    settings::OnStoreDown,
    stats::Count,
};

/// How often a request for a lease whose answer was not seen is repeated: the store's own deadline has passed each time.
const ATTEMPTS: u32 = 3;

/// How often a damaged record or a key of a wrong type is removed in one read, before the read does without the store.
const REPAIRS: u32 = 3;

impl<K, V> Acquire<'_, K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// A record that cannot be used.
    pub(super) async fn unusable(&mut self, unusable: Unusable) -> Result<Step<K, V>, Error> {
        self.repairs += 1;
        if self.repairs > REPAIRS {
            return Ok(Step::Done(Acquired::load_only()));
        }
        match unusable {
            Unusable::Newer => Ok(Step::Done(Acquired::load_only())),
            // Another overwrites it already.
            Unusable::Older if self.mode == Mode::Early => Ok(Step::Done(Acquired::load_only())),
            Unusable::Older => {
                self.mode = Mode::Early;
                Ok(Step::Again)
            }
            Unusable::Corrupt => match self.core.discard(self.key, self.place).await {
                Ok(()) => Ok(Step::Again),
                Err(error) => self.core.store_down(self.key, error).map(Step::Done),
            },
        }
    }

    /// The store did not answer, or with an error (protocol 1.3).
    pub(super) async fn failed(&mut self, error: Error, token: Token) -> Result<Step<K, V>, Error> {
        if is_wrong_type(&error) && self.repairs < REPAIRS {
            self.repairs += 1;
            return match self.core.heal(&self.place.keys).await {
                Ok(()) => Ok(Step::Again),
                Err(error) => self.core.store_down(self.key, error).map(Step::Done),
            };
        }
        if is_out_of_memory(&error) {
            return self.peek_instead().await.map(Step::Done);
        }
        self.attempts += 1;
        if is_unknown_outcome(&error) && self.attempts < ATTEMPTS {
            self.replaces = token;
            return Ok(Step::Again);
        }
        self.core.store_down(self.key, error).map(Step::Done)
    }

    /// The store has no memory for a lease: what is there may still serve.
    async fn peek_instead(&mut self) -> Result<Acquired<K, V>, Error> {
        let sent = self.core.now();
        let got = match self.core.ask(&self.core.peek_step(self.place)).await {
            Ok(got) => got,
            Err(error) => return self.core.store_down(self.key, error),
        };
        let now = got.now;
        let (bytes, is_fresh, is_fallback) = match got.state {
            Lease::Hit(bytes) => (bytes, true, false),
            Lease::Stale(bytes) => (bytes, false, false),
            Lease::Fallback(bytes) => (bytes, false, true),
            Lease::Dirty(bytes) => return self.core.dirty(self.place, &bytes).map(Acquired::Ready),
            _ => return Ok(Acquired::load_only()),
        };
        let Ok(opened) = self.core.open(self.place, bytes) else {
            return Ok(Acquired::load_only());
        };
        if is_fresh {
            return Ok(Acquired::Ready(
                self.core.fresh(&opened, span(opened.record.soft_at() - now)),
            ));
        }
        let stale = self.core.stale(&opened, now);
        Ok(if is_fallback {
            Acquired::Load {
                lease: None,
                old: Some(self.core.old(&opened, stale, now, sent, true)),
                bypass: false,
            }
        } else {
            Acquired::Ready(stale)
        })
    }
}

impl<K, V> Core<K, V>
where
    K: CacheKey,
    V: DeserializeOwned + Send + Sync + 'static,
{
    /// A near copy that nobody vouches for, whether its own time is up or not.
    fn near_stale(&self, entry: Entry<V>) -> Lookup<V> {
        let (now, ends) = (self.now(), entry.deadline());
        let ttl = self.full_ttl(entry.value().is_none());
        let age = ttl
            .saturating_add(now.saturating_sub(ends))
            .checked_sub(ends.saturating_sub(now));
        // A copy whose time was cut short says nothing of its value's.
        let age = age.filter(|_| !self.near.is_bounded_by_time());
        Lookup::stale_of(entry.into_value(), Tier::Near, age, now.saturating_sub(ends))
    }

    /// What a read does when the store cannot be asked.
    pub(crate) fn store_down(&self, key: &K, error: Error) -> Result<Acquired<K, V>, Error> {
        match self.settings.on_store_down {
            OnStoreDown::Bypass { .. } => {
                self.count(Count::Bypasses);
                Ok(Acquired::past_the_store())
            }
            OnStoreDown::ServeNear { max_stale } => match self.near.stale(key, self.now(), max_stale) {
                Some(entry) => {
                    self.count(Count::Bypasses);
                    Ok(Acquired::Ready(self.near_stale(entry)))
                }
                None => Err(error),
            },
            OnStoreDown::Fail => Err(error),
        }
    }
}
