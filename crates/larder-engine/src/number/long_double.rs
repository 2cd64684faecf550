//! C's `long double` as `INCRBYFLOAT` and `HINCRBYFLOAT` need it: read, added, printed.
//!
//! Redis on x86 computes these two in the 80-bit format: 64 bits of mantissa, 15 of exponent. That is why 0.1 + 0.2
//! is 0.3 there, which 64-bit floats do not give. Rust has no such type, so it is made of integers here; every
//! operation rounds to nearest, ties to even, as the hardware does.

use super::{hexadecimal, natural::Natural, parse_exponent};

/// A number in the 80-bit format; never NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LongDouble {
    /// `mantissa` × 2^`exponent`, the mantissa's top bit set unless the number is zero or denormal.
    Finite {
        negative: bool,
        mantissa: u64,
        exponent: i32,
    },
    Infinite {
        negative: bool,
    },
}

/// The largest and smallest power of two that a mantissa of 64 bits is multiplied with.
const EXPONENT_MAX: i32 = 16_383 - 63;
const EXPONENT_MIN: i32 = -16_382 - 63;

/// Redis reads at most so many characters.
const TEXT_MAX: usize = 5 * 1024 - 1;

/// Decimal exponents beyond which a number certainly overflows or vanishes.
const DECIMAL_MAX: i64 = 4_940;
const DECIMAL_MIN: i64 = -4_970;

impl LongDouble {
    /// Reads a decimal or hexadecimal number or an infinity, as `strtold` does and Redis allows: no spaces, nothing
    /// after it, no NaN, nothing too large or too small to be told from infinity or zero.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > TEXT_MAX {
            return None;
        }
        let (negative, digits) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        if digits.eq_ignore_ascii_case(b"inf") || digits.eq_ignore_ascii_case(b"infinity") {
            return Some(Self::Infinite { negative });
        }
        let number = match digits {
            [b'0', b'x' | b'X', hex @ ..] => parse_hexadecimal(negative, hex),
            _ => parse_decimal(negative, digits),
        }?;
        (!number.is_infinite()).then_some(number)
    }

    pub(crate) const fn is_infinite(self) -> bool {
        matches!(self, Self::Infinite { .. })
    }

    /// The sum, unless it is infinite or no number.
    pub(crate) fn checked_add(self, other: Self) -> Option<Self> {
        let (
            Self::Finite { negative, .. },
            Self::Finite {
                negative: other_negative,
                ..
            },
        ) = (self, other)
        else {
            return None;
        };
        let (large, small) = if self.exponent() >= other.exponent() {
            (self, other)
        } else {
            (other, self)
        };
        // 62 bits of room below, one above: exact up to that distance, beyond it one sticky bit is enough.
        const ROOM: u32 = 62;
        let distance = (large.exponent() - small.exponent()) as u32;
        let exponent = large.exponent() - ROOM as i32;
        let (a, b) = (
            large.mantissa() << ROOM,
            shift_right_sticky(small.mantissa() << ROOM, distance),
        );
        let sum = if negative == other_negative {
            Self::rounded(negative, a + b, exponent)
        } else {
            let negative = if a >= b {
                large.is_negative()
            } else {
                small.is_negative()
            };
            Self::rounded(negative && a != b, a.abs_diff(b), exponent)
        };
        (!sum.is_infinite()).then_some(sum)
    }

    const fn is_negative(self) -> bool {
        match self {
            Self::Finite { negative, .. } | Self::Infinite { negative } => negative,
        }
    }

    const fn mantissa(self) -> u128 {
        match self {
            Self::Finite { mantissa, .. } => mantissa as u128,
            Self::Infinite { .. } => 0,
        }
    }

    const fn exponent(self) -> i32 {
        match self {
            Self::Finite { exponent, .. } => exponent,
            Self::Infinite { .. } => EXPONENT_MAX,
        }
    }

    /// `mantissa` × 2^`exponent`, rounded into the format. The mantissa's lowest bit may be sticky if it is longer
    /// than 65 bits.
    fn rounded(negative: bool, mantissa: u128, exponent: i32) -> Self {
        const MANTISSA_BITS: i32 = 64;
        let bits = 128 - mantissa.leading_zeros() as i32;
        if bits == 0 {
            return Self::Finite {
                negative,
                mantissa: 0,
                exponent: EXPONENT_MIN,
            };
        }
        let cut = (bits - MANTISSA_BITS).max(EXPONENT_MIN - exponent);
        let (mut mantissa, mut exponent) = if cut > 0 {
            (shift_right_even(mantissa, cut as u32), exponent + cut)
        } else {
            (mantissa << -cut, exponent + cut)
        };
        if mantissa >> MANTISSA_BITS != 0 {
            (mantissa, exponent) = (mantissa >> 1, exponent + 1);
        }
        if exponent > EXPONENT_MAX {
            return Self::Infinite { negative };
        }
        Self::Finite {
            negative,
            mantissa: mantissa as u64,
            exponent,
        }
    }
}

