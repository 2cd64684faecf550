//! Runs of equal registers: `00zzzzzz` up to 64 zeros, `01zzzzzz zzzzzzzz` up to 16384 zeros, `1vvvvvnn` up to four registers
//! with a value up to 32.

use std::ops::Range;

use super::{Corrupt, HEADER, REGISTERS, SPARSE_MAX};

const ZEROS_MAX: usize = 64;
const VALUE_MAX: u8 = 32;
const VALUES_MAX: usize = 4;

/// Runs that a change may have made neighbours of their like.
const MERGED_AT_A_TIME: usize = 5;

/// One run.
#[derive(Clone, Copy)]
struct Run {
    /// How many registers it stands for.
    len: usize,
    value: u8,
    /// Bytes that it takes.
    bytes: usize,
}

impl Run {
    /// The run at `at`, which is in bounds.
    fn read(bytes: &[u8], at: usize) -> Self {
        let first = bytes[at];
        let low = usize::from(first & 0b11_1111);
        match first >> 6 {
            0 => Self {
                len: low + 1,
                value: 0,
                bytes: 1,
            },
            1 => Self {
                len: (low << 8 | usize::from(bytes.get(at + 1).copied().unwrap_or(0))) + 1,
                value: 0,
                bytes: 2,
            },
            _ => Self {
                len: usize::from(first & 0b11) + 1,
                value: (first >> 2 & 0b1_1111) + 1,
                bytes: 1,
            },
        }
    }
}

fn value_run(value: u8, len: usize) -> u8 {
    0b1000_0000 | (value - 1) << 2 | (len - 1) as u8
}

/// Appends a run of zeros.
pub(super) fn push_zeros(bytes: &mut Vec<u8>, len: usize) {
    let rest = len - 1;
    if len > ZEROS_MAX {
        bytes.push(0b0100_0000 | (rest >> 8) as u8);
    }
    bytes.push(rest as u8);
}

fn push_run(bytes: &mut Vec<u8>, value: u8, len: usize) {
    match (value, len) {
        (_, 0) => {}
        (0, len) => push_zeros(bytes, len),
        (value, len) => bytes.push(value_run(value, len)),
    }
}

/// Gives the registers of each run that has a value.
pub(super) fn each_run(runs: &[u8], mut give: impl FnMut(Range<usize>, u8)) -> Result<(), Corrupt> {
    let (mut at, mut index) = (0, 0);
    while at < runs.len() {
        let run = Run::read(runs, at);
        let end = index + run.len;
        if run.value > 0 {
            if end > REGISTERS {
                break;
            }
            give(index..end, run.value);
        }
        (at, index) = (at + run.bytes, end);
    }
    if index == REGISTERS { Ok(()) } else { Err(Corrupt) }
}

/// What came of raising a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raised {
    /// It was as high.
    Not,
    Done,
    /// Runs cannot hold it.
    TooLarge,
}

/// Raises a register to `count`.
pub(super) fn raise(bytes: &mut Vec<u8>, index: usize, count: u8) -> Result<Raised, Corrupt> {
    if count > VALUE_MAX {
        return Ok(Raised::TooLarge);
    }
    let (mut at, mut first, mut before) = (HEADER, 0, None);
    let run = loop {
        if at >= bytes.len() {
            return Err(Corrupt);
        }
        let run = Run::read(bytes, at);
        if index < first + run.len {
            break run;
        }
        before = Some(at);
        (at, first) = (at + run.bytes, first + run.len);
    };
    if run.value >= count {
        return Ok(Raised::Not);
    }
    let mut split = Vec::with_capacity(5);
    push_run(&mut split, run.value, index - first);
    split.push(value_run(count, 1));
    push_run(&mut split, run.value, first + run.len - 1 - index);
    let grows = split.len() > run.bytes;
    if grows && bytes.len() + split.len() - run.bytes > SPARSE_MAX {
        return Ok(Raised::TooLarge);
    }
    let end = (at + run.bytes).min(bytes.len());
    bytes.splice(at..end, split);
    merge(bytes, before.unwrap_or(HEADER));
    Ok(Raised::Done)
}

/// Joins runs of the same value that came to stand side by side.
fn merge(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..MERGED_AT_A_TIME {
        if at >= bytes.len() {
            return;
        }
        let run = Run::read(bytes, at);
        let next = (run.value > 0 && at + 1 < bytes.len()).then(|| Run::read(bytes, at + 1));
        match next {
            Some(next) if next.value == run.value && run.len + next.len <= VALUES_MAX => {
                bytes[at + 1] = value_run(run.value, run.len + next.len);
                bytes.remove(at);
            }
            _ => at += run.bytes,
        }
    }
}
