//! What a read found, and where.

use std::{sync::Arc, time::Duration};

use crate::Error;

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tier {
    /// This process's memory.
    Near,
    /// The store: Redis, Valkey, or the embedded engine.
    Store,
    /// The source or the loader: nothing usable was cached.
    Source,
}

/// How good an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Freshness {
    /// Within its TTL.
    Fresh,
    /// Past its TTL, within grace; or what was left when the load failed or the store was down.
    Stale,
    /// Known not to exist.
    Negative,
    /// Nothing is cached, and there is no source to ask.
    Missing,
}

/// An answer with its circumstances: what [`Cache::lookup`](crate::Cache::lookup) returns.
#[derive(Debug)]
pub struct Lookup<V> {
    value: Option<Arc<V>>,
    tier: Tier,
    freshness: Freshness,
    age: Option<Duration>,
    remaining: Duration,
}

// Derived, it would ask for `V: Clone`.
impl<V> Clone for Lookup<V> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            ..*self
        }
    }
}

impl<V> Lookup<V> {
    /// The value; `None` if it is known not to exist, or nothing is cached.
    #[must_use]
    pub const fn value(&self) -> Option<&Arc<V>> {
        self.value.as_ref()
    }

    /// The value alone.
    #[must_use]
    pub fn into_value(self) -> Option<Arc<V>> {
        self.value
    }

    /// Where the answer came from.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        self.tier
    }

    /// How good it is.
    #[must_use]
    pub const fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// Whether it is past its TTL.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        matches!(self.freshness, Freshness::Stale)
    }

    /// Whether it is within its TTL.
    #[must_use]
    pub const fn is_fresh(&self) -> bool {
        matches!(self.freshness, Freshness::Fresh)
    }

    /// Whether it is known not to exist.
    #[must_use]
    pub const fn is_negative(&self) -> bool {
        matches!(self.freshness, Freshness::Negative)
    }

    /// How long ago the value was stored: the cache's TTL less what remains of it, hence up to `jitter` of the TTL
    /// more than the truth.
    ///
    /// `None` where that cannot be told: for a value with a TTL of its own that is longer, and for a near copy under
    /// [`Coherence::TtlOnly`](crate::Coherence::TtlOnly), whose time is shorter than its value's.
    #[must_use]
    pub const fn age(&self) -> Option<Duration> {
        self.age
    }

    /// For how long the value stays fresh; zero once it is stale.
    #[must_use]
    pub const fn remaining(&self) -> Duration {
        self.remaining
    }
}

/// What a flight ends with.
pub(crate) type Outcome<V> = Result<Lookup<V>, Error>;

impl<V> Lookup<V> {
    pub(crate) fn of_unknown_age(self) -> Self {
        Self { age: None, ..self }
    }

    /// An answer that stays fresh for `remaining` of a full TTL of `ttl`.
    pub(crate) fn fresh(value: Option<Arc<V>>, tier: Tier, remaining: Duration, ttl: Duration) -> Self {
        let freshness = if value.is_some() {
            Freshness::Fresh
        } else {
            Freshness::Negative
        };
        Self {
            value,
            tier,
            freshness,
            age: ttl.checked_sub(remaining),
            remaining,
        }
    }

    /// An answer whose time passed `since` ago.
    pub(crate) fn stale(value: Option<Arc<V>>, tier: Tier, since: Duration, ttl: Duration) -> Self {
        Self::stale_of(value, tier, Some(ttl.saturating_add(since)))
    }

    /// An answer that may be outdated, of this age if it is known.
    pub(crate) fn stale_of(value: Option<Arc<V>>, tier: Tier, age: Option<Duration>) -> Self {
        let freshness = if value.is_some() {
            Freshness::Stale
        } else {
            Freshness::Negative
        };
        Self {
            value,
            tier,
            freshness,
            age,
            remaining: Duration::ZERO,
        }
    }

    pub(crate) const fn missing() -> Self {
        Self {
            value: None,
            tier: Tier::Store,
            freshness: Freshness::Missing,
            age: None,
            remaining: Duration::ZERO,
        }
    }
}
