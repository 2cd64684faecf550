//! `OBJECT ENCODING | FREQ | IDLETIME | REFCOUNT | HELP`: how Redis would hold a value.
//!
//! Reference: <https://redis.io/commands/object-encoding/>. The names are Redis's; the engine's own forms differ.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec, container, help},
    ctx::Ctx,
    db::Entry,
};

pub(super) const OBJECT: CommandSpec = CommandSpec {
    name: "OBJECT",
    summary: "A container for object introspection commands",
    since: "2.2.3",
    complexity: "Depends on subcommand",
    group: Group::Generic,
    arity: Arity::at_least(2),
    flags: Flags::NONE,
    keys: KeySpec::None,
    subcommands: &[&ENCODING, &FREQ, &HELP, &IDLETIME, &REFCOUNT],
    run: container,
};

const ENCODING: CommandSpec = CommandSpec {
    name: "OBJECT|ENCODING",
    summary: "Returns the internal encoding of a Redis object",
    since: "2.2.3",
    complexity: "O(1)",
    group: Group::Generic,
    arity: Arity::exactly(3),
    flags: Flags::READONLY,
    keys: KeySpec::Range {
        first: 2,
        last: 2,
        step: 1,
    },
    subcommands: &[],
    run: |ctx, args| look(ctx, args, |entry, _| Ok(Reply::bulk(entry.value.encoding()))),
};

const FREQ: CommandSpec = CommandSpec {
    name: "OBJECT|FREQ",
    summary: "Returns the logarithmic access frequency counter of a Redis object",
    since: "4.0.0",
    run: frequency,
    ..ENCODING
};

const IDLETIME: CommandSpec = CommandSpec {
    name: "OBJECT|IDLETIME",
    summary: "Returns the time since the last access to a Redis object",
    run: idle_time,
    ..ENCODING
};

const REFCOUNT: CommandSpec = CommandSpec {
    name: "OBJECT|REFCOUNT",
    summary: "Returns the reference count of a value of a key",
    run: |ctx, args| look(ctx, args, |entry, _| Ok(Reply::Int(references(entry)))),
    ..ENCODING
};

const HELP: CommandSpec = CommandSpec {
    name: "OBJECT|HELP",
    summary: "Returns helpful text about the different subcommands",
    since: "6.2.0",
    arity: Arity::exactly(2),
    flags: Flags::LOADING.and(Flags::STALE),
    keys: KeySpec::None,
    run: |_, _| Ok(help("OBJECT", HELP_TEXT)),
    ..ENCODING
};

const NO_FREQUENCY: &str = "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.";

const HELP_TEXT: &[&str] = &[
    "ENCODING <key>",
    "    Return the kind of internal representation used in order to store the value",
    "    associated with a <key>.",
    "FREQ <key>",
    "    Return the access frequency index of the <key>. The returned integer is",
    "    proportional to the logarithm of the recent access frequency of the key.",
    "IDLETIME <key>",
    "    Return the idle time of the <key>, that is the approximated number of",
    "    seconds elapsed since the last access to the key.",
    "REFCOUNT <key>",
    "    Return the number of references of the value associated with the specified",
    "    <key>.",
];

const NO_IDLE_TIME: &str = "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.";

fn frequency(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let is_lfu = ctx.core.settings.memory.policy.is_lfu();
    look(ctx, args, |entry, now| match is_lfu {
        true => Ok(Reply::Int(i64::from(entry.frequency(now)))),
        false => Err(ErrorReply::new(NO_FREQUENCY)),
    })
}

fn idle_time(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let is_lfu = ctx.core.settings.memory.policy.is_lfu();
    look(ctx, args, |entry, now| match is_lfu {
        true => Err(ErrorReply::new(NO_IDLE_TIME)),
        false => Ok(Reply::Int((now.saturating_sub(entry.used_at) / 1_000) as i64)),
    })
}

fn look(
    ctx: &mut Ctx<'_>,
    args: &Args<'_>,
    say: impl FnOnce(&Entry, u64) -> Result<Reply, ErrorReply>,
) -> CommandResult {
    let now = ctx.now();
    ctx.peek(args.bytes(2)).map_or(Ok(Reply::Null), |entry| say(entry, now))
}

/// Redis shares the integers below 10,000 among all keys, and says so by the largest count there is.
fn references(entry: &Entry) -> i64 {
    const SHARED: i64 = i32::MAX as i64;
    const SHARED_BELOW: i64 = 10_000;
    let number = match &entry.value {
        crate::value::Value::String(text) => text.as_int(),
        _ => None,
    };
    match number {
        Some(0..SHARED_BELOW) => SHARED,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn strings_are_named_by_length_and_content() {
        let shell = Shell::new();
        shell.check(
            r#"
            SET k 12345 => OK
            OBJECT ENCODING k => "int"
            OBJECT REFCOUNT k => (int) 1
            SET k 12 => OK
            OBJECT REFCOUNT k => (int) 2147483647
            SET k 12345678901234567890123 => OK
            OBJECT ENCODING k => "embstr"
            OBJECT ENCODING none => nil
            OBJECT NOPE k => ERR unknown subcommand 'NOPE'. Try OBJECT HELP.
            OBJECT ENCODING => ERR wrong number of arguments for 'object|encoding' command
            OBJECT => ERR wrong number of arguments for 'object' command
            "#,
        );
        shell.run(&format!("SET k {}", "x".repeat(45)));
        shell.check("OBJECT ENCODING k => \"raw\"");
    }

    #[test]
    fn frequency_is_not_kept_without_an_lfu_policy() {
        let shell = Shell::new();
        shell.run("SET k v");
        assert!(
            shell
                .print("OBJECT FREQ k")
                .starts_with("ERR An LFU maxmemory policy is not selected,")
        );
        shell.check("OBJECT FREQ none => nil");
    }

    #[test]
    fn with_an_lfu_policy_use_is_counted_and_fades() {
        let shell = Shell::new();
        shell.check("CONFIG SET maxmemory-policy allkeys-lfu => OK\n SET k v => OK\n OBJECT FREQ k => (int) 5");
        (0..200).for_each(|_| _ = shell.run("GET k"));
        let counted = shell.print("OBJECT FREQ k");
        assert_ne!(counted, "(int) 5");
        shell.advance(10 * 60 * 1_000);
        let Some(faded) = counted.strip_prefix("(int) ").and_then(|n| n.parse::<i64>().ok()) else {
            panic!("a count, not {counted}")
        };
        shell.check(&format!("OBJECT FREQ k => (int) {}", (faded - 10).max(0)));
        assert!(
            shell
                .print("OBJECT IDLETIME k")
                .starts_with("ERR An LFU maxmemory policy is selected,")
        );
    }
}