impl std::fmt::Display for LongDouble {
    /// Seventeen decimals without the zeros at their end, as Redis prints for people: `%.17Lf`, trimmed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const DECIMALS: usize = 17;
        const SCALE: u128 = 10_u128.pow(DECIMALS as u32);
        let sign = if self.is_negative() { "-" } else { "" };
        let Self::Finite { mantissa, exponent, .. } = *self else {
            return write!(f, "{sign}inf");
        };
        if exponent >= 0 {
            let mut whole = Natural::from_u64(mantissa);
            whole.shift_left(exponent as usize);
            return write!(f, "{sign}{}", whole.into_decimal());
        }
        let scaled = shift_right_even(u128::from(mantissa) * SCALE, exponent.unsigned_abs());
        if scaled == 0 {
            return f.write_str("0");
        }
        let fraction = format!("{:0DECIMALS$}", scaled % SCALE);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{}{point}{fraction}", scaled / SCALE)
    }
}

fn parse_decimal(negative: bool, text: &[u8]) -> Option<LongDouble> {
    let (mut digits, mut point) = (Natural::default(), 0);
    let (mut count, mut significant, mut seen_point) = (0, 0_i64, false);
    let mut rest = text;
    while let [byte @ (b'0'..=b'9' | b'.'), after @ ..] = rest {
        if *byte == b'.' {
            if std::mem::replace(&mut seen_point, true) {
                return None;
            }
        } else {
            digits.mul_add(10, u32::from(byte - b'0'));
            count += 1;
            significant += i64::from(!digits.is_zero());
            point += i64::from(seen_point);
        }
        rest = after;
    }
    if count == 0 {
        return None;
    }
    let exponent = parse_exponent(rest, b'e')?.saturating_sub(point);
    if digits.is_zero() {
        return Some(LongDouble::rounded(negative, 0, 0));
    }
    if !(DECIMAL_MIN..=DECIMAL_MAX).contains(&significant.saturating_add(exponent)) {
        return None;
    }
    let number = scale_by_ten(negative, digits, exponent);
    (number.mantissa() != 0 || number.is_infinite()).then_some(number)
}

/// `digits` × 10^`exponent`.
fn scale_by_ten(negative: bool, mut digits: Natural, exponent: i64) -> LongDouble {
    let mut divisor = Natural::from_u64(1);
    let scaled = if exponent < 0 { &mut divisor } else { &mut digits };
    (0..exponent.unsigned_abs()).for_each(|_| scaled.mul_add(10, 0));
    // Both to the same length, then the quotient bit by bit: two more than the mantissa holds, and a sticky one.
    const QUOTIENT_BITS: i32 = 66;
    let shift = digits.bits() as i32 - divisor.bits() as i32;
    if shift >= 0 {
        divisor.shift_left(shift as usize);
    } else {
        digits.shift_left(shift.unsigned_abs() as usize);
    }
    let mut quotient = 0_u128;
    for _ in 0..=QUOTIENT_BITS {
        quotient = quotient << 1 | u128::from(digits.sub_if_fits(&divisor));
        digits.shift_left(1);
    }
    let sticky = u128::from(!digits.is_zero());
    LongDouble::rounded(negative, quotient << 1 | sticky, shift - QUOTIENT_BITS - 1)
}

