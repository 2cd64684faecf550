//! How long what a tool stores is kept.

use std::time::Duration;

/// How long what a tool stores is kept. It has no default: what nobody decided on stays in a store for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// So long after the last write; of what has windows, so long after the end of the window. The TTL is set in the write
    /// itself. Between 1 ms and a hundred years.
    For(Duration),
    /// Until it is removed. Right for what is permanent by nature and bounded by itself, such as an all-time leaderboard;
    /// windows that are kept for ever add up.
    Forever,
}

/// The longest retention: longer is for ever, and beyond it milliseconds are not counted exactly everywhere.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);

impl Retention {
    /// In milliseconds; 0 is for ever.
    pub(crate) fn millis(self) -> Result<i64, String> {
        match self {
            Self::Forever => Ok(0),
            Self::For(span) if span > LONGEST => Err(format!(
                "a retention of {span:?} is longer than a hundred years; say `Retention::Forever`"
            )),
            Self::For(span) => match i64::try_from(span.as_millis()) {
                Ok(millis) if millis > 0 => Ok(millis),
                _ => Err("a retention of less than a millisecond keeps nothing; say how long".into()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_is_something_a_server_can_keep() {
        assert_eq!(Retention::Forever.millis(), Ok(0));
        assert_eq!(Retention::For(Duration::from_secs(2)).millis(), Ok(2_000));
        assert!(Retention::For(Duration::from_micros(999)).millis().is_err());
        assert!(Retention::For(Duration::MAX).millis().is_err());
    }
}
