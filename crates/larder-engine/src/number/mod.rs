//! Numbers where Redis reads, computes and prints them as C does.

mod double;
mod hexadecimal;
mod long_double;
mod natural;
mod parse;

pub(crate) use double::shown;
pub(crate) use long_double::LongDouble;
pub(crate) use parse::{parse_double, read, read_in_range};

/// Nothing, or the letter and an integer; the integer, saturated.
fn parse_exponent(text: &[u8], letter: u8) -> Option<i64> {
    let [first, rest @ ..] = text else {
        return Some(0);
    };
    let (sign, digits) = match rest {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        _ => (1, rest),
    };
    if first.to_ascii_lowercase() != letter || digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    /// Beyond what any text that is read can make up for with digits.
    const EXPONENT_LIMIT: i64 = 1_000_000_000;
    let value = digits.iter().fold(0_i64, |value, digit| {
        (value * 10 + i64::from(digit - b'0')).min(EXPONENT_LIMIT)
    });
    Some(sign * value)
}