fn parse_hexadecimal(negative: bool, text: &[u8]) -> Option<LongDouble> {
    let hexadecimal::Hexadecimal { mantissa, exponent } = hexadecimal::parse(text)?;
    let number = LongDouble::rounded(negative, mantissa, exponent);
    (mantissa == 0 || number.mantissa() != 0 || number.is_infinite()).then_some(number)
}

/// Shifts right; any bit lost sets the lowest one.
fn shift_right_sticky(n: u128, bits: u32) -> u128 {
    let kept = n.checked_shr(bits).unwrap_or(0);
    let lost = bits >= u128::BITS && n != 0 || bits < u128::BITS && kept << bits != n;
    kept | u128::from(lost)
}

/// Shifts right by at least one bit and rounds to nearest, ties to even.
fn shift_right_even(n: u128, bits: u32) -> u128 {
    let kept = n.checked_shr(bits).unwrap_or(0);
    let rest = if bits >= u128::BITS { n } else { n - (kept << bits) };
    // Where half of the last place does not fit, `n` is less than that.
    let half = 1_u128.checked_shl(bits - 1).unwrap_or(u128::MAX);
    let up = rest > half || rest == half && kept & 1 == 1;
    kept + u128::from(up)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(a: &str, b: &str) -> String {
        let parse = |text: &str| LongDouble::parse(text.as_bytes()).expect(text);
        parse(a).checked_add(parse(b)).expect("finite").to_string()
    }

    /// The sums are what redis-server 7.0.15 on x86 answers.
    #[test]
    fn sums_are_those_of_the_hardware() {
        for (a, b, sum) in [
            ("0.1", "0.2", "0.3"),
            ("0", "1.23456789012345678901234567890", "1.23456789012345679"),
            ("3.0e-20", "0", "0"),
            ("0", "-3e-20", "0"),
            ("-0", "-0", "0"),
            ("10.50", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("3", "-3", "0"),
            ("1", "-1.5", "-0.5"),
            ("0x10", "0x.8p1", "17"),
            ("9223372036854775807", "1", "9223372036854775808"),
            ("18446744073709551615", "2", "18446744073709551616"),
            ("18446744073709551615", "3", "18446744073709551618"),
            ("1e20", "0.5", "100000000000000000000"),
        ] {
            assert_eq!(add(a, b), sum, "{a} + {b}");
        }
        let large = add("0.3", "1e300");
        assert!(
            large.starts_with("1000000000000000000008997324079559") && large.len() == 301,
            "{large}"
        );
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "",
            " 1",
            "1 ",
            "nan",
            "1e5000",
            "1e-5000",
            "-1e99999999999999999999",
            "0x",
            "1e",
            "1e+",
            ".",
            "1.2.3",
            "--1",
            "0x1p99999",
            "0x1p-99999",
            "1f",
        ] {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text}");
        }
        assert!(LongDouble::parse(b"1e4932").is_some() && LongDouble::parse(b"1e4933").is_none());
        assert!(LongDouble::parse(b"-Infinity").is_some_and(LongDouble::is_infinite));
    }

    #[test]
    fn a_sum_beyond_the_format_is_none() {
        let most = LongDouble::parse(b"1.1e4932").unwrap();
        assert_eq!(most.checked_add(most), None);
    }

    /// Numbers that 64-bit floats hold exactly must come back as those print.
    #[test]
    fn parsing_and_printing_agree_with_narrower_floats() {
        let random = larder_base::Random::seeded(5);
        for _ in 0..2_000 {
            let number = (random.unit() - 0.5) * 2f64.powi(random.below(80) as i32 - 10);
            let expected = format!("{number:.17}");
            let expected = expected.trim_end_matches('0').trim_end_matches('.');
            let expected = if expected == "-0" { "0" } else { expected };
            let text = format!("{number:.60}");
            assert_eq!(
                LongDouble::parse(text.as_bytes()).unwrap().to_string(),
                expected,
                "{text}"
            );
        }
    }
}
