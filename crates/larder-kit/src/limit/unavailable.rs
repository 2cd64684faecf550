//! What a limiter does when the store does not answer.

use larder_store::StoreError;

use super::LimitError;

/// What becomes of calls while the store does not answer: nobody counts for all processes then. It has to be chosen, for
/// each choice is wrong somewhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OnStoreDown {
    /// Everything is admitted: the limits protect against misuse, and the service is worth more than they are.
    Open,
    /// Everything is denied: what is behind the limits would not survive, or costs money.
    Closed,
    /// Each process admits its share of every limit by itself, such as `0.25` of four processes: together they stay at the
    /// limit if they are as many, and their calls evenly spread.
    ///
    /// A process begins with a full share, whatever the store had counted, and what it admits is not charged to the store
    /// later. At least one permit at once is left to each. It keeps this for 10,000 subjects; the others share one.
    Local {
        /// Above 0, at most 1.
        share: f64,
    },
}

impl OnStoreDown {
    pub(super) fn checked(self) -> Result<Self, LimitError> {
        match self {
            Self::Local { share } if !(share > 0.0 && share <= 1.0) => Err(LimitError::config(format!(
                "a share of {share} is not above 0 and at most 1; of four processes each has 0.25"
            ))),
            fine => Ok(fine),
        }
    }
}

/// Answers of a server that is there and cannot count now.
const AWAY: [&str; 10] = [
    "LOADING",
    "READONLY",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "NOREPLICAS",
    "MISCONF",
    "OOM",
    "BUSY",
    "UNKILLABLE",
];

/// Whether the store is what is away, and nothing is wrong with the call.
pub(crate) fn is_away(error: &StoreError) -> bool {
    let answered = error.code().is_some_and(|code| AWAY.contains(&code));
    answered || error.is_connection() || error.is_timeout() || error.is_unknown_outcome() || error.is_closed()
}
