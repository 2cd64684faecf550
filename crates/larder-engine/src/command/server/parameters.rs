//! The parameters that `CONFIG` knows: each one's name, how it reads, and how it is set. One list, one line or few each.
//!
//! A parameter of Redis that the engine does not act on appears with its only value, because clients and tools ask
//! for it; setting it to anything else is refused.

use std::time::Duration;

use crate::{
    command::parse_int,
    core::Core,
    evict::EvictionPolicy,
    log::Fsync,
    notify::Selection,
    settings::{OutputLimit, WireLimits},
};

/// A parameter.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) get: fn(&Core) -> Vec<u8>,
    pub(super) set: Set,
}

/// How a parameter is set; the error says why a value does not do.
pub(super) enum Set {
    To(fn(&mut Core, &[u8]) -> Result<(), String>),
    /// Only to what it is.
    Fixed,
    /// Not at all while the engine runs, as in Redis.
    Immutable,
}

/// The parameter of this name, in any case.
pub(super) fn find(name: &[u8]) -> Option<&'static Parameter> {
    PARAMETERS
        .iter()
        .find(|parameter| parameter.name.as_bytes().eq_ignore_ascii_case(name))
}

const fn fixed(name: &'static str, get: fn(&Core) -> Vec<u8>) -> Parameter {
    Parameter {
        name,
        get,
        set: Set::Fixed,
    }
}

const fn settable(
    name: &'static str,
    get: fn(&Core) -> Vec<u8>,
    set: fn(&mut Core, &[u8]) -> Result<(), String>,
) -> Parameter {
    Parameter {
        name,
        get,
        set: Set::To(set),
    }
}

pub(super) const PARAMETERS: &[Parameter] = &[
    settable("appendfsync", |core| fsync(core).to_string().into_bytes(), set_fsync),
    fixed("appendonly", |core| {
        let is_logged = core.effects.is_recorded();
        if is_logged { &b"yes"[..] } else { b"no" }.to_vec()
    }),
    settable(
        "auto-aof-rewrite-min-size",
        |core| number(core.settings.rewrite.min_size),
        |core, value| memory(value).map(|value| core.settings.rewrite.min_size = value as u64),
    ),
    settable(
        "auto-aof-rewrite-percentage",
        |core| number(core.settings.rewrite.percentage),
        |core, value| {
            let percentage = integer(value, 0, i64::from(i32::MAX))?;
            core.settings.rewrite.percentage = percentage.unsigned_abs();
            Ok(())
        },
    ),
    settable(
        "busy-reply-threshold",
        |core| number(core.settings.script.time_max.as_millis()),
        set_script_limit,
    ),
    settable(
        "client-output-buffer-limit",
        |core| output_limits(&core.settings.wire).into_bytes(),
        set_output_limits,
    ),
    settable(
        "client-query-buffer-limit",
        |core| number(core.settings.wire.query_max),
        |core, value| memory_at_least(value, BUFFER_MIN).map(|value| core.settings.wire.query_max = value),
    ),
    Parameter {
        name: "databases",
        get: |core| number(core.dbs.len()),
        set: Set::Immutable,
    },
    fixed("hz", |_| b"10".to_vec()),
    settable(
        "lua-time-limit",
        |core| number(core.settings.script.time_max.as_millis()),
        set_script_limit,
    ),
    settable(
        "maxclients",
        |core| number(core.settings.wire.clients_max),
        |core, value| {
            const MAX: i64 = u32::MAX as i64;
            integer(value, 1, MAX).map(|value| core.settings.wire.clients_max = value as usize)
        },
    ),
    settable(
        "maxmemory",
        |core| number(core.settings.memory.max),
        |core, value| memory(value).map(|value| core.settings.memory.max = value),
    ),
    settable(
        "maxmemory-policy",
        |core| core.settings.memory.policy.to_string().into_bytes(),
        set_policy,
    ),
    settable(
        "maxmemory-samples",
        |core| number(core.settings.memory.samples),
        |core, value| {
            const MAX: i64 = i32::MAX as i64;
            integer(value, 1, MAX).map(|value| core.settings.memory.samples = value as usize)
        },
    ),
    settable(
        "notify-keyspace-events",
        |core| core.settings.notify.letters().into_bytes(),
        |core, value| {
            let text = "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.";
            Selection::parse(value)
                .ok_or_else(|| text.to_owned())
                .map(|value| core.settings.notify = value)
        },
    ),
    settable(
        "proto-max-bulk-len",
        |core| number(core.settings.wire.bulk_max),
        |core, value| memory_at_least(value, BUFFER_MIN).map(|value| core.settings.wire.bulk_max = value),
    ),
    settable(
        "requirepass",
        |core| core.settings.password.clone(),
        |core, value| {
            core.settings.password = value.to_vec();
            Ok(())
        },
    ),
    fixed("save", |_| Vec::new()),
    settable("slowlog-log-slower-than", slow_threshold, set_slow_threshold),
    settable(
        "slowlog-max-len",
        |core| number(core.settings.slow_log.len_max),
        |core, value| integer(value, 0, i64::MAX).map(|value| core.settings.slow_log.len_max = value as usize),
    ),
    settable(
        "timeout",
        |core| number(core.settings.wire.idle_max.as_secs()),
        |core, value| {
            let seconds = integer(value, 0, i64::from(i32::MAX))?;
            core.settings.wire.idle_max = Duration::from_secs(seconds.unsigned_abs());
            Ok(())
        },
    ),
    settable(
        "tracking-table-max-keys",
        |core| number(core.settings.tracking.keys_max),
        |core, value| integer(value, 0, i64::MAX).map(|value| core.settings.tracking.keys_max = value as usize),
    ),
];

