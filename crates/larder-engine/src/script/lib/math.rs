//! `math.random` and `math.randomseed`, over the engine's own randomness instead of the process's.
//!
//! Reference: <https://redis.io/docs/latest/develop/interact/programmability/lua-api/#math-library>. The numbers are
//! those of the 48-bit congruential generator that Redis uses, so a script that sets a seed sees what it sees there.

use crate::script::{
    native::{Call, Native, Raise},
    number,
    stack::Index,
};

pub(in crate::script) const FUNCTIONS: &[(&str, Native)] = &[("random", random), ("randomseed", randomseed)];

/// One step of the generator (POSIX `lrand48`): the next state, of which the upper 31 bits are the number.
const fn step(state: u64) -> u64 {
    state.wrapping_mul(0x5_deec_e66d).wrapping_add(0xb) & ((1 << 48) - 1)
}

/// From 0 up to, not including, 1.
fn unit(call: &Call<'_>) -> f64 {
    const NUMBERS: u64 = i32::MAX as u64;
    let state = step(call.host().random_state());
    call.host().set_random_state(state);
    ((state >> 17) % NUMBERS) as f64 / NUMBERS as f64
}

fn random(call: &mut Call<'_>) -> Result<usize, Raise> {
    let unit = unit(call);
    let number = match call.args() {
        0 => unit,
        1 => within(unit, 1, bound(call, 1)?, 1)?,
        2 => within(unit, bound(call, 1)?, bound(call, 2)?, 2)?,
        _ => return Err(Raise::text("wrong number of arguments")),
    };
    call.stack.push_number(number);
    Ok(1)
}

fn bound(call: &Call<'_>, at: Index) -> Result<i32, Raise> {
    Ok(number::to_integer(call.number(at)?) as i32)
}

fn within(unit: f64, low: i32, high: i32, at: Index) -> Result<f64, Raise> {
    if low > high {
        return Err(Raise::Argument(at, "interval is empty".into()));
    }
    let span = f64::from(high) - f64::from(low) + 1.0;
    Ok((unit * span).floor() + f64::from(low))
}

fn randomseed(call: &mut Call<'_>) -> Result<usize, Raise> {
    let seed = bound(call, 1)?;
    call.host().set_random_state(u64::from(seed as u32) << 16 | 0x330e);
    Ok(0)
}
