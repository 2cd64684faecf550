//! `cmsgpack.unpack` and its kin: a reader of MessagePack that pushes what it reads.

use crate::script::{
    native::{Call, Raise},
    number,
    stack::{Index, Kind, Stack},
};

pub(super) fn unpack(call: &mut Call<'_>) -> Result<usize, Raise> {
    read_all(call, 0, 0)
}

/// `unpack_one(bytes [, offset])`: where to go on (-1 at the end), then the value.
pub(super) fn unpack_one(call: &mut Call<'_>) -> Result<usize, Raise> {
    let offset = optional(call, 2)?;
    read_all(call, 1, offset)
}

/// `unpack_limit(bytes, limit [, offset])`.
pub(super) fn unpack_limit(call: &mut Call<'_>) -> Result<usize, Raise> {
    let limit = number::to_integer(call.number(2)?);
    let offset = optional(call, 3)?;
    read_all(call, limit, offset)
}

fn optional(call: &Call<'_>, at: Index) -> Result<i64, Raise> {
    match call.stack.kind(at) {
        Kind::None | Kind::Nil => Ok(0),
        _ => call.number(at).map(number::to_integer),
    }
}

/// Reads `limit` values (0: all) from `offset` on.
fn read_all(call: &mut Call<'_>, limit: i64, offset: i64) -> Result<usize, Raise> {
    // A copy: pushing tables and taking them apart needs the stack.
    let bytes = call.bytes(1)?.to_vec();
    if offset < 0 || limit < 0 {
        return Err(Raise::text(format!(
            "Invalid request to unpack with offset of {offset} and limit of {}.",
            bytes.len()
        )));
    }
    let rest = usize::try_from(offset)
        .ok()
        .and_then(|offset| bytes.get(offset..))
        .ok_or_else(|| {
            Raise::text(format!(
                "Start offset {offset} greater than input length {}.",
                bytes.len()
            ))
        })?;
    let all = limit == 0 && offset == 0;
    let limit = if limit == 0 { usize::MAX } else { limit as usize };
    let mut reader = Reader { rest, depth: 0 };
    let bottom = call.stack.top();
    let mut count = 0;
    while count < limit && !reader.rest.is_empty() {
        reader.value(call.stack)?;
        count += 1;
    }
    if all {
        return Ok(count);
    }
    let next = if reader.rest.is_empty() {
        -1.0
    } else {
        (bytes.len() - reader.rest.len()) as f64
    };
    call.stack.push_number(next);
    call.stack.insert(bottom + 1);
    Ok(count + 1)
}

/// Deeper nesting would exhaust this thread's stack before Lua's.
const DEPTH_MAX: u32 = 1000;

struct Reader<'a> {
    rest: &'a [u8],
    depth: u32,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Raise> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or_else(|| Raise::text("Missing bytes in input."))?;
        self.rest = rest;
        Ok(taken)
    }

    fn unsigned(&mut self, width: usize) -> Result<u64, Raise> {
        let bytes = self.take(width)?;
        Ok(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn signed(&mut self, width: usize) -> Result<f64, Raise> {
        let unused = 64 - 8 * width as u32;
        Ok(((self.unsigned(width)? << unused) as i64 >> unused) as f64)
    }

    /// Reads one value and pushes it.
    fn value(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        if !stack.room(4) {
            return Err(Raise::text(
                "too many return values at once; use unpack_one or unpack_limit instead.",
            ));
        }
        let code = self.take(1)?[0];
        match code {
            0x00..=0x7f => stack.push_number(f64::from(code)),
            0xe0..=0xff => stack.push_number(f64::from(code as i8)),
            0x80..=0x8f => self.map(stack, usize::from(code & 15))?,
            0x90..=0x9f => self.list(stack, usize::from(code & 15))?,
            0xa0..=0xbf => stack.push_bytes(self.take(usize::from(code & 31))?),
            0xc0 => stack.push_nil(),
            0xc2 | 0xc3 => stack.push_boolean(code == 0xc3),
            0xca => stack.push_number(f64::from(f32::from_bits(self.unsigned(4)? as u32))),
            0xcb => stack.push_number(f64::from_bits(self.unsigned(8)?)),
            0xcc..=0xcf => stack.push_number(self.unsigned(1 << (code - 0xcc))? as f64),
            0xd0..=0xd3 => stack.push_number(self.signed(1 << (code - 0xd0))?),
            _ => self.long(stack, code)?,
        }
        Ok(())
    }

    /// What has its length in bytes of its own.
    fn long(&mut self, stack: &mut Stack, code: u8) -> Result<(), Raise> {
        let width = match code {
            0xd9 => 1,
            0xda | 0xdc | 0xde => 2,
            0xdb | 0xdd | 0xdf => 4,
            _ => return Err(Raise::text("Bad data format in input.")),
        };
        let len = self.unsigned(width)? as usize;
        match code {
            0xdc | 0xdd => self.list(stack, len),
            0xde | 0xdf => self.map(stack, len),
            _ => {
                stack.push_bytes(self.take(len)?);
                Ok(())
            }
        }
    }

    fn descend(&mut self, stack: &Stack) -> Result<(), Raise> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Raise::text("Bad data format in input."));
        }
        stack.push_table(0, 0);
        Ok(())
    }

    fn list(&mut self, stack: &mut Stack, len: usize) -> Result<(), Raise> {
        self.descend(stack)?;
        for i in 1..=len {
            self.value(stack)?;
            stack.raw_set_item(-2, i);
        }
        self.depth -= 1;
        Ok(())
    }

    fn map(&mut self, stack: &mut Stack, len: usize) -> Result<(), Raise> {
        self.descend(stack)?;
        for _ in 0..len {
            self.value(stack)?;
            if unfit_as_key(stack) {
                return Err(Raise::text("Bad data format in input."));
            }
            self.value(stack)?;
            stack.raw_set(-3);
        }
        self.depth -= 1;
        Ok(())
    }
}

/// Lua's tables take neither nil nor NaN as a key.
fn unfit_as_key(stack: &Stack) -> bool {
    match stack.kind(-1) {
        Kind::Nil => true,
        Kind::Number => stack.number(-1).is_some_and(f64::is_nan),
        _ => false,
    }
}
