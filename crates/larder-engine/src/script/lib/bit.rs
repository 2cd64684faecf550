//! The library `bit`: operations on 32-bit integers.
//!
//! Reference: <https://bitop.luajit.org/api.html>. Numbers are taken modulo 2^32, and results are signed.

use crate::script::{
    native::{Call, Native, Raise},
    number,
    stack::{Index, Kind},
};

pub(in crate::script) const FUNCTIONS: &[(&str, Native)] = &[
    ("tobit", |call| unary(call, |x| x)),
    ("bnot", |call| unary(call, |x| !x)),
    ("bswap", |call| unary(call, u32::swap_bytes)),
    ("band", |call| fold(call, |x, y| x & y)),
    ("bor", |call| fold(call, |x, y| x | y)),
    ("bxor", |call| fold(call, |x, y| x ^ y)),
    ("lshift", |call| shift(call, |x, n| x << n)),
    ("rshift", |call| shift(call, |x, n| x >> n)),
    ("arshift", |call| shift(call, |x, n| (x as i32 >> n) as u32)),
    ("rol", |call| shift(call, u32::rotate_left)),
    ("ror", |call| shift(call, u32::rotate_right)),
    ("tohex", tohex),
];

fn operand(call: &Call<'_>, at: Index) -> Result<u32, Raise> {
    /// 1.5 * 2^52: added to a number, it leaves the number's low 32 bits, rounded, in the sum's low bits.
    const BIAS: f64 = 6_755_399_441_055_744.0;
    Ok((call.number(at)? + BIAS).to_bits() as u32)
}

fn give(call: &mut Call<'_>, value: u32) -> Result<usize, Raise> {
    call.stack.push_number(f64::from(value as i32));
    Ok(1)
}

fn unary(call: &mut Call<'_>, operation: fn(u32) -> u32) -> Result<usize, Raise> {
    let value = operation(operand(call, 1)?);
    give(call, value)
}

fn fold(call: &mut Call<'_>, operation: fn(u32, u32) -> u32) -> Result<usize, Raise> {
    let mut value = operand(call, 1)?;
    for at in 2..=call.args() as Index {
        value = operation(value, operand(call, at)?);
    }
    give(call, value)
}

fn shift(call: &mut Call<'_>, operation: fn(u32, u32) -> u32) -> Result<usize, Raise> {
    let value = operation(operand(call, 1)?, operand(call, 2)? & 31);
    give(call, value)
}

/// `tohex(x [, digits])`: the lowest digits; a negative number asks for capitals.
fn tohex(call: &mut Call<'_>) -> Result<usize, Raise> {
    let value = operand(call, 1)?;
    let digits = match call.stack.kind(2) {
        Kind::None => 8,
        _ => number::to_integer(call.number(2)?).clamp(-8, 8),
    };
    let text = if digits < 0 {
        format!("{value:08X}")
    } else {
        format!("{value:08x}")
    };
    let text = &text[8 - digits.unsigned_abs() as usize..];
    call.stack.push_bytes(text.as_bytes());
    Ok(1)
}
