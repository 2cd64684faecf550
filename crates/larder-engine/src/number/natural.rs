//! Natural numbers of any size, with just the operations that reading and printing a [`LongDouble`] exactly takes.
//!
//! Sizes stay below some 17,000 bits: the longest text that is read, and 10 to the largest power.
//!
//! [`LongDouble`]: super::LongDouble

use std::cmp::Ordering;

/// Base 2^32, the least significant word first, without leading zeros.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Natural(Vec<u32>);

const WORD_BITS: usize = 32;

impl Natural {
    pub(super) fn from_u64(n: u64) -> Self {
        Self(vec![n as u32, (n >> WORD_BITS) as u32]).trimmed()
    }

    pub(super) const fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bits it has.
    pub(super) fn bits(&self) -> usize {
        self.0
            .last()
            .map_or(0, |top| self.0.len() * WORD_BITS - top.leading_zeros() as usize)
    }

    /// Multiplies by `factor` and adds `term`.
    pub(super) fn mul_add(&mut self, factor: u32, term: u32) {
        let mut carry = u64::from(term);
        for word in &mut self.0 {
            carry += u64::from(*word) * u64::from(factor);
            *word = carry as u32;
            carry >>= WORD_BITS;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    /// Divides by `divisor` and gives the remainder.
    fn div_small(&mut self, divisor: u32) -> u32 {
        let mut remainder = 0;
        for word in self.0.iter_mut().rev() {
            let dividend = remainder << WORD_BITS | u64::from(*word);
            *word = (dividend / u64::from(divisor)) as u32;
            remainder = dividend % u64::from(divisor);
        }
        self.trim();
        remainder as u32
    }

    pub(super) fn shift_left(&mut self, bits: usize) {
        if self.is_zero() {
            return;
        }
        let within = bits % WORD_BITS;
        if within > 0 {
            self.mul_add(1 << within, 0);
        }
        self.0.splice(0..0, std::iter::repeat_n(0, bits / WORD_BITS));
    }

    /// Takes `other` away if it is not larger; whether it did.
    pub(super) fn sub_if_fits(&mut self, other: &Self) -> bool {
        if self.compare(other) == Ordering::Less {
            return false;
        }
        let mut borrow = 0;
        for (i, word) in self.0.iter_mut().enumerate() {
            let taken = i64::from(other.0.get(i).copied().unwrap_or(0)) + borrow;
            let difference = i64::from(*word) - taken;
            *word = difference as u32;
            borrow = i64::from(difference < 0);
        }
        self.trim();
        true
    }

    /// Its decimal digits.
    pub(super) fn into_decimal(mut self) -> String {
        const CHUNK: u32 = 1_000_000_000;
        let mut chunks = Vec::new();
        while !self.is_zero() {
            chunks.push(self.div_small(CHUNK));
        }
        let mut text = chunks.pop().unwrap_or(0).to_string();
        for chunk in chunks.iter().rev() {
            text.push_str(&format!("{chunk:09}"));
        }
        text
    }

    fn compare(&self, other: &Self) -> Ordering {
        let by_length = self.0.len().cmp(&other.0.len());
        by_length.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }

    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn trimmed(mut self) -> Self {
        self.trim();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_go_in_and_come_out() {
        let text = "340282366920938463463374607431768211456000000001";
        let mut n = Natural::default();
        text.bytes().for_each(|digit| n.mul_add(10, u32::from(digit - b'0')));
        assert_eq!(n.into_decimal(), text);
        assert_eq!(Natural::default().into_decimal(), "0");
    }

    #[test]
    fn shifts_and_differences() {
        let mut n = Natural::from_u64(3);
        n.shift_left(100);
        assert_eq!(
            (n.bits(), n.clone().into_decimal()),
            (102, "3802951800684688204490109616128".into())
        );
        let same = n.clone();
        assert!(!Natural::from_u64(1).sub_if_fits(&same));
        assert!(n.sub_if_fits(&Natural::from_u64(1)));
        assert_eq!(n.clone().into_decimal(), "3802951800684688204490109616127");
        assert!(n.sub_if_fits(&n.clone()) && n.is_zero());
    }
}
