//! Byte strings and numbers one after another, each as short as it can be.

/// Byte strings, each after its length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed<'a>(pub(super) &'a [u8]);

impl<'a> Packed<'a> {
    /// Takes the number at the front.
    pub(super) fn number(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let (byte, rest) = self.0.split_first().expect("what was packed is whole");
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return number;
            }
            shift += 7;
        }
    }

    /// Takes the byte string at the front.
    pub(super) fn text(&mut self) -> &'a [u8] {
        let len = self.number() as usize;
        let (text, rest) = self.0.split_at(len);
        self.0 = rest;
        text
    }

    /// Takes so many byte strings.
    pub(super) fn take(&mut self, count: usize) -> Self {
        let all = self.0;
        (0..count).for_each(|_| _ = self.text());
        Self(&all[..all.len() - self.0.len()])
    }
}

/// Seven bits a byte, the lowest first, the top bit for "more".
pub(super) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(super) fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    push_number(out, text.len() as u64);
    out.extend_from_slice(text);
}

/// A signed difference as a small number: 0, -1, 1, -2, ..
pub(super) const fn zigzag(n: i64) -> u64 {
    (n as u64) << 1 ^ (n >> 63) as u64
}

pub(super) const fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_again() {
        let numbers = [0, 1, 127, 128, 300, u64::MAX];
        let mut out = Vec::new();
        numbers.iter().for_each(|number| push_number(&mut out, *number));
        ["", "a", "bc"]
            .iter()
            .for_each(|text| push_text(&mut out, text.as_bytes()));
        let mut packed = Packed(&out);
        assert_eq!(numbers.map(|_| packed.number()), numbers);
        let mut texts = packed.take(3);
        assert!(packed.0.is_empty());
        assert_eq!([texts.text(), texts.text(), texts.text()], [&b""[..], b"a", b"bc"]);
        for n in [0, 1, -1, i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(n)), n);
        }
    }
}
