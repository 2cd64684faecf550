//! What a kind of limit is to the rest: its script, and what its two numbers mean.

use std::time::Duration;

use larder_store::Script;

use super::{KINDS, LimitError};

/// The longest window, and the longest time in which a burst comes back: a hundred years of 365 days. Scripts count
/// microseconds in f64, which is exact to 2^53; that is the server's clock, twice this, and room until the year 2050.
pub(super) const SPAN_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The most permits of one limit: sums of them stay exact in f64, also where the sliding counter weighs them.
pub(super) const PERMITS_MAX: u64 = 1_000_000_000_000;

/// One kind of limit.
#[derive(Debug)]
pub(super) struct Kind {
    /// Its name: in keys, in stored configurations, and that of a limit which is given no other.
    pub(super) name: &'static str,
    /// Checks one limit of one subject.
    pub(super) script: Script,
    /// What is wrong with two arguments of the script, which may have come from anywhere.
    pub(super) wrong: fn(Args) -> Option<String>,
    /// How many permits there are at most at once.
    pub(super) capacity: fn(Args) -> u64,
    /// In what time that many come back.
    pub(super) span: fn(Args) -> Duration,
}

/// The two numbers that a kind's script takes before the cost.
pub(super) type Args = [u64; 2];

/// One limit of any kind, made from a [`Gcra`](super::Gcra), a [`FixedWindow`](super::FixedWindow),
/// a [`SlidingCounter`](super::SlidingCounter) or a [`SlidingLog`](super::SlidingLog) by `try_into()`.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub(super) kind: &'static Kind,
    pub(super) args: Args,
}

impl PartialEq for Limit {
    fn eq(&self, other: &Self) -> bool {
        (self.kind.name, self.args) == (other.kind.name, other.args)
    }
}

impl Eq for Limit {}

impl Limit {
    pub(super) fn new(kind: &'static Kind, args: Args) -> Result<Self, LimitError> {
        match (kind.wrong)(args) {
            None => Ok(Self { kind, args }),
            Some(what) => Err(LimitError::config(format!("{}: {what}", kind.name))),
        }
    }

    /// One that was written down.
    pub(super) fn read(kind: &str, args: Args) -> Result<Self, LimitError> {
        let known = KINDS.iter().find(|known| known.name == kind);
        let known = known.ok_or_else(|| LimitError::config(format!("there is no kind of limit `{kind}`")))?;
        Self::new(known, args)
    }

    /// The most permits that there are at once: the burst, or the limit of the window. A call that costs more is never
    /// admitted.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        (self.kind.capacity)(self.args)
    }

    /// In what time that many come back: the window, or burst × interval.
    #[must_use]
    pub fn span(&self) -> Duration {
        (self.kind.span)(self.args)
    }
}

/// What the three kinds with windows share: a limit, and the window in ms.
pub(super) mod window {
    use super::{Args, Duration, Kind, Limit, LimitError, PERMITS_MAX, SPAN_MAX};

    pub(in super::super) fn limit(kind: &'static Kind, limit: u64, window: Duration) -> Result<Limit, LimitError> {
        if !window.subsec_nanos().is_multiple_of(1_000_000) {
            let what = format!(
                "{}: a window of {window:?} is not a whole number of milliseconds",
                kind.name
            );
            return Err(LimitError::config(what));
        }
        let ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        Limit::new(kind, [limit, ms])
    }

    pub(in super::super) fn wrong([limit, ms]: Args) -> Option<String> {
        match () {
            () if limit == 0 => Some("a limit of 0 admits nothing; leave the call out, or say at least 1".into()),
            () if limit > PERMITS_MAX => Some(format!("a limit of {limit} is more than {PERMITS_MAX}")),
            () if ms == 0 => Some("a window of 0 limits nothing; say at least 1 ms".into()),
            () if Duration::from_millis(ms) > SPAN_MAX => Some(format!(
                "a window of {:?} is longer than a hundred years, beyond which microseconds are not counted exactly",
                Duration::from_millis(ms)
            )),
            () => None,
        }
    }

    pub(in super::super) fn capacity([limit, _]: Args) -> u64 {
        limit
    }

    pub(in super::super) fn span([_, ms]: Args) -> Duration {
        Duration::from_millis(ms)
    }
}
