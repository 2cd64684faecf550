//! The id of an entry: milliseconds, then a number among the entries of that millisecond.

use std::fmt;

use crate::command::parse_int;

/// `<ms>-<seq>`; ids of a stream only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StreamId {
    pub(crate) ms: u64,
    pub(crate) seq: u64,
}

/// The id that `XADD` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NewId {
    /// `*`
    Next,
    /// `<ms>-*`
    NextAt(u64),
    Exactly(StreamId),
}

impl StreamId {
    pub(crate) const MIN: Self = Self { ms: 0, seq: 0 };
    pub(crate) const MAX: Self = Self {
        ms: u64::MAX,
        seq: u64::MAX,
    };

    /// The least id above this one; none above the largest.
    pub(crate) fn next(self) -> Option<Self> {
        match (self.ms.checked_add(1), self.seq.checked_add(1)) {
            (_, Some(seq)) => Some(Self { seq, ..self }),
            (Some(ms), None) => Some(Self { ms, seq: 0 }),
            (None, None) => None,
        }
    }

    /// The largest id below this one; none below the least.
    pub(crate) fn previous(self) -> Option<Self> {
        match (self.ms.checked_sub(1), self.seq.checked_sub(1)) {
            (_, Some(seq)) => Some(Self { seq, ..self }),
            (Some(ms), None) => Some(Self { ms, seq: u64::MAX }),
            (None, None) => None,
        }
    }

    /// As Redis sorts it in its radix tree.
    pub(crate) fn bytes(self) -> [u8; 16] {
        (u128::from(self.ms) << 64 | u128::from(self.seq)).to_be_bytes()
    }

    /// Reads `<ms>` or `<ms>-<seq>`; `seq_missing` stands where there is no second part.
    pub(crate) fn parse(text: &[u8], seq_missing: u64) -> Option<Self> {
        let (ms, seq) = halves(text)?;
        Some(Self {
            ms: natural(ms)?,
            seq: seq.map_or(Some(seq_missing), natural)?,
        })
    }

    /// The same, with `-` for the least id there is and `+` for the largest.
    pub(crate) fn parse_open(text: &[u8], seq_missing: u64) -> Option<Self> {
        match c_string(text)? {
            b"-" => Some(Self::MIN),
            b"+" => Some(Self::MAX),
            text => Self::parse(text, seq_missing),
        }
    }
}

impl NewId {
    /// Reads `*`, `<ms>-*`, `<ms>` or `<ms>-<seq>`.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        if text == b"*" {
            return Some(Self::Next);
        }
        match halves(text)? {
            (ms, Some(b"*")) => natural(ms).map(Self::NextAt),
            _ => StreamId::parse(text, 0).map(Self::Exactly),
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// What C would see of it: up to a zero byte. None if it is longer than any id.
fn c_string(text: &[u8]) -> Option<&[u8]> {
    const LEN_MAX: usize = 127;
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    (text.len() <= LEN_MAX).then_some(&text[..end])
}

/// What is before and after the first minus sign.
fn halves(text: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let text = c_string(text)?;
    let Some(dash) = text.iter().position(|byte| *byte == b'-') else {
        return Some((text, None));
    };
    Some((&text[..dash], Some(&text[dash + 1..])))
}

/// A number as Redis reads half an id: an integer in its own strict form, but not a negative one; or else whatever
/// `strtoull` takes, spaces, signs and all.
fn natural(text: &[u8]) -> Option<u64> {
    if let Some(number) = parse_int(text) {
        return u64::try_from(number).ok();
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let start = text.iter().position(|byte| !is_space(byte))?;
    let (negative, digits) = match &text[start..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let all_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let number: u64 = all_digits.then(|| std::str::from_utf8(digits).ok()?.parse().ok())??;
    Some(if negative { number.wrapping_neg() } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_redis_reads_them() {
        let id = |ms, seq| Some(StreamId { ms, seq });
        for (text, read) in [
            ("5", id(5, 9)),
            ("5-7", id(5, 7)),
            ("18446744073709551615-18446744073709551615", Some(StreamId::MAX)),
            ("18446744073709551616", None),
            ("+5-05", id(5, 5)),
            (" 5- -1", id(5, u64::MAX)),
            ("5--1", None),
            ("-5", None),
            ("5-", None),
            ("5 ", None),
            ("", None),
            ("-", None),
            ("5-*", None),
            ("5\0-x", id(5, 9)),
        ] {
            assert_eq!(StreamId::parse(text.as_bytes(), 9), read, "{text:?}");
        }
        assert_eq!(StreamId::parse_open(b"-", 0), Some(StreamId::MIN));
        assert_eq!(StreamId::parse_open(b"+", 0), Some(StreamId::MAX));
        assert_eq!(StreamId::parse(&[b'1'; 128], 0), None);
        assert_eq!(NewId::parse(b"5-*"), Some(NewId::NextAt(5)));
        assert_eq!(NewId::parse(b"*-*"), None);
    }

    #[test]
    fn neighbours_carry_into_the_milliseconds() {
        let id = |ms, seq| StreamId { ms, seq };
        assert_eq!(id(1, u64::MAX).next(), Some(id(2, 0)));
        assert_eq!(id(2, 0).previous(), Some(id(1, u64::MAX)));
        assert_eq!((StreamId::MAX.next(), StreamId::MIN.previous()), (None, None));
    }
}
