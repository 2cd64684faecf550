//! What the `SCAN` family has in common: the cursor, `MATCH`, `COUNT`, `TYPE`.

use crate::{ErrorReply, Reply, command::Args, ctx::Ctx, glob, value::Kind};

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

    /// The positions among `len` that this call visits, and the cursor for the next one: how many are left.
    pub(crate) fn positions(&self, len: usize) -> (impl Iterator<Item = usize> + use<>, usize) {
        let left = match usize::try_from(self.cursor) {
            Ok(left @ 1..) => left.min(len),
            _ => len,
        };
        let next = left.saturating_sub(self.count);
        ((next..left).rev(), next)
    }

    pub(crate) fn accepts(&self, element: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, element))
    }
}

/// The collection at argument 1 that `HSCAN`, `SSCAN` or `ZSCAN` walks, the cursor at argument 2 checked first, as
/// Redis does. The options are not: a missing key is an empty page whatever they are.
pub(crate) fn collection<'c, T: Kind>(ctx: &'c mut Ctx<'_>, args: &Args<'_>) -> Result<Option<&'c T>, ErrorReply> {
    cursor(args.bytes(2))?;
    ctx.read(args.bytes(1))
}

/// A page of a scan: the next cursor and what was found.
pub(crate) fn page(next: usize, found: Vec<Reply>) -> Reply {
    Reply::Array(vec![Reply::bulk(next.to_string()), Reply::Array(found)])
}

/// A cursor, read as `strtoul` does: signs count, spaces do not, nothing is 0.
fn cursor(bytes: &[u8]) -> Result<u64, ErrorReply> {
    if bytes.is_empty() {
        return Ok(0);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| ErrorReply::INVALID_CURSOR)?;
    match text.strip_prefix('-') {
        Some(digits) if !digits.starts_with('+') => digits.parse::<u64>().map(u64::wrapping_neg),
        _ => text.parse(),
    }
    .map_err(|_| ErrorReply::INVALID_CURSOR)
}
