//! `CONFIG GET pattern ... | SET name value ... | RESETSTAT | REWRITE | HELP`: settings of the running engine.
//!
//! Reference: <https://redis.io/commands/config-set/>. Several settings in one call change all or none. The parameters
//! themselves are in [`parameters`](super::parameters).

use crate::{
    ErrorReply, Reply,
    command::{
        Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec, container, help,
        server::parameters::{PARAMETERS, Parameter, Set, find},
    },
    core::Core,
    ctx::Ctx,
    glob,
    stats::Stats,
};

pub(super) const CONFIG: CommandSpec = CommandSpec {
    name: "CONFIG",
    summary: "A container for server configuration commands",
    since: "2.0.0",
    complexity: "Depends on subcommand",
    group: Group::Server,
    arity: Arity::at_least(2),
    flags: Flags::NONE,
    keys: KeySpec::None,
    subcommands: &[&GET, &HELP, &RESETSTAT, &REWRITE, &SET],
    run: container,
};

const GET: CommandSpec = CommandSpec {
    name: "CONFIG|GET",
    summary: "Returns the effective values of configuration parameters",
    since: "2.0.0",
    complexity: "O(N) when N is the number of configuration parameters provided",
    group: Group::Server,
    arity: Arity::at_least(3),
    flags: Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE),
    keys: KeySpec::None,
    subcommands: &[],
    run: get,
};

const SET: CommandSpec = CommandSpec {
    name: "CONFIG|SET",
    summary: "Sets configuration parameters in-flight",
    complexity: "O(N) when N is the number of configuration parameters provided",
    arity: Arity::at_least(4),
    run: set,
    ..GET
};

const RESETSTAT: CommandSpec = CommandSpec {
    name: "CONFIG|RESETSTAT",
    summary: "Resets the server's statistics",
    complexity: "O(1)",
    arity: Arity::exactly(2),
    run: reset_stats,
    ..GET
};

const REWRITE: CommandSpec = CommandSpec {
    name: "CONFIG|REWRITE",
    summary: "Persists the effective configuration to file",
    since: "2.8.0",
    complexity: "O(1)",
    arity: Arity::exactly(2),
    run: |_, _| Err(ErrorReply::new("ERR The server is running without a config file")),
    ..GET
};

const HELP: CommandSpec = CommandSpec {
    name: "CONFIG|HELP",
    summary: "Returns helpful text about the different subcommands",
    since: "5.0.0",
    complexity: "O(1)",
    arity: Arity::exactly(2),
    flags: Flags::LOADING.and(Flags::STALE),
    run: |_, _| Ok(help("CONFIG", HELP_TEXT)),
    ..GET
};

const HELP_TEXT: &[&str] = &[
    "GET <pattern>",
    "    Return parameters matching the glob-like <pattern> and their values.",
    "SET <directive> <value>",
    "    Set the configuration <directive> to <value>.",
    "RESETSTAT",
    "    Reset statistics reported by the INFO command.",
    "REWRITE",
    "    Rewrite the configuration file.",
];

fn get(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let wanted = |parameter: &&Parameter| {
        let name = parameter.name.as_bytes();
        args.rest(2).iter().any(|pattern| glob::matches_any_case(pattern, name))
    };
    let found = PARAMETERS.iter().filter(wanted);
    let pair = |parameter: &Parameter| (Reply::bulk(parameter.name), Reply::Bulk((parameter.get)(ctx.core)));
    Ok(Reply::Map(found.map(pair).collect()))
}

fn set(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (pairs, []) = args.rest(2).as_chunks::<2>() else {
        return Err(ErrorReply::SYNTAX);
    };
    let mut changes = Vec::with_capacity(pairs.len());
    for [name, value] in pairs {
        changes.push((settable(ctx.core, name, value, &changes)?, *value));
    }
    let before: Vec<Vec<u8>> = changes.iter().map(|(parameter, _)| (parameter.get)(ctx.core)).collect();
    for (i, (parameter, value)) in changes.iter().enumerate() {
        if let Err(reason) = apply(ctx.core, parameter, value) {
            for ((parameter, _), value) in changes[..i].iter().zip(&before) {
                apply(ctx.core, parameter, value).expect("a value that was in force is valid");
            }
            return Err(failure(parameter.name, &reason));
        }
    }
    Ok(Reply::Ok)
}

