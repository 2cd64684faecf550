//! Keys of a cache against key columns of a table: how a key is bound, and whether a row really answers to it.
//!
//! Databases compare with affinity and collation: in SQLite `'042'` finds the integer 42, and under NOCASE, as in a
//! citext column of PostgreSQL, `'ADA'` finds `'ada'`. A cache must not: an entry under the other spelling would
//! outlive every invalidation of the true one. So a row answers a key only if the key is written exactly as the
//! row's own. How a key is bound, so that it finds the row at all, is each database's business.

use std::{borrow::Cow, fmt::Write as _};

use larder_base::{CacheKey, KeyPart};

use crate::cell::Cell;

/// The parts of `key` in order.
pub(crate) fn parts_of<K: CacheKey>(key: &K) -> Vec<KeyPart<'_>> {
    let mut parts = Vec::with_capacity(K::PARTS);
    key.parts(&mut |part| parts.push(part));
    parts
}

/// Whether the key column's value `cell` is what `part` says, in the same spelling.
pub(crate) fn is_same(part: &KeyPart<'_>, cell: &Cell) -> bool {
    match (part, cell) {
        (KeyPart::Bytes(bytes), Cell::Blob(blob)) => bytes.as_ref() == blob.as_slice(),
        (KeyPart::Uuid(uuid), Cell::Blob(blob)) => uuid.as_bytes() == blob.as_slice(),
        (KeyPart::Uuid(uuid), Cell::Text(text)) => uuid.hyphenated().to_string() == *text,
        (KeyPart::Text(text), cell) => written(cell).is_some_and(|written| written == *text),
        (KeyPart::Int(number), cell) => written(cell).is_some_and(|written| written == number.to_string()),
        (KeyPart::Uint(number), cell) => written(cell).is_some_and(|written| written == number.to_string()),
        _ => false,
    }
}

/// The text under which a key column's value is asked for; `None` for NULL, which is no key.
pub(crate) fn written(cell: &Cell) -> Option<String> {
    match cell {
        Cell::Null | Cell::Json(_) => None,
        Cell::Bool(is) => Some(is.to_string()),
        Cell::Integer(number) => Some(number.to_string()),
        Cell::Real(number) => Some(number.to_string()),
        Cell::Text(text) => Some(text.clone()),
        Cell::Blob(bytes) => Some(to_hex(bytes)),
    }
}

/// The key whose columns hold this; `None` if it is no such key.
pub(crate) fn read<K: CacheKey>(cells: &[Cell]) -> Option<K> {
    let part = |cell: &Cell| match cell {
        Cell::Blob(bytes) => Some(Cow::Owned(bytes.clone())),
        cell => written(cell).map(|text| Cow::Owned(text.into_bytes())),
    };
    let parts: Option<Vec<Cow<'_, [u8]>>> = cells.iter().map(part).collect();
    K::from_parts(&parts?)
}

/// The text of `part`; `None` for bytes.
pub(crate) fn text_of(part: &KeyPart<'_>) -> Option<String> {
    match part {
        KeyPart::Int(number) => Some(number.to_string()),
        KeyPart::Uint(number) => Some(number.to_string()),
        KeyPart::Text(text) => Some(text.to_string()),
        KeyPart::Uuid(uuid) => Some(uuid.hyphenated().to_string()),
        KeyPart::Bytes(_) => None,
    }
}

/// The integer that is written as `part`.
pub(crate) fn as_integer(part: &KeyPart<'_>) -> Option<i64> {
    match part {
        KeyPart::Int(number) => Some(*number),
        KeyPart::Uint(number) => i64::try_from(*number).ok(),
        KeyPart::Text(text) => {
            let number: i64 = text.parse().ok()?;
            (number.to_string() == *text).then_some(number)
        }
        KeyPart::Bytes(_) | KeyPart::Uuid(_) => None,
    }
}

/// Whether this is a UUID with hyphens in lower case.
pub(crate) fn is_uuid(text: &str) -> bool {
    let is_digit = |at: usize, byte: u8| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    text.len() == 36 && text.bytes().enumerate().all(|(at, byte)| is_digit(at, byte))
}

/// Most digits of a number that is a key; PostgreSQL takes 131,072 before the point.
const DIGITS_MAX: usize = 1000;

/// Whether this is a decimal number as a database writes it, `-12.50`.
pub(crate) fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    text.len() <= DIGITS_MAX && digits(whole) && digits(fraction)
}

/// Whether this is a day of the Gregorian calendar, `2024-02-29`.
pub(crate) fn is_date(text: &str) -> bool {
    let number = |part: &str, digits: usize| {
        let is_number = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { part.parse::<u32>().ok() } else { None }
    };
    let mut parts = text.splitn(3, '-');
    let (Some(year), Some(month), Some(day)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2)) else {
        return false;
    };
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    year > 0 && (1..=12).contains(&month) && (1..=days).contains(&day)
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
            hex
        })
}

pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| (byte as char).to_digit(16);
    let byte = |pair: &[u8]| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8);
    digits.chunks_exact(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_matches_only_its_own_spelling() {
        let forty_two = Cell::Integer(42);
        assert!(is_same(&KeyPart::Uint(42), &forty_two));
        assert!(is_same(&KeyPart::Text("42".into()), &forty_two));
        for other in ["042", " 42", "42.0"] {
            assert!(!is_same(&KeyPart::Text(other.into()), &forty_two), "{other:?}");
        }
        assert!(!is_same(&KeyPart::Text("ADA".into()), &Cell::Text("ada".into())));
        assert!(!is_same(&KeyPart::Text("".into()), &Cell::Null));
    }

    #[test]
    fn a_uuid_is_itself_as_text_and_as_bytes() {
        let uuid = KeyPart::Uuid(uuid::Uuid::from_bytes([0xAB; 16]));
        let text = "abababab-abab-abab-abab-abababababab";
        assert!(is_uuid(text) && !is_uuid(&text.to_uppercase()) && !is_uuid(&text.replace('-', "0")));
        assert!(is_same(&uuid, &Cell::Text(text.into())));
        assert!(is_same(&uuid, &Cell::Blob(vec![0xAB; 16])));
    }

    #[test]
    fn text_is_bytes_by_its_lower_case_hex_form() {
        let key = KeyPart::Text("00ff".into());
        assert!(is_same(&key, &Cell::Blob(vec![0, 255])));
        assert!(!is_same(&KeyPart::Text("00FF".into()), &Cell::Blob(vec![0, 255])));
        for odd in ["0", "0g", "é"] {
            assert_eq!(from_hex(odd), None);
        }
    }

    #[test]
    fn only_what_a_database_would_write_is_a_number_or_a_day() {
        for number in ["0", "-12.50", "99999999999999999999"] {
            assert!(is_decimal(number), "{number:?}");
        }
        for other in ["", "-", "1.", ".5", "1e3", "NaN", "1,5", " 1", "1.2.3"] {
            assert!(!is_decimal(other), "{other:?}");
        }
        for day in ["2024-02-29", "2000-02-29", "1999-12-31"] {
            assert!(is_date(day), "{day:?}");
        }
        for other in [
            "2023-02-29",
            "1900-02-29",
            "2024-13-01",
            "2024-4-01",
            "2024-04-31",
            "0000-01-01",
            "today",
            "--",
        ] {
            assert!(!is_date(other), "{other:?}");
        }
    }
}
