//! `MEMORY USAGE key [SAMPLES n] | HELP`: bytes that a key and its value hold.
//!
//! Reference: <https://redis.io/commands/memory-usage/>. Redis samples the elements of a collection; here they are
//! counted as they change, so the figure is always of all of them.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec, container, help},
    ctx::Ctx,
    db,
};

pub(super) const MEMORY: CommandSpec = CommandSpec {
    name: "MEMORY",
    summary: "A container for memory diagnostics commands",
    since: "4.0.0",
    complexity: "Depends on subcommand",
    group: Group::Server,
    arity: Arity::at_least(2),
    flags: Flags::NONE,
    keys: KeySpec::None,
    subcommands: &[&HELP, &USAGE],
    run: container,
};

const USAGE: CommandSpec = CommandSpec {
    name: "MEMORY|USAGE",
    summary: "Estimates the memory usage of a key",
    since: "4.0.0",
    complexity: "O(1)",
    group: Group::Server,
    arity: Arity::at_least(3),
    flags: Flags::READONLY,
    keys: KeySpec::Range {
        first: 2,
        last: 2,
        step: 1,
    },
    subcommands: &[],
    run: usage,
};

const HELP: CommandSpec = CommandSpec {
    name: "MEMORY|HELP",
    summary: "Returns helpful text about the different subcommands",
    arity: Arity::exactly(2),
    flags: Flags::LOADING.and(Flags::STALE),
    keys: KeySpec::None,
    run: |_, _| Ok(help("MEMORY", HELP_TEXT)),
    ..USAGE
};

const HELP_TEXT: &[&str] = &[
    "USAGE <key> [SAMPLES <count>]",
    "    Return memory in bytes used by <key> and its value. Nested values are",
    "    sampled up to <count> times (default: 5, 0 means sample all).",
];

fn usage(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let mut i = 3;
    while i < args.len() {
        if !args.is(i, "SAMPLES") || i + 1 == args.len() {
            return Err(ErrorReply::SYNTAX);
        }
        if args.int(i + 1)? < 0 {
            return Err(ErrorReply::SYNTAX);
        }
        i += 2;
    }
    let key = args.bytes(2);
    let bytes = ctx.peek(key).map(|entry| db::cost(key, entry));
    Ok(bytes.map_or(Reply::Null, Reply::count))
}

#[cfg(test)]
mod tests {
    use crate::{Reply, testing::Shell};

    #[test]
    fn the_figure_is_what_the_key_adds_to_used_memory() {
        let shell = Shell::new();
        let empty = shell.engine.used_memory();
        shell.run(&format!("SET k {}", "x".repeat(1_000)));
        let used = shell.engine.used_memory() - empty;
        assert_eq!(shell.run("MEMORY USAGE k SAMPLES 5"), Reply::count(used));
        shell.check("MEMORY USAGE none => nil\n MEMORY USAGE k x => ERR syntax error\n MEMORY USAGE k SAMPLES => ERR syntax error");
    }
}