/// The least that Redis allows for what one client may send.
const BUFFER_MIN: usize = 1 << 20;

fn number(n: impl Copy + ToString) -> Vec<u8> {
    n.to_string().into_bytes()
}

fn integer(value: &[u8], min: i64, max: i64) -> Result<i64, String> {
    let number = parse_int(value).ok_or("argument couldn't be parsed into an integer")?;
    if (min..=max).contains(&number) {
        Ok(number)
    } else {
        Err(format!("argument must be between {min} and {max} inclusive"))
    }
}

/// Bytes with an optional unit: `k`, `m`, `g` count in thousands, `kb`, `mb`, `gb` in 1,024s.
fn memory(value: &[u8]) -> Result<usize, String> {
    const UNITS: [(&str, usize); 8] = [
        ("", 1),
        ("b", 1),
        ("k", 1_000),
        ("kb", 1 << 10),
        ("m", 1_000_000),
        ("mb", 1 << 20),
        ("g", 1_000_000_000),
        ("gb", 1 << 30),
    ];
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (amount, unit) = value.split_at(digits);
    let unit = UNITS
        .iter()
        .find(|(name, _)| unit.eq_ignore_ascii_case(name.as_bytes()));
    // No digits are 0, as C reads them.
    let amount = match amount {
        b"" => Some(0),
        digits => std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse::<usize>().ok()),
    };
    amount
        .zip(unit)
        .and_then(|(amount, (_, factor))| amount.checked_mul(*factor))
        .ok_or_else(|| "argument must be a memory value".into())
}

fn memory_at_least(value: &[u8], min: usize) -> Result<usize, String> {
    let bytes = memory(value)?;
    if bytes >= min {
        Ok(bytes)
    } else {
        Err(format!("argument must be between {min} and {} inclusive", i64::MAX))
    }
}

fn set_policy(core: &mut Core, value: &[u8]) -> Result<(), String> {
    let policy = String::from_utf8_lossy(value).parse::<EvictionPolicy>();
    core.settings.memory.policy = policy.map_err(|_| {
        let names = EvictionPolicy::NAMES.map(|(name, _)| name).join(", ");
        format!("argument(s) must be one of the following: {names}")
    })?;
    core.forget_candidates();
    Ok(())
}

fn set_script_limit(core: &mut Core, value: &[u8]) -> Result<(), String> {
    core.settings.script.time_max = Duration::from_millis(integer(value, 0, i64::MAX)?.unsigned_abs());
    Ok(())
}

fn fsync(core: &Core) -> Fsync {
    let recorder = core.effects.recorder.as_ref();
    recorder.map_or(Fsync::default(), |recorder| recorder.log.queue.policy())
}

/// Without a log there is nothing to sync, and saying otherwise would be a lie about where the data is.
fn set_fsync(core: &mut Core, value: &[u8]) -> Result<(), String> {
    let wanted: Fsync = String::from_utf8_lossy(value)
        .parse()
        .map_err(|_| "argument(s) must be one of the following: everysec, always, no")?;
    match &core.effects.recorder {
        Some(recorder) => recorder.log.queue.set_policy(wanted),
        None if wanted == Fsync::default() => {}
        None => return Err("this engine keeps no append-only log".into()),
    }
    Ok(())
}

fn slow_threshold(core: &Core) -> Vec<u8> {
    let threshold = core.settings.slow_log.threshold;
    threshold.map_or_else(|| b"-1".to_vec(), |threshold| number(threshold.as_micros()))
}

fn set_slow_threshold(core: &mut Core, value: &[u8]) -> Result<(), String> {
    let micros = u64::try_from(integer(value, -1, i64::MAX)?).ok();
    core.settings.slow_log.threshold = micros.map(Duration::from_micros);
    Ok(())
}

fn output_limits(wire: &WireLimits) -> String {
    let say = |limit: OutputLimit| format!("{} {} {}", limit.hard, limit.soft, limit.soft_for.as_secs());
    // There are no replicas; Redis names them between the two.
    format!(
        "normal {} slave 268435456 67108864 60 pubsub {}",
        say(wire.output),
        say(wire.subscriber_output)
    )
}

/// `class hard soft seconds`, once or several times.
fn set_output_limits(core: &mut Core, value: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(value);
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (classes, rest) = words.as_chunks::<4>();
    if classes.is_empty() || !rest.is_empty() {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    for [class, hard, soft, seconds] in classes {
        let wrong = || "Error in hard, soft or soft_seconds setting in buffer limit configuration.".to_owned();
        let limit = OutputLimit {
            hard: memory(hard.as_bytes()).map_err(|_| wrong())?,
            soft: memory(soft.as_bytes()).map_err(|_| wrong())?,
            soft_for: Duration::from_secs(seconds.parse().map_err(|_| wrong())?),
        };
        match class.to_ascii_lowercase().as_str() {
            "normal" => core.settings.wire.output = limit,
            "pubsub" => core.settings.wire.subscriber_output = limit,
            "slave" | "replica" => {}
            _ => return Err("Invalid client class specified in buffer limit configuration.".into()),
        }
    }
    Ok(())
}
