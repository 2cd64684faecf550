//! Checks before functions of Lua's own libraries, which trust their arguments: a sum of bounds that overflows, a
//! pattern that recurses once per item, a write into a read-only table, work that no instruction counts.
//!
//! A guard looks at the arguments and the library's function then runs in the same call, so its error texts and
//! positions are its own.

use mlua::ffi;

use super::{
    native::{self, Call, Check, Host, Raise},
    stack::{Kind, Stack},
};

/// Redis (and Lua) have room for so many C results.
const RESULTS_MAX: i64 = 8_000;

/// Lua's matcher recurses once per item of a pattern; this many bytes fit a small thread's stack many times over.
const PATTERN_MAX: usize = 4_096;

/// Bytes of a repeated string: Redis's limit of any string.
const REPEATED_MAX: usize = 512 << 20;

/// What a coroutine's creation counts for, in instructions.
const COROUTINE_WORK: usize = 100;

const GUARDS: &[(&str, &[(&str, Check)])] = &[
    (
        "string",
        &[
            ("rep", rep),
            ("find", find),
            ("match", pattern),
            ("gmatch", pattern),
            ("gfind", pattern),
            ("gsub", pattern),
        ],
    ),
    ("table", &[("insert", insert), ("remove", shift)]),
    ("coroutine", &[("create", coroutine), ("wrap", coroutine)]),
];

/// Puts the guards before the functions of the globals.
pub(super) fn furnish(stack: &mut Stack, host: *const Host) {
    stack.push_copy(ffi::LUA_GLOBALSINDEX);
    place(stack, "unpack", unpack, host);
    // What is caught may have taken long: an allocation that was refused, for one.
    place(stack, "pcall", |call| call.spend(1), host);
    stack.pop(1);
    for (library, guards) in GUARDS {
        stack.raw_get_field(ffi::LUA_GLOBALSINDEX, library);
        for (name, check) in *guards {
            place(stack, name, *check, host);
        }
        stack.pop(1);
    }
}

/// Guards a function of the table on top, if it is there.
fn place(stack: &mut Stack, name: &str, check: Check, host: *const Host) {
    stack.raw_get_field(-1, name);
    if native::push_guarded(stack, check, host) {
        stack.raw_set_field(-2, name);
    }
}

/// `unpack(table, first, last)`: Lua counts the results in an `int`.
fn unpack(call: &mut Call<'_>) -> Result<(), Raise> {
    let (first, last) = (call.stack.integer(2), call.stack.integer(3));
    let last = if call.stack.is_absent(3) {
        call.stack.length(1)
    } else {
        last
    };
    let first = if call.stack.is_absent(2) { 1 } else { first };
    if i64::from(last) - i64::from(first) >= RESULTS_MAX {
        return Err(Raise::text("too many results to unpack"));
    }
    Ok(())
}

fn rep(call: &mut Call<'_>) -> Result<(), Raise> {
    let Some(len) = call.stack.bytes(1).map(<[u8]>::len) else {
        return Ok(());
    };
    let Some(times) = call.stack.number(2) else {
        return Ok(());
    };
    // An empty string counts as a byte: repeating it takes time as well.
    let bytes = times.max(0.0) * len.max(1) as f64;
    if bytes > REPEATED_MAX as f64 {
        return Err(Raise::text("resulting string too large"));
    }
    call.spend(bytes as usize / 4)
}

/// `find(text, pattern, first, plain)`.
fn find(call: &mut Call<'_>) -> Result<(), Raise> {
    let plain = call.stack.boolean(4);
    if plain { count_text(call) } else { pattern(call) }
}

fn pattern(call: &mut Call<'_>) -> Result<(), Raise> {
    const SPECIAL: &[u8] = b"^$*+?.([%-";
    let pattern = call.stack.bytes(2).unwrap_or_default();
    if pattern.len() > PATTERN_MAX && pattern.iter().any(|byte| SPECIAL.contains(byte)) {
        return Err(Raise::text("pattern too complex"));
    }
    count_text(call)
}

/// Counts a pass over the first argument.
fn count_text(call: &mut Call<'_>) -> Result<(), Raise> {
    let len = call.stack.bytes(1).map_or(0, <[u8]>::len);
    call.spend(len / 4)
}

/// `table.insert` writes without asking metatables.
fn insert(call: &mut Call<'_>) -> Result<(), Raise> {
    if is_protected(call.stack) {
        call.stack.push_bytes(b"Attempt to modify a readonly table");
        return Err(Raise::Top);
    }
    shift(call)
}

/// Counts what moves when an item comes or goes in the middle.
fn shift(call: &mut Call<'_>) -> Result<(), Raise> {
    let moved = if call.args() > 1 { call.stack.length(1) } else { 0 };
    call.spend(moved.unsigned_abs() as usize)
}

/// Whether the first argument is a table that the sandbox shows empty: its metatable says so.
fn is_protected(stack: &mut Stack) -> bool {
    if stack.kind(1) != Kind::Table || !stack.push_metatable(1) {
        return false;
    }
    stack.raw_get_field(-1, "readonly");
    let protected = stack.boolean(-1);
    stack.pop(2);
    protected
}

/// Each coroutine counts its own instructions from nothing.
fn coroutine(call: &mut Call<'_>) -> Result<(), Raise> {
    call.spend(COROUTINE_WORK)
}
