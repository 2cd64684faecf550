//! What the `SCAN` family has in common: the cursor, `MATCH`, `COUNT`, `TYPE`.

use crate::{ErrorReply, command::Args, glob};

/// How many elements a call looks at unless told otherwise, as in Redis.
const COUNT_DEFAULT: usize = 10;

/// The cursor and options of a scan.
pub(crate) struct Scan<'a> {
    pub(crate) cursor: u64,
    pub(crate) count: usize,
    pattern: Option<&'a [u8]>,
    /// The name of a type, for `SCAN` alone.
    pub(crate) kind: Option<&'a [u8]>,
}

impl<'a> Scan<'a> {
    /// Reads the cursor at `at` and the options after it; `TYPE` only where `typed`.
    pub(crate) fn parse(args: &Args<'a>, at: usize, typed: bool) -> Result<Self, ErrorReply> {
        let mut scan = Self {
            cursor: cursor(args.bytes(at))?,
            count: COUNT_DEFAULT,
            pattern: None,
            kind: None,
        };
        for i in (at + 1..args.len()).step_by(2) {
            let value = args.get(i + 1).ok_or(ErrorReply::SYNTAX)?;
            if args.is(i, "COUNT") {
                let count = usize::try_from(args.int(i + 1)?).map_err(|_| ErrorReply::SYNTAX)?;
                scan.count = if count == 0 {
                    return Err(ErrorReply::SYNTAX);
                } else {
                    count
                };
            } else if args.is(i, "MATCH") {
                // `*` is what everything matches, the empty string too.
                scan.pattern = Some(value).filter(|pattern| *pattern != b"*");
            } else if typed && args.is(i, "TYPE") {
                scan.kind = Some(value);
            } else {
                return Err(ErrorReply::SYNTAX);
            }
        }
        Ok(scan)
    }

    pub(crate) fn accepts(&self, element: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, element))
    }
}

/// A cursor, read as `strtoul` does: signs count, spaces do not.
fn cursor(bytes: &[u8]) -> Result<u64, ErrorReply> {
    let text = std::str::from_utf8(bytes).map_err(|_| ErrorReply::INVALID_CURSOR)?;
    match text.strip_prefix('-') {
        Some(digits) if !digits.starts_with('+') => digits.parse::<u64>().map(u64::wrapping_neg),
        _ => text.parse(),
    }
    .map_err(|_| ErrorReply::INVALID_CURSOR)
}