/// The parameter of this name, if it may be set to this value together with those before it.
fn settable(
    core: &Core,
    name: &[u8],
    value: &[u8],
    others: &[(&'static Parameter, &[u8])],
) -> Result<&'static Parameter, ErrorReply> {
    let Some(parameter) = find(name) else {
        let name = String::from_utf8_lossy(name);
        let text = format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'");
        return Err(ErrorReply::new(text));
    };
    if others.iter().any(|(other, _)| other.name == parameter.name) {
        return Err(failure(parameter.name, "duplicate parameter"));
    }
    match parameter.set {
        Set::Immutable => Err(failure(parameter.name, "can't set immutable config")),
        Set::Fixed if (parameter.get)(core) != value => {
            Err(failure(parameter.name, "this engine does not support another value"))
        }
        _ => Ok(parameter),
    }
}

fn apply(core: &mut Core, parameter: &Parameter, value: &[u8]) -> Result<(), String> {
    match parameter.set {
        Set::To(set) => set(core, value),
        Set::Fixed | Set::Immutable => Ok(()),
    }
}

fn failure(name: &str, reason: &str) -> ErrorReply {
    ErrorReply::new(format!(
        "ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}"
    ))
}

fn reset_stats(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    ctx.core.stats = Stats::default();
    Ok(Reply::Ok)
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn every_parameter_can_be_set_to_what_it_is() {
        let shell = Shell::new();
        for parameter in super::PARAMETERS
            .iter()
            .filter(|parameter| parameter.name != "databases")
        {
            let crate::Reply::Map(pairs) = shell.run(&format!("CONFIG GET {}", parameter.name)) else {
                panic!("CONFIG GET answers with a map")
            };
            let line = format!("CONFIG SET {} {}", parameter.name, crate::testing::print(&pairs[0].1));
            assert_eq!(shell.print(&line), "OK", "{line}");
            assert_eq!(
                shell.run(&format!("CONFIG GET {}", parameter.name)),
                crate::Reply::Map(pairs)
            );
        }
    }

    #[test]
    fn values_are_checked_with_the_words_of_redis() {
        Shell::new().check(
            r#"
            CONFIG SET maxmemory 100mb MAXMEMORY-policy AllKeys-LRU => OK
            CONFIG GET maxmemory maxmemory-pol* => {"maxmemory": "104857600", "maxmemory-policy": "allkeys-lru"}
            CONFIG SET maxmemory 1k => OK
            CONFIG GET maxmemory => {"maxmemory": "1000"}
            CONFIG SET maxmemory x => ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value
            CONFIG SET maxmemory 0 maxmemory-policy x => ERR CONFIG SET failed (possibly related to argument 'maxmemory-policy') - argument(s) must be one of the following: volatile-lru, volatile-lfu, volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, noeviction
            CONFIG GET maxmemory => {"maxmemory": "1000"}
            CONFIG SET maxmemory 1 maxmemory 2 => ERR CONFIG SET failed (possibly related to argument 'maxmemory') - duplicate parameter
            CONFIG SET maxmemory 1 x => ERR syntax error
            CONFIG SET timeout -1 => ERR CONFIG SET failed (possibly related to argument 'timeout') - argument must be between 0 and 2147483647 inclusive
            CONFIG SET maxmemory-samples x => ERR CONFIG SET failed (possibly related to argument 'maxmemory-samples') - argument couldn't be parsed into an integer
            CONFIG SET proto-max-bulk-len 1 => ERR CONFIG SET failed (possibly related to argument 'proto-max-bulk-len') - argument must be between 1048576 and 9223372036854775807 inclusive
            CONFIG SET notify-keyspace-events q => ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - Invalid event class character. Use 'Ag$lshzxeKEtmdn'.
            CONFIG SET client-output-buffer-limit x => ERR CONFIG SET failed (possibly related to argument 'client-output-buffer-limit') - Wrong number of arguments in buffer limit configuration.
            CONFIG SET databases 3 => ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config
            CONFIG SET foo bar => ERR Unknown option or number of arguments for CONFIG SET - 'foo'
            CONFIG GET foo => {}
            CONFIG FOO => ERR unknown subcommand 'FOO'. Try CONFIG HELP.
            "#,
        );
    }

    #[test]
    fn the_longest_string_follows_its_setting() {
        Shell::new().check(
            r"
            CONFIG SET proto-max-bulk-len 1mb => OK
            SETRANGE k 1048575 x => (int) 1048576
            APPEND k x => ERR string exceeds maximum allowed size (proto-max-bulk-len)
            ",
        );
    }
}
