//! The table `redis`: what scripts call the engine through.
//!
//! Reference: <https://redis.io/docs/latest/develop/interact/programmability/lua-api/>.

use super::{
    Sha,
    convert::on_one_line,
    native::{Call, Native, Raise},
    number,
    run::command,
    stack::{Kind, Stack},
};
use crate::client::Resp;

/// The version that scripts see: the one whose behaviour this engine follows.
const VERSION: &str = "7.0.15";
const VERSION_NUM: f64 = 0x0007_000f as f64;

pub(super) const FUNCTIONS: &[(&str, Native)] = &[
    ("call", call),
    ("pcall", pcall),
    ("error_reply", error_reply),
    ("status_reply", status_reply),
    ("sha1hex", sha1hex),
    ("log", log),
    ("setresp", setresp),
    ("set_repl", set_repl),
    ("replicate_commands", replicate_commands),
    ("acl_check_cmd", acl_check_cmd),
    ("breakpoint", breakpoint),
    ("debug", debug),
];

const CONSTANTS: &[(&str, f64)] = &[
    ("LOG_DEBUG", 0.0),
    ("LOG_VERBOSE", 1.0),
    ("LOG_NOTICE", 2.0),
    ("LOG_WARNING", 3.0),
    ("REPL_NONE", 0.0),
    ("REPL_AOF", 1.0),
    ("REPL_SLAVE", 2.0),
    ("REPL_REPLICA", 2.0),
    ("REPL_ALL", 3.0),
    ("REDIS_VERSION_NUM", VERSION_NUM),
];

/// Sets the constants in the table on top.
pub(super) fn add_constants(stack: &mut Stack) {
    for (name, value) in CONSTANTS {
        stack.push_number(*value);
        stack.raw_set_field(-2, name);
    }
    stack.push_bytes(VERSION.as_bytes());
    stack.raw_set_field(-2, "REDIS_VERSION");
}

fn call(call: &mut Call<'_>) -> Result<usize, Raise> {
    match command(call)? {
        Ok(()) => Ok(1),
        Err(_) => Err(Raise::Top),
    }
}

fn pcall(call: &mut Call<'_>) -> Result<usize, Raise> {
    _ = command(call)?;
    Ok(1)
}

/// `redis.error_reply(text)`: an error to return. A text without a space gets the code `ERR`.
fn error_reply(call: &mut Call<'_>) -> Result<usize, Raise> {
    let Some(text) = only_text(call) else {
        return call.give_field("err", WRONG_ARGUMENTS);
    };
    let text = text.strip_prefix(b"-").unwrap_or(&text);
    let text = match text.contains(&b' ') {
        true => on_one_line(text),
        false => format!("ERR {}", on_one_line(text)),
    };
    call.give_field("err", text.as_bytes())
}

fn status_reply(call: &mut Call<'_>) -> Result<usize, Raise> {
    match only_text(call) {
        Some(text) => call.give_field("ok", &text),
        None => call.give_field("err", WRONG_ARGUMENTS),
    }
}

const WRONG_ARGUMENTS: &[u8] = b"ERR wrong number or type of arguments";

fn only_text(call: &Call<'_>) -> Option<Vec<u8>> {
    (call.args() == 1 && call.stack.kind(1) == Kind::String)
        .then(|| call.stack.bytes(1).map(<[u8]>::to_vec))
        .flatten()
}

fn sha1hex(call: &mut Call<'_>) -> Result<usize, Raise> {
    if call.args() != 1 {
        return Err(Raise::reply("ERR wrong number of arguments"));
    }
    let digest = Sha::of(call.stack.bytes(1).unwrap_or_default());
    call.stack.push_bytes(digest.as_str().as_bytes());
    Ok(1)
}

/// `redis.log(level, text..)`: a line in this process's log, as an event of this crate.
fn log(call: &mut Call<'_>) -> Result<usize, Raise> {
    if call.args() < 2 {
        return Err(Raise::reply("ERR redis.log() requires two arguments or more."));
    }
    let Some(level) = call.stack.number(1) else {
        return Err(Raise::reply("ERR First argument must be a number (log level)."));
    };
    let level = number::to_integer(level);
    if !(0..=3).contains(&level) {
        return Err(Raise::reply("ERR Invalid debug level."));
    }
    let words: Vec<_> = (2..=call.args())
        .filter_map(|i| call.stack.bytes(i as i32))
        .map(String::from_utf8_lossy)
        .collect();
    let line = words.join(" ");
    match level {
        0 => tracing::trace!(target: "larder_engine::script", "{line}"),
        1 => tracing::debug!(target: "larder_engine::script", "{line}"),
        2 => tracing::info!(target: "larder_engine::script", "{line}"),
        _ => tracing::warn!(target: "larder_engine::script", "{line}"),
    }
    Ok(0)
}

fn setresp(call: &mut Call<'_>) -> Result<usize, Raise> {
    if call.args() != 1 {
        return Err(Raise::reply("ERR redis.setresp() requires one argument."));
    }
    let resp = match call.stack.number(1).map(number::to_integer) {
        Some(2) => Resp::V2,
        Some(3) => Resp::V3,
        _ => return Err(Raise::reply("ERR RESP version must be 2 or 3.")),
    };
    call.run(|run, _| run.set_resp(resp));
    Ok(0)
}

/// Nothing is replicated, so there is nothing to choose; nonsense is refused all the same.
fn set_repl(call: &mut Call<'_>) -> Result<usize, Raise> {
    if call.args() != 1 {
        return Err(Raise::reply("ERR redis.set_repl() requires two arguments."));
    }
    match call.stack.number(1).map_or(0, number::to_integer) {
        0..=3 => Ok(0),
        _ => Err(Raise::reply(
            "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.",
        )),
    }
}

/// Effects are replicated since Redis 5: always true.
fn replicate_commands(call: &mut Call<'_>) -> Result<usize, Raise> {
    call.stack.push_boolean(true);
    Ok(1)
}

/// There is one user, who may run everything that exists.
fn acl_check_cmd(call: &mut Call<'_>) -> Result<usize, Raise> {
    if call.args() == 0 {
        return Err(Raise::reply(
            "ERR Please specify at least one argument for this redis lib call",
        ));
    }
    let known = call
        .stack
        .bytes(1)
        .is_some_and(|name| crate::command::find(name).is_some());
    if !known {
        return Err(Raise::reply("ERR Invalid command passed to redis.acl_check_cmd()"));
    }
    call.stack.push_boolean(true);
    Ok(1)
}

/// There is no debugger to stop in.
fn breakpoint(call: &mut Call<'_>) -> Result<usize, Raise> {
    call.stack.push_boolean(false);
    Ok(1)
}

fn debug(_: &mut Call<'_>) -> Result<usize, Raise> {
    Ok(0)
}
