//! Deadlines among arguments: `EX 10`, `PXAT 1700000000000`, and how they are checked.

use crate::{
    ErrorReply,
    command::{Args, parse_int},
};

/// The four ways to say when a key expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Seconds or milliseconds from now.
    Seconds,
    Millis,
    /// Unix seconds or milliseconds.
    AtSeconds,
    AtMillis,
}

impl Unit {
    /// The unit that an option of `SET` or `GETEX` names.
    pub(crate) fn of_option(args: &Args<'_>, i: usize) -> Option<Self> {
        const OPTIONS: [(&str, Unit); 4] = [
            ("EX", Unit::Seconds),
            ("PX", Unit::Millis),
            ("EXAT", Unit::AtSeconds),
            ("PXAT", Unit::AtMillis),
        ];
        OPTIONS.iter().find(|(word, _)| args.is(i, word)).map(|(_, unit)| *unit)
    }

    /// Whether it names a moment rather than a span.
    pub(crate) const fn is_absolute(self) -> bool {
        matches!(self, Self::AtSeconds | Self::AtMillis)
    }

    /// Unix milliseconds, if the sum fits.
    pub(crate) fn deadline(self, amount: i64, now: u64) -> Option<i64> {
        /// Milliseconds in a second.
        const SECOND: i64 = 1_000;
        let millis = match self {
            Self::Seconds | Self::AtSeconds => amount.checked_mul(SECOND)?,
            Self::Millis | Self::AtMillis => amount,
        };
        if self.is_absolute() {
            Some(millis)
        } else {
            millis.checked_add(now as i64)
        }
    }
}

/// A positive span or moment as Unix milliseconds; `command` is named in the error.
pub(crate) fn positive_deadline(amount: &[u8], unit: Unit, now: u64, command: &str) -> Result<u64, ErrorReply> {
    let amount = parse_int(amount).ok_or(ErrorReply::NOT_INTEGER)?;
    if amount <= 0 {
        return Err(ErrorReply::invalid_expire(command));
    }
    unit.deadline(amount, now)
        .and_then(|at| u64::try_from(at).ok())
        .ok_or_else(|| ErrorReply::invalid_expire(command))
}
