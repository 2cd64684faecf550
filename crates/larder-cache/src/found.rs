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
    /// The store, with what was written and the source does not have yet
    /// ([write-behind](crate::WritePolicy::Behind)).
    Behind,
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
    overdue: Duration,
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

    /// How long ago the value was stored, or found unmodified by its loader; at most so long. It is counted from the TTL,
    /// of which up to `jitter` was not granted, so the truth is up to that share of the TTL less; less too for a value with
    /// a shorter TTL of its own, and more for one with a longer TTL of its own, which the store does not tell apart.
    ///
    /// `None` where that shows, and for a near copy under [`Coherence::TtlOnly`](crate::Coherence::TtlOnly), whose time is
    /// shorter than its value's.
    #[must_use]
    pub const fn age(&self) -> Option<Duration> {
        self.age
    }

    /// For how long the value has been past its TTL; zero for one that is not. At most `grace` when the read began.
    #[must_use]
    pub const fn overdue(&self) -> Duration {
        self.overdue
    }

    /// For how long the value stays fresh; zero once it is stale. What waits to be flushed does not expire: of it this is the
    /// cache's whole TTL.
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

    /// The same, `by` later.
    pub(crate) fn aged(self, by: Duration) -> Self {
        let late = by.saturating_sub(self.remaining);
        Self {
            age: self.age.map(|age| age.saturating_add(by)),
            overdue: self.overdue.saturating_add(late),
            remaining: self.remaining.saturating_sub(by),
            ..self
        }
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
            overdue: Duration::ZERO,
            remaining,
        }
    }

    /// An answer whose full TTL of `ttl` ended `overdue` ago, or was cut short `early` before its end.
    pub(crate) fn stale(value: Option<Arc<V>>, tier: Tier, ttl: Duration, overdue: Duration, early: Duration) -> Self {
        Self::stale_of(value, tier, ttl.saturating_add(overdue).checked_sub(early), overdue)
    }

    /// An answer that may be outdated, of this age if it is known.
    pub(crate) fn stale_of(value: Option<Arc<V>>, tier: Tier, age: Option<Duration>, overdue: Duration) -> Self {
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
            overdue,
            remaining: Duration::ZERO,
        }
    }

    /// An answer that waits to be flushed; `None` is a removal.
    pub(crate) fn behind(value: Option<Arc<V>>, ttl: Duration) -> Self {
        Self::fresh(value, Tier::Behind, ttl, ttl).of_unknown_age()
    }

    pub(crate) const fn missing() -> Self {
        Self {
            value: None,
            tier: Tier::Store,
            freshness: Freshness::Missing,
            age: None,
            overdue: Duration::ZERO,
            remaining: Duration::ZERO,
        }
    }
}
