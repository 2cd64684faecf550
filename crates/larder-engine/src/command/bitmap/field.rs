//! An integer of some width among the bits of a string, the highest bit first.

/// `i16`, `u8`: whether it has a sign, and its width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    is_signed: bool,
    /// 1 to 64, without a sign to 63.
    pub(super) bits: usize,
}

/// What becomes of a number that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overflow {
    /// Its lowest bits are kept.
    Wrap,
    /// The nearest number that fits is.
    Saturate,
    /// Nothing is written.
    Fail,
}

impl Overflow {
    pub(super) fn named(word: &[u8]) -> Option<Self> {
        const NAMES: [(&str, Overflow); 3] = [
            ("WRAP", Overflow::Wrap),
            ("SAT", Overflow::Saturate),
            ("FAIL", Overflow::Fail),
        ];
        let known = NAMES
            .iter()
            .find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
        known.map(|(_, overflow)| *overflow)
    }
}

impl Field {
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let (is_signed, digits) = match text {
            [b'i', digits @ ..] => (true, digits),
            [b'u', digits @ ..] => (false, digits),
            _ => return None,
        };
        // C sees no more than what is before a zero byte.
        let digits = digits.split(|byte| *byte == 0).next().unwrap_or_default();
        let bits = usize::try_from(crate::command::parse_int(digits)?).ok()?;
        let widest = if is_signed { 64 } else { 63 };
        (1..=widest).contains(&bits).then_some(Self { is_signed, bits })
    }

    const fn max(self) -> i128 {
        (1 << (self.bits - self.is_signed as usize)) - 1
    }

    const fn min(self) -> i128 {
        if self.is_signed { -self.max() - 1 } else { 0 }
    }

    /// The number from bit `offset` on; bits behind the string are clear.
    pub(super) fn get(self, bytes: &[u8], offset: usize) -> i64 {
        let bit = |at: usize| bytes.get(at / 8).is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1);
        let bits = (offset..offset + self.bits).fold(0_u64, |value, at| value << 1 | u64::from(bit(at)));
        self.wrap(i128::from(bits))
    }

    /// Puts a number that fits from bit `offset` on; the string is long enough.
    pub(super) fn set(self, bytes: &mut [u8], offset: usize, value: i64) {
        for i in 0..self.bits {
            let (at, mask) = (offset + i, 0b1000_0000 >> ((offset + i) % 8));
            if value >> (self.bits - 1 - i) & 1 == 1 {
                bytes[at / 8] |= mask;
            } else {
                bytes[at / 8] &= !mask;
            }
        }
    }

    /// The lowest bits as a number of this field.
    const fn wrap(self, value: i128) -> i64 {
        let room = 128 - self.bits as u32;
        let shifted = value << room;
        if self.is_signed {
            (shifted >> room) as i64
        } else {
            (shifted.cast_unsigned() >> room) as i64
        }
    }

    /// A number to be written; none if it must not be. Without a sign a negative one counts as very large, as in C.
    pub(super) const fn fit(self, value: i64, overflow: Overflow) -> Option<i64> {
        let value = if self.is_signed {
            value as i128
        } else {
            value.cast_unsigned() as i128
        };
        self.limit(value, overflow)
    }

    /// The sum of what is there and this, to be written; none if it must not be.
    pub(super) const fn add(self, value: i64, more: i64, overflow: Overflow) -> Option<i64> {
        self.limit(value as i128 + more as i128, overflow)
    }

    const fn limit(self, value: i128, overflow: Overflow) -> Option<i64> {
        let fits = self.min() <= value && value <= self.max();
        match overflow {
            _ if fits => Some(value as i64),
            Overflow::Wrap => Some(self.wrap(value)),
            Overflow::Saturate if value > self.max() => Some(self.max() as i64),
            Overflow::Saturate => Some(self.min() as i64),
            Overflow::Fail => None,
        }
    }
}
