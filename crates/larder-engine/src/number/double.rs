//! Floating-point numbers as Redis 7.0 prints them in replies: C's `%.17g`.

/// Integers below this are exact, and `%.17g` prints them without exponent or fraction.
const EXACT_MAX: f64 = 1e15;

/// Significant digits: enough that reading them back gives the same number.
const DIGITS: usize = 17;

/// `number` with 17 significant digits, in scientific notation where that is shorter.
pub(crate) fn shown(number: f64) -> String {
    if number.is_nan() {
        return "nan".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.into();
    }
    let is_negative_zero = number == 0.0 && number.is_sign_negative();
    if number.trunc() == number && number.abs() < EXACT_MAX && !is_negative_zero {
        return itoa::Buffer::new().format(number as i64).into();
    }
    let scientific = format!("{number:.*e}", DIGITS - 1);
    let (mantissa, exponent) = scientific.split_once('e').expect("`e` formatting writes an `e`");
    let exponent: i32 = exponent.parse().expect("an exponent is an integer");
    if (-4..DIGITS as i32).contains(&exponent) {
        let fraction = (DIGITS as i32 - 1 - exponent) as usize;
        return trimmed(&format!("{number:.fraction$}")).into();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs())
}

fn trimmed(digits: &str) -> &str {
    if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.')
    } else {
        digits
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    /// The texts are what glibc's `printf` gives.
    #[test]
    fn doubles_are_printed_as_by_printf() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (0.1, "0.10000000000000001"),
            (3.3, "3.2999999999999998"),
            (0.5, "0.5"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (0.0001, "0.0001"),
            (1e-5, "1.0000000000000001e-05"),
            (1e300, "1.0000000000000001e+300"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(shown(number), text);
        }
    }
}
