//! The arguments of a command, and how numbers among them are read.

use crate::{ErrorReply, number::parse_double};

/// The arguments; number 0 is the command's name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Args<'a>(&'a [&'a [u8]]);

impl<'a> Args<'a> {
    pub(crate) const fn new(args: &'a [&'a [u8]]) -> Self {
        Self(args)
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) const fn all(&self) -> &'a [&'a [u8]] {
        self.0
    }

    /// The arguments from number `from` on.
    pub(crate) fn rest(&self, from: usize) -> &'a [&'a [u8]] {
        self.0.get(from..).unwrap_or_default()
    }

    /// Argument `i`, which the arity says is there.
    pub(crate) fn bytes(&self, i: usize) -> &'a [u8] {
        self.0[i]
    }

    pub(crate) fn get(&self, i: usize) -> Option<&'a [u8]> {
        self.0.get(i).copied()
    }

    /// Whether argument `i` is this word, in any case.
    pub(crate) fn is(&self, i: usize, word: &str) -> bool {
        self.0
            .get(i)
            .is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Argument `i` as an integer, read as strictly as Redis does.
    pub(crate) fn int(&self, i: usize) -> Result<i64, ErrorReply> {
        self.0
            .get(i)
            .and_then(|arg| parse_int(arg))
            .ok_or(ErrorReply::NOT_INTEGER)
    }

    /// Argument `i` as an integer from `min` to `max`.
    pub(crate) fn count_in(&self, i: usize, min: i64, max: i64) -> Result<i64, ErrorReply> {
        let count = self.int(i)?;
        if (min..=max).contains(&count) {
            Ok(count)
        } else {
            Err(ErrorReply::outside(min, max))
        }
    }

    /// Argument `i` as an integer of at least `min`; this error if it is anything else.
    pub(crate) fn at_least(&self, i: usize, min: i64, error: ErrorReply) -> Result<usize, ErrorReply> {
        match self.int(i) {
            Ok(n) if n >= min => Ok(usize::try_from(n).unwrap_or(usize::MAX)),
            _ => Err(error),
        }
    }

    /// The keys after their count at `i`, and the number of the first argument after them.
    pub(crate) fn counted_keys(&self, i: usize, error: ErrorReply) -> Result<(&'a [&'a [u8]], usize), ErrorReply> {
        let count = self.at_least(i, 1, error)?;
        let end = (i + 1).saturating_add(count);
        let keys = self.0.get(i + 1..end).ok_or(ErrorReply::SYNTAX)?;
        Ok((keys, end))
    }

    /// Argument `i` as a finite or infinite number.
    pub(crate) fn float(&self, i: usize) -> Result<f64, ErrorReply> {
        self.0
            .get(i)
            .and_then(|arg| parse_double(arg))
            .ok_or(ErrorReply::NOT_FLOAT)
    }
}

/// An integer as Redis accepts one: no plus sign, no leading zeros, no spaces.
pub(crate) fn parse_int(bytes: &[u8]) -> Option<i64> {
    /// `-9223372036854775808`.
    const DIGITS_MAX: usize = 20;
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let canonical = match digits {
        [b'0'] => bytes.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !canonical || bytes.len() > DIGITS_MAX {
        return None;
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// The positions from `start` to `stop` inclusive among `len`, negative ones counted from the end; what lies outside
/// is cut off.
pub(crate) fn rank_range(start: i64, stop: i64, len: usize) -> std::ops::Range<usize> {
    let from_front = |i: i64| if i < 0 { i.saturating_add(len as i64) } else { i };
    let start = from_front(start).max(0);
    let end = from_front(stop).saturating_add(1).min(len as i64);
    if start < end {
        start as usize..end as usize
    } else {
        0..0
    }
}
