//! The library `struct`: numbers and strings as bytes, and back.
//!
//! Reference: <https://redis.io/docs/latest/develop/interact/programmability/lua-api/#struct-library>. Formats:
//! `>` `<` byte order (the machine's at first), `!n` alignment up to n (8 without a number; none at first),
//! `x` a zero byte, `b B` 1, `h H` 2, `l L T` 8, `in In` n bytes (4 without a number), `f` `d` floats,
//! `s` a string ending in a zero byte, `cn` n bytes (`c0`: as many as the number before says). Capitals are
//! unsigned. A space means nothing.

use crate::script::{
    native::{Call, Native, Raise},
    number,
    stack::Index,
};

pub(in crate::script) const FUNCTIONS: &[(&str, Native)] = &[("pack", pack), ("unpack", unpack), ("size", size)];

/// The widest `i` or `I`.
const INTEGER_SIZE_MAX: usize = 32;

/// What `!` without a number aligns to.
const ALIGNMENT: usize = 8;

/// One item of a format: its letter and how many bytes it takes (0: the letter alone does not say).
struct Item {
    letter: u8,
    size: usize,
}

/// A format being read, with what its control letters have set.
struct Format<'a> {
    rest: &'a [u8],
    big_endian: bool,
    alignment: usize,
    /// Letters that mean nothing are refused; `size` lets letters and digits pass, as Redis's does.
    strict: bool,
}

impl<'a> Format<'a> {
    const fn new(text: &'a [u8]) -> Self {
        Self {
            rest: text,
            big_endian: cfg!(target_endian = "big"),
            alignment: 1,
            strict: true,
        }
    }

    /// The next item that is not a control letter, once those before it have taken effect.
    fn next(&mut self) -> Result<Option<Item>, Raise> {
        // Like a C string, a format ends at a zero byte.
        while let Some((&letter, rest)) = self.rest.split_first().filter(|(letter, _)| **letter != 0) {
            self.rest = rest;
            let size = match letter {
                b'b' | b'B' | b'x' => 1,
                b'h' | b'H' => 2,
                b'f' => 4,
                b'l' | b'L' | b'T' | b'd' => 8,
                b'c' => self.count(1)?,
                b'i' | b'I' => self.integer_size()?,
                b's' => 0,
                _ => {
                    self.control(letter)?;
                    continue;
                }
            };
            return Ok(Some(Item { letter, size }));
        }
        Ok(None)
    }

    fn control(&mut self, letter: u8) -> Result<(), Raise> {
        match letter {
            b' ' => {}
            b'>' => self.big_endian = true,
            b'<' => self.big_endian = false,
            b'!' => {
                let alignment = self.count(ALIGNMENT)?;
                if !alignment.is_power_of_two() {
                    return Err(Raise::text(format!("alignment {alignment} is not a power of 2")));
                }
                self.alignment = alignment;
            }
            other if !self.strict && other.is_ascii_alphanumeric() => {}
            other => {
                let text = format!("invalid format option '{}'", char::from(other));
                return Err(Raise::Argument(1, text.into()));
            }
        }
        Ok(())
    }

    fn integer_size(&mut self) -> Result<usize, Raise> {
        match self.count(4)? {
            size if size > INTEGER_SIZE_MAX => Err(Raise::text(format!(
                "integral size {size} is larger than limit of {INTEGER_SIZE_MAX}"
            ))),
            size => Ok(size),
        }
    }

    /// The digits that come next, or a default.
    fn count(&mut self, default: usize) -> Result<usize, Raise> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(digits);
        if digits.is_empty() {
            return Ok(default);
        }
        self.rest = rest;
        std::str::from_utf8(digits)
            .ok()
            .and_then(|text| text.parse::<i32>().ok())
            .map(|n| n as usize)
            .ok_or_else(|| Raise::text("integral size overflow"))
    }

    /// Bytes to skip so that an item at `position` is aligned.
    fn padding(&self, item: &Item, position: usize) -> usize {
        if item.size == 0 || item.letter == b'c' {
            return 0;
        }
        let size = item.size.min(self.alignment);
        size.wrapping_sub(position & (size - 1)) & (size - 1)
    }
}

fn pack(call: &mut Call<'_>) -> Result<usize, Raise> {
    call.bytes(1)?;
    // What is missing reads as nil, as in Redis, which marks the end of the arguments with one.
    call.stack.push_nil();
    let mut format = Format::new(call.bytes(1)?);
    let mut out = Vec::with_capacity(64);
    let mut at: Index = 2;
    while let Some(item) = format.next()? {
        out.resize(out.len() + format.padding(&item, out.len()), 0);
        match item.letter {
            b'x' => out.push(0),
            b's' | b'c' => pack_string(call, at, &item, &mut out)?,
            b'f' => pack_bytes(&mut out, (call.number(at)? as f32).to_le_bytes(), format.big_endian),
            b'd' => pack_bytes(&mut out, call.number(at)?.to_le_bytes(), format.big_endian),
            _ => pack_integer(&mut out, call.number(at)?, item.size, format.big_endian),
        }
        at += Index::from(item.letter != b'x');
    }
    call.stack.push_bytes(&out);
    Ok(1)
}

fn pack_bytes<const N: usize>(out: &mut Vec<u8>, mut bytes: [u8; N], big_endian: bool) {
    if big_endian {
        bytes.reverse();
    }
    out.extend_from_slice(&bytes);
}

