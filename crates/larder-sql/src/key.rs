//! Keys of a cache against key columns of a table: how a key is bound, and whether a row really answers to it.
//!
//! SQLite compares with affinity and collation: `'042'` finds the integer 42, and under NOCASE `'ADA'` finds
//! `'ada'`. A cache must not: an entry under the other spelling would outlive every invalidation of the true
//! one. So a row answers a key only if the key is written exactly as the row's own.

use std::fmt::Write as _;

use larder_base::{CacheKey, KeyPart};

use crate::cell::Cell;

/// The parts of `key` in order.
pub(crate) fn parts_of<K: CacheKey>(key: &K) -> Vec<KeyPart<'_>> {
    let mut parts = Vec::with_capacity(K::PARTS);
    key.parts(&mut |part| parts.push(part));
    parts
}

/// The values under which a row with this key may be found, as tuples of its parts; most keys have one.
///
/// `untyped` says of each key column that it does not convert what it is compared with.
pub(crate) fn forms(parts: &[KeyPart<'_>], untyped: &[bool]) -> Vec<Vec<Cell>> {
    let mut tuples = vec![Vec::with_capacity(parts.len())];
    for (part, &untyped) in parts.iter().zip(untyped) {
        let forms = part_forms(part, untyped);
        let longer = |tuple: &Vec<Cell>, form: &Cell| tuple.iter().chain([form]).cloned().collect();
        tuples = tuples
            .iter()
            .flat_map(|tuple| forms.iter().map(move |form| longer(tuple, form)))
            .collect();
    }
    tuples
}

/// A UUID is kept as 16 bytes by some and as text by others. In a column that converts nothing, text may also
/// stand for an integer or, in hex, for bytes, and an integer for text.
fn part_forms(part: &KeyPart<'_>, untyped: bool) -> Vec<Cell> {
    let plain = plain_form(part);
    match (part, &plain) {
        (KeyPart::Uuid(uuid), _) => vec![plain, Cell::Blob(uuid.as_bytes().to_vec())],
        (_, Cell::Text(text)) if untyped => {
            let number = text.parse().ok().map(Cell::Integer);
            let bytes = from_hex(text).map(Cell::Blob);
            [Some(plain), number, bytes].into_iter().flatten().collect()
        }
        (_, Cell::Integer(number)) if untyped => vec![Cell::Text(number.to_string()), plain],
        _ => vec![plain],
    }
}

fn plain_form(part: &KeyPart<'_>) -> Cell {
    match part {
        KeyPart::Int(number) => Cell::Integer(*number),
        // SQLite has no integer above i64::MAX; as text it still finds one that was kept as text.
        KeyPart::Uint(number) => i64::try_from(*number).map_or_else(|_| Cell::Text(number.to_string()), Cell::Integer),
        KeyPart::Text(text) => Cell::Text(text.to_string()),
        KeyPart::Bytes(bytes) => Cell::Blob(bytes.to_vec()),
        KeyPart::Uuid(uuid) => Cell::Text(uuid.hyphenated().to_string()),
    }
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
        Cell::Null => None,
        Cell::Integer(number) => Some(number.to_string()),
        Cell::Real(number) => Some(number.to_string()),
        Cell::Text(text) => Some(text.clone()),
        Cell::Blob(bytes) => Some(to_hex(bytes)),
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
            hex
        })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
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
    fn a_uuid_is_looked_for_as_text_and_as_bytes() {
        let uuid = KeyPart::Uuid(uuid::Uuid::from_bytes([0xAB; 16]));
        let text = Cell::Text("abababab-abab-abab-abab-abababababab".into());
        let forms = forms(std::slice::from_ref(&uuid), &[false]);
        assert_eq!(forms, vec![vec![text.clone()], vec![Cell::Blob(vec![0xAB; 16])]]);
        assert!(is_same(&uuid, &text));
    }

    #[test]
    fn text_finds_a_blob_key_by_its_hex_form() {
        let key = KeyPart::Text("00ff".into());
        assert_eq!(forms(std::slice::from_ref(&key), &[true]).len(), 2);
        assert!(is_same(&key, &Cell::Blob(vec![0, 255])));
        assert!(!is_same(&KeyPart::Text("00FF".into()), &Cell::Blob(vec![0, 255])));
        for odd in ["0", "0g", "é"] {
            assert_eq!(from_hex(odd), None);
        }
    }

    #[test]
    fn numbers_beyond_sqlites_integers_are_looked_for_as_text() {
        let forms = forms(&[KeyPart::Uint(u64::MAX)], &[false]);
        assert_eq!(forms, vec![vec![Cell::Text(u64::MAX.to_string())]]);
    }
}
