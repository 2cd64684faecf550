//! Reading and writing C's `double`.

use super::hexadecimal;

/// A number as Redis reads scores and increments: as [`read`], but without spaces before it, and neither too large
/// nor too small to be told from infinity or zero.
pub(crate) fn parse_double(text: &[u8]) -> Option<f64> {
    let number = read(text).filter(|_| !text.first().is_some_and(is_space))?;
    let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    let overflowed = number.is_infinite() && !digits.first().is_some_and(u8::is_ascii_alphabetic);
    let vanished = number == 0.0 && !is_written_zero(digits);
    (!text.is_empty() && !text.contains(&0) && !overflowed && !vanished).then_some(number)
}

/// A number as `strtod` reads it when it must use all of the text up to a zero byte: spaces before it are skipped, no
/// text at all is 0, too large is infinite. Never NaN.
pub(crate) fn read(text: &[u8]) -> Option<f64> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(0.0);
    }
    let text = &text[text.iter().take_while(|byte| is_space(byte)).count()..];
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1.0, rest),
        [b'+', rest @ ..] => (1.0, rest),
        _ => (1.0, text),
    };
    let magnitude = match digits {
        [b'0', b'x' | b'X', hex @ ..] => hexadecimal::parse(hex)?.to_f64(),
        // Rust reads a second sign where C does not.
        [b'-' | b'+', ..] => return None,
        _ => std::str::from_utf8(digits).ok()?.parse().ok()?,
    };
    (!magnitude.is_nan()).then_some(sign * magnitude)
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
