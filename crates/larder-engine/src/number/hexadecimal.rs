//! Numbers in C's hexadecimal notation: `0x1.8p3` is 12.

use super::parse_exponent;

/// `mantissa` × 2^`exponent`; the mantissa's lowest bit is set if digits beyond it were not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hexadecimal {
    pub(super) mantissa: u128,
    pub(super) exponent: i32,
}

/// Reads what follows the `0x`.
pub(super) fn parse(text: &[u8]) -> Option<Hexadecimal> {
    /// Digits beyond these cannot move the mantissa but by being there at all.
    const KEPT_BITS: u32 = 120;
    let (mut mantissa, mut exponent, mut count, mut seen_point) = (0_u128, 0_i64, 0, false);
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        match (*byte as char).to_digit(16) {
            Some(digit) => {
                count += 1;
                exponent -= if seen_point { 4 } else { 0 };
                if mantissa >> KEPT_BITS == 0 {
                    mantissa = mantissa << 4 | u128::from(digit);
                } else {
                    mantissa |= u128::from(digit != 0);
                    exponent += 4;
                }
            }
            None if *byte == b'.' && !seen_point => seen_point = true,
            None => break,
        }
        rest = after;
    }
    if count == 0 {
        return None;
    }
    let exponent = parse_exponent(rest, b'p')?.saturating_add(exponent);
    // Far outside every format on either side, yet far from overflowing.
    let exponent = exponent.clamp(-100_000, 100_000) as i32;
    Some(Hexadecimal { mantissa, exponent })
}

impl Hexadecimal {
    pub(super) fn to_f64(self) -> f64 {
        // In two steps, since the power alone may lie outside the format while the product does not.
        let exponent = self.exponent.clamp(-2_000, 2_000);
        let half = exponent / 2;
        self.mantissa as f64 * 2_f64.powi(half) * 2_f64.powi(exponent - half)
    }
}
