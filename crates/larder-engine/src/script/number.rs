//! Numbers as C's `printf("%.*g")` writes them, which is how Redis hands Lua's numbers to commands.

use std::io::Write;

/// Writes `number` with so many significant digits, in the manner of `%g`.
pub(super) fn write_general(out: &mut Vec<u8>, number: f64, digits: usize) {
    /// Integers below this are exact, and `%.17g` writes them without exponent or fraction.
    const EXACT_MAX: f64 = 1e15;
    let integral = number.trunc() == number && number.abs() < EXACT_MAX;
    if integral && !(number == 0.0 && number.is_sign_negative()) && number.abs() < 10f64.powi(digits as i32) {
        out.extend_from_slice(itoa::Buffer::new().format(number as i64).as_bytes());
        return;
    }
    if !number.is_finite() {
        return write_unusual(out, number);
    }
    let scientific = format!("{number:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').expect("`e` formatting writes an `e`");
    let exponent: i32 = exponent.parse().expect("an exponent is an integer");
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        let mantissa = without_trailing_zeros(mantissa);
        write!(out, "{mantissa}e{sign}{:02}", exponent.abs()).expect("a Vec takes everything");
    } else {
        let fraction = (digits as i32 - 1 - exponent).max(0) as usize;
        let fixed = format!("{number:.fraction$}");
        out.extend_from_slice(without_trailing_zeros(&fixed).as_bytes());
    }
}

fn write_unusual(out: &mut Vec<u8>, number: f64) {
    if number.is_sign_negative() {
        out.push(b'-');
    }
    out.extend_from_slice(if number.is_nan() { b"nan" } else { b"inf" });
}

fn without_trailing_zeros(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

/// A number cut to an integer as C's cast does it on the machines Redis runs on.
pub(super) fn to_integer(number: f64) -> i64 {
    /// 2^63, the first float that does not fit.
    const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;
    if (-TOO_LARGE..TOO_LARGE).contains(&number) {
        number as i64
    } else {
        i64::MIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn general(number: f64, digits: usize) -> String {
        let mut out = Vec::new();
        write_general(&mut out, number, digits);
        String::from_utf8(out).unwrap()
    }

    /// The right-hand sides are what `printf` of glibc prints.
    #[test]
    fn numbers_are_written_as_printf_does() {
        for (number, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (-17.0, "-17"),
            (0.1, "0.10000000000000001"),
            (3.3, "3.2999999999999998"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (1e-5, "1.0000000000000001e-05"),
            (0.0001, "0.0001"),
            (1e100, "1e+100"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(general(number, 17), expected);
        }
        assert_eq!(general(0.1, 14), "0.1");
        assert_eq!(general(1e15, 14), "1e+15");
        assert_eq!(general(123_456_789_012_345.0, 14), "1.2345678901234e+14");
    }

    #[test]
    fn integers_are_cut_as_c_does() {
        assert_eq!(to_integer(3.99), 3);
        assert_eq!(to_integer(-3.99), -3);
        assert_eq!(to_integer(1e300), i64::MIN);
        assert_eq!(to_integer(f64::NAN), i64::MIN);
    }
}
