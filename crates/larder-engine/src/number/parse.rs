//! Reading and writing C's `double`.

use super::hexadecimal;

/// A number as Redis reads scores and increments: as [`read_in_range`], but without spaces before it, and something.
pub(crate) fn parse_double(text: &[u8]) -> Option<f64> {
    let first = text.first()?;
    let is_whole = !is_space(first) && !text.contains(&0);
    read_in_range(text).filter(|_| is_whole)
}

/// A number as [`read`], but neither too large nor too small to be told from infinity or zero.
pub(crate) fn read_in_range(text: &[u8]) -> Option<f64> {
    let (sign, digits) = split(text);
    let magnitude = read_magnitude(digits)?;
    let overflowed = magnitude.is_infinite() && !digits[0].is_ascii_alphabetic();
    let vanished = magnitude == 0.0 && !is_written_zero(digits);
    (!overflowed && !vanished).then_some(sign * magnitude)
}

/// A number as `strtod` reads it when it must use all of the text up to a zero byte: spaces before it are skipped, no
/// text at all is 0, too large is infinite. Never NaN.
pub(crate) fn read(text: &[u8]) -> Option<f64> {
    let (sign, digits) = split(text);
    read_magnitude(digits).map(|magnitude| sign * magnitude)
}

/// The sign, and what follows it up to a zero byte.
fn split(text: &[u8]) -> (f64, &[u8]) {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = if text.is_empty() { b"0" } else { text };
    let text = &text[text.iter().take_while(|byte| is_space(byte)).count()..];
    match text {
        [b'-', rest @ ..] => (-1.0, rest),
        [b'+', rest @ ..] => (1.0, rest),
        _ => (1.0, text),
    }
}

fn read_magnitude(digits: &[u8]) -> Option<f64> {
    let magnitude: f64 = match digits {
        [b'0', b'x' | b'X', hex @ ..] => hexadecimal::parse(hex)?.to_f64(),
        // Rust reads a second sign where C does not.
        [b'-' | b'+', ..] => return None,
        _ => std::str::from_utf8(digits).ok()?.parse().ok()?,
    };
    (!magnitude.is_nan()).then_some(magnitude)
}

/// Whether every digit before the exponent is 0.
fn is_written_zero(digits: &[u8]) -> bool {
    let (mantissa, exponent) = match digits {
        [b'0', b'x' | b'X', hex @ ..] => (hex, b"pP"),
        _ => (digits, b"eE"),
    };
    let mut mantissa = mantissa.iter().take_while(|byte| !exponent.contains(byte));
    mantissa.all(|byte| matches!(byte, b'0' | b'.'))
}

/// What C's `isspace` takes for a space.
const fn is_space(byte: &u8) -> bool {
    matches!(*byte, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_scores() {
        for (text, number) in [
            ("0", 0.0),
            ("-0", -0.0),
            ("+1.5e3", 1_500.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("0x10", 16.0),
            ("-0X.8p1", -1.0),
            ("0e999", 0.0),
            ("0x0p-9999", 0.0),
            ("inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("4.9e-324", 5e-324),
        ] {
            let read = parse_double(text.as_bytes()).expect(text);
            assert_eq!(read.to_bits(), number.to_bits(), "{text}");
        }
    }

    #[test]
    fn what_redis_refuses_is_refused() {
        for text in [
            "",
            " 1",
            "1 ",
            "\x0b1",
            "nan",
            "-nan",
            "1e400",
            "1e-400",
            "0x1p-9999",
            "0x1p9999",
            "0x",
            "1e",
            "--1",
            "+-1",
            "1_0",
            "infinit",
            "1\0",
        ] {
            assert_eq!(parse_double(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn bounds_are_read_more_loosely() {
        assert_eq!(read(b""), Some(0.0));
        assert_eq!(read(b" \t1"), Some(1.0));
        assert_eq!(read(b"1e400"), Some(f64::INFINITY));
        assert_eq!(read(b"5\0x"), Some(5.0));
        assert_eq!(read(b" "), None);
        assert_eq!(read(b"nan"), None);
    }
}
