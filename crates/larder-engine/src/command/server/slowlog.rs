//! `SLOWLOG GET [count] | LEN | RESET | HELP`: the commands that took long.
//!
//! Reference: <https://redis.io/commands/slowlog-get/>.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec, container, help},
    ctx::Ctx,
    slow_log::Slow,
};

pub(super) const SLOWLOG: CommandSpec = CommandSpec {
    name: "SLOWLOG",
    summary: "A container for slow log commands",
    since: "2.2.12",
    complexity: "Depends on subcommand",
    group: Group::Server,
    arity: Arity::at_least(2),
    flags: Flags::NONE,
    keys: KeySpec::None,
    subcommands: &[&GET, &HELP, &LEN, &RESET],
    run: container,
};

const GET: CommandSpec = CommandSpec {
    name: "SLOWLOG|GET",
    summary: "Returns the slow log's entries",
    since: "2.2.12",
    complexity: "O(N) where N is the number of entries returned",
    group: Group::Server,
    arity: Arity::at_least(2),
    flags: Flags::ADMIN.and(Flags::LOADING).and(Flags::STALE),
    keys: KeySpec::None,
    subcommands: &[],
    run: get,
};

const LEN: CommandSpec = CommandSpec {
    name: "SLOWLOG|LEN",
    summary: "Returns the number of entries in the slow log",
    complexity: "O(1)",
    arity: Arity::exactly(2),
    run: |ctx, _| Ok(Reply::count(ctx.core.slow_log.entries.len())),
    ..GET
};

const RESET: CommandSpec = CommandSpec {
    name: "SLOWLOG|RESET",
    summary: "Clears all entries from the slow log",
    run: reset,
    ..LEN
};

const HELP: CommandSpec = CommandSpec {
    name: "SLOWLOG|HELP",
    summary: "Shows helpful text about the different subcommands",
    since: "6.2.0",
    flags: Flags::LOADING.and(Flags::STALE),
    run: |_, _| Ok(help("SLOWLOG", HELP_TEXT)),
    ..LEN
};

const HELP_TEXT: &[&str] = &[
    "GET [<count>]",
    "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
    "    Entries are made of:",
    "    id, timestamp, time in microseconds, arguments array, client IP and port,",
    "    client name",
    "LEN",
    "    Return the length of the slowlog.",
    "RESET",
    "    Reset the slowlog.",
];

fn get(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    const COUNT_DEFAULT: i64 = 10;
    const ALL: i64 = -1;
    let count = match args.len() {
        2 => COUNT_DEFAULT,
        3 => args.int(2).ok().filter(|count| *count >= ALL).ok_or_else(|| {
            let text = "ERR count should be greater than or equal to -1";
            ErrorReply::new(text)
        })?,
        _ => return Err(ErrorReply::not_a_subcommand("SLOWLOG", args.bytes(1))),
    };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let entries = ctx.core.slow_log.entries.iter().take(count);
    Ok(Reply::Array(entries.map(entry).collect()))
}

fn entry(slow: &Slow) -> Reply {
    Reply::Array(vec![
        Reply::Int(slow.number),
        Reply::Int(slow.at.as_secs() as i64),
        Reply::Int(slow.spent.as_micros() as i64),
        Reply::bulks(&slow.args),
        Reply::bulk(&slow.addr),
        Reply::bulk(&slow.name),
    ])
}

fn reset(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    ctx.core.slow_log.entries.clear();
    Ok(Reply::Ok)
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn what_takes_longer_than_the_threshold_is_kept_newest_first() {
        let shell = Shell::new();
        shell.check(
            r#"
            GET a => nil
            SLOWLOG LEN => (int) 0
            CONFIG SET slowlog-log-slower-than 0 slowlog-max-len 2 => OK
            GET b => nil
            GET c => nil
            CONFIG SET slowlog-log-slower-than -1 => OK
            GET d => nil
            SLOWLOG LEN => (int) 2
            SLOWLOG GET 1 => [[(int) 2 (int) 1767225600 (int) 0 ["GET" "c"] "" ""]]
            SLOWLOG GET -2 => ERR count should be greater than or equal to -1
            SLOWLOG RESET => OK
            SLOWLOG GET => []
            "#,
        );
    }
}
