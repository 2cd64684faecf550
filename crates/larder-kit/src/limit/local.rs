//! This process's share of the limits, while the store is away.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use governor::{
    NotUntil, Quota, RateLimiter, clock::Clock as LocalClock, middleware::NoOpMiddleware,
    state::keyed::HashMapStateStore,
};
use larder_base::Clock;

use super::{Basis, Decision, kind::SPAN_MAX, limits::Named};

/// The most subjects that have a share of their own; the others have one together. About 100 bytes each, and in use only
/// while the store is away.
const SUBJECTS_MAX: usize = 10_000;

/// What a subject is called that comes when there are too many.
const OTHERS: &str = "";

type Limiter = RateLimiter<String, HashMapStateStore<String>, Monotonic, NoOpMiddleware<Duration>>;

/// One limiter for each limit.
#[derive(Debug)]
pub(super) struct Local {
    limits: Vec<One>,
    clock: Monotonic,
}

#[derive(Debug)]
struct One {
    named: Named,
    limiter: Limiter,
    /// What the share has at once.
    burst: NonZeroU32,
    /// When places were last taken from those who owe nothing any more, in whole seconds: it visits them all.
    swept: AtomicU64,
}

/// The clock that is handed in, as `governor` reads it.
#[derive(Clone, Debug)]
struct Monotonic(Clock);

impl LocalClock for Monotonic {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.monotonic()
    }
}

impl Local {
    pub(super) fn new(limits: &[Named], share: f64, clock: &Clock) -> Self {
        let clock = Monotonic(clock.clone());
        let limiter = |named: &Named| {
            let quota = quota(named.limit.capacity(), named.limit.span(), share);
            One {
                named: named.clone(),
                burst: quota.burst_size(),
                limiter: RateLimiter::hashmap_with_clock(quota, clock.clone()),
                swept: AtomicU64::new(0),
            }
        };
        Self {
            limits: limits.iter().map(limiter).collect(),
            clock: clock.clone(),
        }
    }

    /// The decision on a call, by the share alone. A call that a later limit denies has been charged to those before it.
    pub(super) fn decide(&self, stem: &str, cost: u64) -> Decision {
        let mut decision = None;
        for one in &self.limits {
            decision = Some(self.one(one, stem, cost));
            if decision.as_ref().is_some_and(|decision| !decision.allowed) {
                break;
            }
        }
        decision.expect("a limiter is built with at least one limit")
    }

    fn one(&self, one: &One, stem: &str, cost: u64) -> Decision {
        let One { named, limiter, .. } = one;
        let key = one.subject(stem, self.clock.now().as_secs());
        // `governor` multiplies before it compares: a cost far beyond the burst would overflow, and come out as a small one.
        let cost = u32::try_from(cost).ok().and_then(NonZeroU32::new);
        let cost = cost.filter(|cost| *cost <= one.burst);
        let answer = cost.map(|cost| limiter.check_key_n(&key, cost));
        let wait = match answer {
            Some(Ok(Ok(()))) => return Decision::bare(named, true, Basis::Share),
            Some(Ok(Err(denied))) => Some(self.wait(&denied)),
            // More than the share ever has at once.
            Some(Err(_)) | None => None,
        };
        Decision {
            retry_after: wait,
            reset_after: wait.unwrap_or_default(),
            ..Decision::bare(named, false, Basis::Share)
        }
    }

    fn wait(&self, denied: &NotUntil<Duration>) -> Duration {
        denied.wait_time_from(self.clock.now())
    }
}

impl One {
    /// The name under which a subject is counted at this `second`.
    fn subject(&self, stem: &str, second: u64) -> String {
        if self.limiter.len() >= SUBJECTS_MAX && self.swept.swap(second, Relaxed) != second {
            // Those who owe nothing any more are as good as new.
            self.limiter.retain_recent();
        }
        let is_full = self.limiter.len() >= SUBJECTS_MAX;
        if is_full { OTHERS } else { stem }.to_owned()
    }
}

/// `share` of `capacity` per `span`: at least one at once, and at most what `governor` counts.
fn quota(capacity: u64, span: Duration, share: f64) -> Quota {
    let burst = ((capacity as f64 * share).floor() as u64).clamp(1, u64::from(u32::MAX)) as u32;
    let seconds = span.as_secs_f64() / (capacity as f64 * share);
    let interval = Duration::try_from_secs_f64(seconds)
        .unwrap_or(SPAN_MAX)
        // `governor` counts nanoseconds in 64 bits, which is 584 years.
        .clamp(Duration::from_nanos(1), SPAN_MAX);
    let quota = Quota::with_period(interval).expect("the interval is at least a nanosecond");
    quota.allow_burst(NonZeroU32::new(burst).expect("it is at least 1"))
}
