//! How many bytes Redis would take for an entry in a listpack: they decide where it begins a new node, and so what
//! approximate trimming removes.

use crate::command::parse_int;

/// A listpack without elements: its header and its end.
pub(super) const EMPTY: usize = 7;

/// An element that holds these bytes; a number is held as one.
pub(super) fn text(bytes: &[u8]) -> usize {
    match parse_int(bytes) {
        Some(number) => integer(number),
        None => {
            let header = match bytes.len() {
                0..64 => 1,
                64..4_096 => 2,
                _ => 5,
            };
            with_length_behind(header + bytes.len())
        }
    }
}

/// An element that holds this number.
pub(super) fn integer(number: i64) -> usize {
    const BITS_24: i64 = 1 << 23;
    with_length_behind(match number {
        0..=127 => 1,
        -4_096..=4_095 => 2,
        -32_768..=32_767 => 3,
        number if (-BITS_24..BITS_24).contains(&number) => 4,
        number if i32::try_from(number).is_ok() => 5,
        _ => 9,
    })
}

/// Each element is followed by its length, for walking backwards.
const fn with_length_behind(len: usize) -> usize {
    len + match len {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    }
}
