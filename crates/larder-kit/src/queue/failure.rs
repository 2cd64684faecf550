//! How an attempt fails.

use std::time::Duration;

/// Why an attempt failed, and what is to become of the job. Any error becomes one by `?`, and is tried again.
///
/// ```
/// use larder_kit::queue::JobFailure;
///
/// async fn send(to: &str) -> Result<(), JobFailure> {
///     if !to.contains('@') {
///         return Err(JobFailure::dead(format!("`{to}` is no address"))); // another attempt cannot help
///     }
///     let port: u16 = "25".parse()?; // tried again, with the error's text as the reason
///     # let _ = port;
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFailure {
    pub(super) why: String,
    pub(super) then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Retry,
    RetryAfter(Duration),
    Dead,
}

/// The longest reason that is kept, in bytes: what is longer is cut.
const WHY_MAX: usize = 1_000;

impl JobFailure {
    /// Try again after the queue's backoff, if attempts are left; else the job is dead with this reason.
    pub fn retry(why: impl Into<String>) -> Self {
        Self::of(why.into(), Then::Retry)
    }

    /// Try again after `delay` instead of the queue's backoff, if attempts are left.
    pub fn retry_after(delay: Duration, why: impl Into<String>) -> Self {
        Self::of(why.into(), Then::RetryAfter(delay))
    }

    /// Another attempt cannot help: the job is dead with this reason.
    pub fn dead(why: impl Into<String>) -> Self {
        Self::of(why.into(), Then::Dead)
    }

    fn of(mut why: String, then: Then) -> Self {
        if why.len() > WHY_MAX {
            why.truncate(why.floor_char_boundary(WHY_MAX));
            why.push('…');
        }
        Self { why, then }
    }
}

impl<E: std::error::Error> From<E> for JobFailure {
    fn from(error: E) -> Self {
        let mut why = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            why.push_str(": ");
            why.push_str(&error.to_string());
            cause = error.source();
        }
        Self::retry(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_tried_again_with_its_text() {
        let error = "x".parse::<u8>().unwrap_err();
        assert_eq!(
            JobFailure::from(error),
            JobFailure::retry("invalid digit found in string")
        );
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let why = JobFailure::dead("ä".repeat(WHY_MAX)).why;
        assert!(
            why.len() <= WHY_MAX + '…'.len_utf8() && why.ends_with("ä…"),
            "{}",
            why.len()
        );
    }
}
