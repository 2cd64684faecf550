//! What a limiter answers.

use std::{sync::Arc, time::Duration};

use larder_store::StoreError;
use redis::Value;

use super::{RateHeaders, limits::Named};
use crate::reply;

/// Whether a call may go on, and what remains. Of several limits it tells of the one that matters: the one that denied
/// (of several the one to wait longest for), else the one with the least left.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// Whether the call may go on; it is charged then, and only then.
    pub allowed: bool,
    /// The name of the limit that is told of.
    pub limit: Arc<str>,
    /// The most that it admits at once: the limit of its window, or its burst.
    pub capacity: u64,
    /// In what time that many come back.
    pub span: Duration,
    /// How many permits are left, after this call. Not known, and zero, where the store was away: [`basis`](Self::basis) is
    /// [`Basis::Policy`] or [`Basis::Share`].
    pub remaining: u64,
    /// In what time the same call is admitted, if nobody else takes the room; zero if it was. `None`: never, for it costs
    /// more than there ever is.
    pub retry_after: Option<Duration>,
    /// In what time everything is free again, if nobody calls. Not known either where the store was away.
    pub reset_after: Duration,
    /// The server's clock when it decided, since 1970. `None` where this process decided.
    pub server_time: Option<Duration>,
    /// Who decided.
    pub basis: Basis,
}

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Basis {
    /// The store, just now.
    Store,
    /// The store, a moment ago: it denied, and said until when
    /// ([`remember_denials`](super::LimiterBuilder::remember_denials)).
    Remembered,
    /// This process, from permits that it had borrowed ([`borrow_ahead`](super::LimiterBuilder::borrow_ahead)).
    Borrowed,
    /// This process, by its share of the limits, because the store was away ([`OnStoreDown::Local`](super::OnStoreDown)).
    Share,
    /// Nobody: the store was away, and the policy is open or closed.
    Policy,
}

impl Decision {
    /// The values of the `RateLimit-*` and `Retry-After` headers; those that nobody knows are left out.
    #[must_use]
    pub fn headers(&self) -> RateHeaders {
        RateHeaders::of(self)
    }

    /// One that says nothing of what is left.
    pub(super) fn bare(named: &Named, allowed: bool, basis: Basis) -> Self {
        Self {
            allowed,
            limit: named.name.clone(),
            capacity: named.limit.capacity(),
            span: named.limit.span(),
            remaining: 0,
            retry_after: Some(Duration::ZERO),
            reset_after: Duration::ZERO,
            server_time: None,
            basis,
        }
    }

    /// From the replies of the scripts, five numbers for each limit.
    pub(super) fn read(limits: &[Named], reply: &Value, script: &'static str) -> Result<Self, StoreError> {
        let items = reply::items(reply, 5 * limits.len(), script)?;
        let mut told: Option<Self> = None;
        for (named, five) in limits.iter().zip(items.chunks_exact(5)) {
            let next = Self::one(named, five)?;
            told = Some(match told {
                Some(told) if told.weight() >= next.weight() => told,
                _ => next,
            });
        }
        told.ok_or_else(|| reply::unexpected(script))
    }

    fn one(named: &Named, five: &[Value]) -> Result<Self, StoreError> {
        let at = |index: usize| reply::integer(&five[index]);
        let micros = |us: i64| Duration::from_micros(us.unsigned_abs());
        let retry = at(2)?;
        Ok(Self {
            allowed: at(0)? == 1,
            remaining: at(1)?.unsigned_abs(),
            retry_after: (retry >= 0).then(|| micros(retry)),
            reset_after: micros(at(3)?.max(0)),
            server_time: Some(micros(at(4)?)),
            ..Self::bare(named, false, Basis::Store)
        })
    }

    /// How much it matters: a denial more than an admission, a long wait more than a short one, little left more than much.
    fn weight(&self) -> (bool, Duration, u64) {
        let wait = self.retry_after.unwrap_or(Duration::MAX);
        (!self.allowed, wait, u64::MAX - self.remaining)
    }
}
