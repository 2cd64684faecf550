//! A HyperLogLog in a string: 16384 registers that say of how many different elements there were, to a percent or so.
//!
//! Byte for byte as Redis holds it: a header with the count that was found last, then the registers of 6 bits each (dense) or
//! runs of equal ones (sparse). See <https://redis.io/docs/latest/develop/data-types/probabilistic/hyperloglogs/> and, for
//! the estimate, Otmar Ertl, arXiv:1702.01284.

mod estimate;
mod sparse;

use estimate::estimate;

/// Bits of a hash that choose the register.
const INDEX_BITS: u32 = 14;
/// The other bits, whose zeros are counted.
const COUNTED_BITS: u32 = 64 - INDEX_BITS;
const REGISTERS: usize = 1 << INDEX_BITS;
const REGISTER_BITS: usize = 6;
const REGISTER_MAX: u8 = (1 << REGISTER_BITS) - 1;

const MAGIC: &[u8] = b"HYLL";
const ENCODING_AT: usize = MAGIC.len();
const CARDINALITY_AT: usize = 8;
const HEADER: usize = 16;
const DENSE_LEN: usize = HEADER + REGISTERS * REGISTER_BITS / 8;

/// The top bit of the count: it is out of date.
const STALE: u8 = 0b1000_0000;

const DENSE: u8 = 0;
const SPARSE: u8 = 1;

/// `hll-sparse-max-bytes` by default.
const SPARSE_MAX: usize = 3_000;

/// The bytes say that they are a HyperLogLog, and are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corrupt;

/// The registers, one byte each.
pub(crate) struct Registers(Box<[u8; REGISTERS]>);

impl Default for Registers {
    fn default() -> Self {
        Self(Box::new([0; REGISTERS]))
    }
}

/// One without elements.
pub(crate) fn empty() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + 2);
    bytes.extend(MAGIC);
    bytes.push(SPARSE);
    bytes.resize(HEADER, 0);
    sparse::push_zeros(&mut bytes, REGISTERS);
    bytes
}

/// Whether the bytes look like one.
pub(crate) fn is_one(bytes: &[u8]) -> bool {
    let known = bytes.len() >= HEADER && bytes.starts_with(MAGIC) && bytes[ENCODING_AT] <= SPARSE;
    known && (!is_dense(bytes) || bytes.len() == DENSE_LEN)
}

pub(crate) fn is_dense(bytes: &[u8]) -> bool {
    bytes[ENCODING_AT] == DENSE
}

/// Adds an element; whether that changed a register.
pub(crate) fn add(bytes: &mut Vec<u8>, element: &[u8]) -> Result<bool, Corrupt> {
    const SEED: u64 = 0xadc8_3b19;
    let hash = murmur(element, SEED);
    let index = hash as usize & (REGISTERS - 1);
    // A bit behind the last one ends the count.
    let rest = hash >> INDEX_BITS | 1 << COUNTED_BITS;
    raise(bytes, index, rest.trailing_zeros() as u8 + 1)
}

/// Raises a register to `count`; whether it was lower.
fn raise(bytes: &mut Vec<u8>, index: usize, count: u8) -> Result<bool, Corrupt> {
    if is_dense(bytes) {
        return Ok(raise_dense(bytes, index, count));
    }
    match sparse::raise(bytes, index, count)? {
        sparse::Raised::Not => Ok(false),
        sparse::Raised::Done => {
            invalidate(bytes);
            Ok(true)
        }
        sparse::Raised::TooLarge => {
            make_dense(bytes)?;
            Ok(raise_dense(bytes, index, count))
        }
    }
}

fn raise_dense(bytes: &mut [u8], index: usize, count: u8) -> bool {
    let registers = &mut bytes[HEADER..];
    let (at, shift) = (index * REGISTER_BITS / 8, index * REGISTER_BITS % 8);
    if count <= dense_register(registers, index) {
        return false;
    }
    let wide = |value: u8| (u16::from(value) << shift).to_le_bytes();
    let (mask, value) = (wide(REGISTER_MAX), wide(count));
    for (byte, (mask, value)) in registers[at..].iter_mut().zip(mask.into_iter().zip(value)) {
        *byte = *byte & !mask | value;
    }
    true
}

fn dense_register(registers: &[u8], index: usize) -> u8 {
    let (at, shift) = (index * REGISTER_BITS / 8, index * REGISTER_BITS % 8);
    let next = registers.get(at + 1).copied().unwrap_or(0);
    (u16::from_le_bytes([registers[at], next]) >> shift) as u8 & REGISTER_MAX
}

/// Goes over to registers of a fixed place. The count stays as it is.
pub(crate) fn make_dense(bytes: &mut Vec<u8>) -> Result<(), Corrupt> {
    if is_dense(bytes) {
        return Ok(());
    }
    let mut registers = Registers::default();
    registers.merge(bytes)?;
    bytes.truncate(HEADER);
    bytes[ENCODING_AT] = DENSE;
    bytes.resize(DENSE_LEN, 0);
    for (index, count) in registers.0.iter().enumerate() {
        raise_dense(bytes, index, *count);
    }
    Ok(())
}

/// The count of what was added has to be found anew.
pub(crate) fn invalidate(bytes: &mut [u8]) {
    bytes[HEADER - 1] |= STALE;
}

/// The count that was found last, if it holds.
pub(crate) fn known_count(bytes: &[u8]) -> Option<u64> {
    let count = bytes[CARDINALITY_AT..HEADER].try_into().expect("eight bytes");
    (bytes[HEADER - 1] & STALE == 0).then(|| u64::from_le_bytes(count))
}

/// Finds the count and keeps it.
pub(crate) fn count(bytes: &mut [u8]) -> Result<u64, Corrupt> {
    let mut registers = Registers::default();
    registers.merge(bytes)?;
    let count = registers.count();
    bytes[CARDINALITY_AT..HEADER].copy_from_slice(&count.to_le_bytes());
    Ok(count)
}

impl Registers {
    /// Raises each to that of `bytes`.
    pub(crate) fn merge(&mut self, bytes: &[u8]) -> Result<(), Corrupt> {
        let registers = &bytes[HEADER..];
        if !is_dense(bytes) {
            return sparse::each_run(registers, |range, count| {
                self.0[range].iter_mut().for_each(|one| *one = count.max(*one));
            });
        }
        for (index, one) in self.0.iter_mut().enumerate() {
            *one = dense_register(registers, index).max(*one);
        }
        Ok(())
    }

    /// How many different elements there were, about.
    pub(crate) fn count(&self) -> u64 {
        let mut histogram = [0_u32; REGISTER_MAX as usize + 1];
        self.0.iter().for_each(|count| histogram[usize::from(*count)] += 1);
        estimate(&histogram)
    }

    /// Raises the registers of `bytes` to these.
    pub(crate) fn write(&self, bytes: &mut Vec<u8>) -> Result<(), Corrupt> {
        for (index, count) in self.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            raise(bytes, index, *count)?;
        }
        invalidate(bytes);
        Ok(())
    }
}

/// MurmurHash64A.
fn murmur(bytes: &[u8], seed: u64) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    const R: u32 = 47;
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(M);
    let (blocks, rest) = bytes.as_chunks::<8>();
    for block in blocks {
        let mut k = u64::from_le_bytes(*block).wrapping_mul(M);
        k ^= k >> R;
        hash = (hash ^ k.wrapping_mul(M)).wrapping_mul(M);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(M);
    }
    hash ^= hash >> R;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> R
}