fn pack_integer(out: &mut Vec<u8>, number: f64, size: usize, big_endian: bool) {
    /// 2^63: from here on only an unsigned integer can hold the number.
    const SIGNED_END: f64 = 9_223_372_036_854_775_808.0;
    let value = if number < SIGNED_END {
        number::to_integer(number) as u64
    } else {
        number as u64
    };
    let mut bytes = [0; INTEGER_SIZE_MAX];
    bytes[..8].copy_from_slice(&value.to_le_bytes());
    if big_endian {
        bytes[..size].reverse();
    }
    out.extend_from_slice(&bytes[..size]);
}

fn pack_string(call: &Call<'_>, at: Index, item: &Item, out: &mut Vec<u8>) -> Result<(), Raise> {
    let text = call.bytes(at)?;
    let size = if item.size == 0 { text.len() } else { item.size };
    let cut = text
        .get(..size)
        .ok_or(Raise::Argument(at + 1, "string too short".into()))?;
    out.extend_from_slice(cut);
    if item.letter == b's' {
        out.push(0);
    }
    Ok(())
}

fn unpack(call: &mut Call<'_>) -> Result<usize, Raise> {
    let start = optional_position(call)?;
    let bottom = call.stack.top();
    let mut position = start;
    let mut sized = None;
    // Results are pushed while the arguments stay borrowed; a size that `c0` consumes is held back in `sized`.
    let stack = &*call.stack;
    let mut format = Format::new(call.bytes(1)?);
    let data = call.bytes(2)?;
    while let Some(item) = format.next()? {
        position += format.padding(&item, position);
        within(data, position, item.size)?;
        if !stack.room(3) {
            return Err(Raise::text("stack overflow (too many results)"));
        }
        let held = if item.letter == b'x' { None } else { sized.take() };
        let takes_held = item.letter == b'c' && item.size == 0;
        if let (Some(number), false) = (held, takes_held) {
            stack.push_number(number);
        }
        position += match item.letter {
            b'x' => 1,
            b's' => unpack_string(stack, &data[position..])?,
            b'c' => {
                let size = if takes_held {
                    counted(held, data, position)?
                } else {
                    item.size
                };
                stack.push_bytes(&data[position..position + size]);
                size
            }
            _ => {
                sized = Some(unpack_number(
                    &item,
                    &data[position..position + item.size],
                    format.big_endian,
                ));
                item.size
            }
        };
    }
    if let Some(number) = sized {
        stack.push_number(number);
    }
    stack.push_number((position + 1) as f64);
    Ok((stack.top() - bottom) as usize)
}

/// Where to begin, from 0; scripts count from 1.
fn optional_position(call: &Call<'_>) -> Result<usize, Raise> {
    use crate::script::stack::Kind;
    if matches!(call.stack.kind(3), Kind::None | Kind::Nil) {
        return Ok(0);
    }
    match number::to_integer(call.number(3)?) {
        position if position > 0 => Ok(position as usize - 1),
        // Beyond what can be: the data ends before it.
        i64::MIN..0 => Ok(usize::MAX >> 1),
        _ => Err(Raise::Argument(3, "offset must be 1 or greater".into())),
    }
}

fn within(data: &[u8], position: usize, size: usize) -> Result<(), Raise> {
    if size <= data.len() && position <= data.len() - size {
        Ok(())
    } else {
        Err(Raise::Argument(2, "data string too short".into()))
    }
}

/// The size that the number before a `c0` gives.
fn counted(held: Option<f64>, data: &[u8], position: usize) -> Result<usize, Raise> {
    let size = held.ok_or_else(|| Raise::text("format 'c0' needs a previous size"))?;
    let size = usize::try_from(number::to_integer(size)).unwrap_or(usize::MAX);
    within(data, position, size)?;
    Ok(size)
}

/// Pushes the string up to the zero byte; how many bytes it took.
fn unpack_string(stack: &crate::script::stack::Stack, data: &[u8]) -> Result<usize, Raise> {
    let end = data
        .iter()
        .position(|&byte| byte == 0)
        .ok_or_else(|| Raise::text("unfinished string in data"))?;
    stack.push_bytes(&data[..end]);
    Ok(end + 1)
}

fn unpack_number(item: &Item, bytes: &[u8], big_endian: bool) -> f64 {
    match item.letter {
        b'f' => f64::from(f32::from_bits(unsigned(bytes, big_endian) as u32)),
        b'd' => f64::from_bits(unsigned(bytes, big_endian)),
        letter if letter.is_ascii_uppercase() => unsigned(bytes, big_endian) as f64,
        _ => {
            let unused = 64 - 8 * item.size.clamp(1, 8) as u32;
            ((unsigned(bytes, big_endian) << unused) as i64 >> unused) as f64
        }
    }
}

/// The lowest 64 bits of an integer of any width.
fn unsigned(bytes: &[u8], big_endian: bool) -> u64 {
    let push = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    if big_endian {
        bytes.iter().fold(0, push)
    } else {
        bytes.iter().rev().fold(0, push)
    }
}

fn size(call: &mut Call<'_>) -> Result<usize, Raise> {
    let mut format = Format::new(call.bytes(1)?);
    format.strict = false;
    let mut total = 0;
    while let Some(item) = format.next()? {
        if item.size == 0 && matches!(item.letter, b's' | b'c') {
            let option = if item.letter == b's' { "s" } else { "c0" };
            return Err(Raise::Argument(
                1,
                format!("option '{option}' has no fixed size").into(),
            ));
        }
        total += format.padding(&item, total) + item.size;
    }
    call.stack.push_number(total as f64);
    Ok(1)
}
