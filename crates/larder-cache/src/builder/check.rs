//! Settings that contradict each other, or make no sense, refused by name.

use std::time::Duration;

use larder_base::{CacheKey, codec::VALUE_MAX_LIMIT};
use larder_store::Store;
use serde::{Serialize, de::DeserializeOwned};

use super::CacheBuilder;
use crate::{
    Coherence, Consistency, Error, OnStoreDown,
    log::LOG_LEAST,
    settings::{BOUND_LEAST, Settings},
};

/// A hold lasts for so many of the waits that a strict commit begins with, so that most of it is the commit's.
const HOLD_PER_WAIT: u32 = 2;

impl<K, V> CacheBuilder<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// The store, if all agree.
    pub(super) fn check(&self) -> Result<Store, Error> {
        let Some(store) = &self.store else {
            return Err(Error::config("a cache needs a store: `.store(&store)`"));
        };
        if !is_namespace(&self.namespace) {
            return Err(Error::config(format!(
                "the namespace `{}` is not made of a-z, 0-9, `_`, `.` and `-`",
                self.namespace.escape_default()
            )));
        }
        if !self.has_ttl {
            return Err(Error::config(
                "a cache needs a TTL: `.ttl(..)`, or `.ttl(Ttl::never())` for an immortal one",
            ));
        }
        check_settings(&self.settings)?;
        if self.has_write_policy && self.sink.is_none() {
            return Err(Error::config(
                "`write` says how the source is written, and there is nothing that writes it: set `sink`, or a `source` that \
                 brings one",
            ));
        }
        if self.settings.wait_replicas > 0 && store.is_embedded() {
            return Err(Error::config(
                "`wait_replicas` waits for a server's replicas, and an embedded store has none; leave it at 0",
            ));
        }
        check_coherence(&self.settings)?;
        check_consistency(&self.settings)?;
        Ok(store.clone())
    }
}

/// A factor of XFetch beyond which every read of anything that costs is early: a larger one says nothing more.
const XFETCH_MAX: f64 = 1e6;

/// The longest lease or hold: a day is beyond any load or commit, and far from where sums of times overflow.
const CLAIM_MAX: Duration = Duration::from_secs(24 * 3600);

fn check_settings<V>(settings: &Settings<V>) -> Result<(), Error> {
    let refuse = |text: String| Err(Error::config(text));
    if settings.ttl.span().is_zero() {
        return refuse("`ttl` is zero: nothing would ever hit".to_owned());
    }
    if settings.ttl.is_never() && !settings.grace.is_zero() {
        return refuse("`grace` begins when a value's TTL ends, and `ttl` is `Ttl::never()`".to_owned());
    }
    if !(0.0..=0.5).contains(&settings.jitter) {
        return refuse(format!(
            "`jitter` is a share between 0 and 0.5, not {}",
            settings.jitter
        ));
    }
    if settings.refresh_ahead.is_some_and(|share| !(0.0..1.0).contains(&share)) {
        return refuse("`refresh_ahead` is a share of `ttl` between 0 and 1".to_owned());
    }
    if settings.xfetch.is_some_and(|beta| !(beta > 0.0 && beta <= XFETCH_MAX)) {
        return refuse(format!("`xfetch` takes a factor above 0, at most {XFETCH_MAX}"));
    }
    if settings.lease < Duration::from_millis(10) {
        return refuse("`lease` is below 10 ms: it would run out before its first renewal".to_owned());
    }
    if let (Some(soft), Some(hard)) = (settings.soft_deadline, settings.load_timeout)
        && soft >= hard
    {
        return refuse(format!(
            "`soft_deadline` ({soft:?}) has to be shorter than `load_timeout` ({hard:?}), which ends the load"
        ));
    }
    for (name, span) in [("lease", settings.lease), ("hold_for", settings.hold)] {
        if span > CLAIM_MAX {
            return refuse(format!(
                "`{name}` is {span:?}: whoever dies with it keeps everybody waiting for so long; at most {CLAIM_MAX:?}"
            ));
        }
    }
    if settings.codec.largest_value() > VALUE_MAX_LIMIT {
        return refuse(format!(
            "the codec's `value_max` is {} bytes, more than a server takes; at most {VALUE_MAX_LIMIT}",
            settings.codec.largest_value()
        ));
    }
    if settings.channel.as_ref().is_some_and(String::is_empty) {
        return refuse("`channel` is an empty name".to_owned());
    }
    if settings.max_loads == 0 {
        return refuse("`max_loads` is 0: nothing could ever be loaded".to_owned());
    }
    if matches!(settings.on_store_down, OnStoreDown::Bypass { max_concurrency: 0 }) {
        return refuse(
            "`OnStoreDown::Bypass` with `max_concurrency` 0 waits for ever; use `OnStoreDown::Fail`".to_owned(),
        );
    }
    if matches!(settings.on_store_down, OnStoreDown::ServeNear { .. }) && settings.near == 0 {
        return refuse("`OnStoreDown::ServeNear` serves from the near tier, and `near` is 0".to_owned());
    }
    Ok(())
}

fn check_consistency<V>(settings: &Settings<V>) -> Result<(), Error> {
    if settings.consistency == Consistency::Bounded {
        return Ok(());
    }
    if matches!(settings.on_store_down, OnStoreDown::ServeNear { .. }) {
        return Err(Error::config(
            "`Consistency::Strict` and `OnStoreDown::ServeNear` contradict each other: a near copy served while the store is \
             down may be older than a strict write",
        ));
    }
    let wait = settings.near_bound();
    if settings.hold < wait * HOLD_PER_WAIT {
        return Err(Error::config(format!(
            "`hold_for` ({:?}) has to be {HOLD_PER_WAIT} times `max_staleness` at least: a strict commit waits for {wait:?} and \
             then needs its own time",
            settings.hold
        )));
    }
    Ok(())
}

fn check_coherence<V>(settings: &Settings<V>) -> Result<(), Error> {
    match settings.coherence {
        Coherence::Log if settings.log_max < LOG_LEAST => Err(Error::config(format!(
            "`log_max` is {}, and with less than {LOG_LEAST} items a busy second overtakes readers that are not late",
            settings.log_max
        ))),
        Coherence::Tracking | Coherence::Log if settings.near == 0 && settings.max_staleness.is_zero() => Ok(()),
        Coherence::Tracking | Coherence::Log if settings.max_staleness < BOUND_LEAST => Err(Error::config(format!(
            "`max_staleness` is {:?}, and below {BOUND_LEAST:?} no stream can be proven live often enough; or set `near(0)`",
            settings.max_staleness
        ))),
        Coherence::TtlOnly { max_staleness } if max_staleness.is_zero() && settings.near > 0 => Err(Error::config(
            "`max_staleness` is zero, so that `near` could never serve; set `near(0)` or a longer `max_staleness`",
        )),
        _ => Ok(()),
    }
}

/// Whether a cache may have this name: one or more of `a-z`, `0-9`, `_`, `.` and `-`.
#[must_use]
pub fn is_namespace(name: &str) -> bool {
    let is_fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c);
    !name.is_empty() && name.chars().all(is_fit)
}
