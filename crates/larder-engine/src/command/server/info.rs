//! `INFO [section ...]`: what the engine says of itself, in Redis's sections and words.
//!
//! Reference: <https://redis.io/commands/info/>. Only what is known is said: a figure of Redis that the engine has no
//! measure for is left out rather than invented. `redis_version` is the version whose behaviour it has; client
//! libraries choose their commands by it.

use std::{
    collections::BTreeSet,
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    Reply,
    command::{self, Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    core::Core,
    ctx::Ctx,
    pubsub::Kind,
};

pub(super) const INFO: CommandSpec = CommandSpec {
    name: "INFO",
    summary: "Returns information and statistics about the server",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Server,
    arity: Arity::at_least(1),
    flags: Flags::LOADING.and(Flags::STALE),
    keys: KeySpec::None,
    subcommands: &[],
    run: info,
};

/// A section: its title, whether it is shown unasked, and what writes it.
struct Section {
    title: &'static str,
    is_default: bool,
    write: fn(&mut Lines, &Core, &Moment),
}

const fn section(title: &'static str, write: fn(&mut Lines, &Core, &Moment)) -> Section {
    Section {
        title,
        is_default: true,
        write,
    }
}

const SECTIONS: &[Section] = &[
    section("Server", server),
    section("Clients", clients),
    section("Memory", memory),
    section("Persistence", persistence),
    section("Stats", stats),
    section("Replication", replication),
    section("Modules", |_, _, _| {}),
    Section {
        is_default: false,
        ..section("Commandstats", command_stats)
    },
    section("Errorstats", error_stats),
    section("Cluster", |lines, _, _| lines.add("cluster_enabled", 0)),
    section("Keyspace", keyspace),
];

/// When it is asked.
struct Moment {
    unix_ms: u64,
    unix_us: u128,
}

/// The text as it grows.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, name: &str, value: impl std::fmt::Display) {
        write!(self.0, "{name}:{value}\r\n").expect("a string takes what is written");
    }

    /// A number of bytes, and the same for human eyes.
    fn add_bytes(&mut self, name: &str, bytes: usize) {
        self.add(name, bytes);
        self.add(&format!("{name}_human"), human(bytes));
    }
}

fn info(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let wanted: BTreeSet<String> = args
        .rest(1)
        .iter()
        .map(|name| String::from_utf8_lossy(name).to_ascii_lowercase())
        .collect();
    let has = |name: &str| wanted.contains(name);
    let default = wanted.is_empty() || has("default");
    let everything = has("all") || has("everything");
    let moment = Moment {
        unix_ms: ctx.now(),
        unix_us: ctx.time().as_micros(),
    };
    ctx.core.note_memory();
    let mut lines = Lines::default();
    for section in SECTIONS {
        let named = has(&section.title.to_ascii_lowercase());
        if !(named || everything || default && section.is_default) {
            continue;
        }
        if !lines.0.is_empty() {
            lines.0.push_str("\r\n");
        }
        write!(lines.0, "# {}\r\n", section.title).expect("a string takes what is written");
        (section.write)(&mut lines, ctx.core, &moment);
    }
    Ok(Reply::Verbatim("txt", lines.0))
}

fn server(lines: &mut Lines, core: &Core, now: &Moment) {
    const DAY: u64 = 24 * 60 * 60;
    let uptime = now.unix_ms.saturating_sub(core.identity.started_at) / 1_000;
    lines.add("redis_version", command::VERSION);
    lines.add("larder_version", env!("CARGO_PKG_VERSION"));
    lines.add("redis_mode", "standalone");
    lines.add("os", std::env::consts::OS);
    lines.add("arch_bits", usize::BITS);
    lines.add("process_id", std::process::id());
    lines.add("run_id", &core.identity.run_id);
    lines.add("server_time_usec", now.unix_us);
    lines.add("uptime_in_seconds", uptime);
    lines.add("uptime_in_days", uptime / DAY);
    lines.add("hz", 10);
}

fn clients(lines: &mut Lines, core: &Core, _: &Moment) {
    let tracking = core.clients.values().filter(|client| client.tracking.is_some()).count();
    lines.add("connected_clients", core.clients.len());
    lines.add("maxclients", core.settings.wire.clients_max);
    lines.add("blocked_clients", core.waits.len());
    lines.add("tracking_clients", tracking);
}

fn memory(lines: &mut Lines, core: &Core, _: &Moment) {
    lines.add_bytes("used_memory", core.used_memory());
    lines.add_bytes("used_memory_peak", core.stats.memory_peak);
    lines.add_bytes("used_memory_lua", core.scripts.memory());
    lines.add("number_of_cached_scripts", core.scripts.len());
    lines.add_bytes("maxmemory", core.settings.memory.max);
    lines.add("maxmemory_policy", core.settings.memory.policy);
}

fn persistence(lines: &mut Lines, core: &Core, _: &Moment) {
    lines.add("loading", 0);
    lines.add("async_loading", 0);
    lines.add("rdb_changes_since_last_save", core.effects.changes());
    lines.add("rdb_bgsave_in_progress", 0);
    let Some(recorder) = &core.effects.recorder else {
        lines.add("aof_enabled", 0);
        lines.add("aof_rewrite_in_progress", 0);
        return;
    };
    let (files, queue) = (&recorder.log.files, &recorder.log.queue);
    let status = |is_fine: bool| if is_fine { "ok" } else { "err" };
    let get = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
    lines.add("aof_enabled", 1);
    lines.add(
        "aof_rewrite_in_progress",
        u8::from(files.rewrite.running.load(Ordering::Acquire)),
    );
    lines.add("aof_rewrite_scheduled", 0);
    lines.add("aof_last_rewrite_time_sec", get(&files.rewrite.took));
    lines.add("aof_last_bgrewrite_status", status(get(&files.rewrite.failed_at) == 0));
    lines.add("aof_last_write_status", status(queue.failure().is_none()));
    lines.add("aof_current_size", get(&files.size));
    lines.add("aof_base_size", get(&files.base_size));
    lines.add("aof_buffer_length", queue.backlog());
}

fn stats(lines: &mut Lines, core: &Core, now: &Moment) {
    let stats = &core.stats;
    lines.add("total_connections_received", stats.connections);
    lines.add("total_commands_processed", stats.commands);
    lines.add("instantaneous_ops_per_sec", stats.rate.per_second(now.unix_ms));
    lines.add("expired_keys", stats.expired_keys);
    lines.add("evicted_keys", stats.evicted_keys);
    lines.add("keyspace_hits", stats.hits);
    lines.add("keyspace_misses", stats.misses);
    lines.add("pubsub_channels", core.pubsub.heard(Kind::Channel).count());
    lines.add("pubsub_patterns", core.pubsub.patterns());
    lines.add("pubsubshard_channels", core.pubsub.heard(Kind::Shard).count());
    lines.add("tracking_total_keys", core.tracking.keys());
    lines.add("tracking_total_items", core.tracking.items());
    lines.add("tracking_total_prefixes", core.tracking.prefixes());
    lines.add("total_error_replies", stats.error_replies);
}

fn replication(lines: &mut Lines, core: &Core, _: &Moment) {
    lines.add("role", "master");
    lines.add("connected_slaves", 0);
    lines.add("master_failover_state", "no-failover");
    lines.add("master_replid", &core.identity.replication_id);
    lines.add("master_repl_offset", 0);
}

fn command_stats(lines: &mut Lines, core: &Core, _: &Moment) {
    let names = command::names();
    for (number, calls) in core.stats.called() {
        let name = names[number].to_ascii_lowercase();
        let usec = calls.spent.as_micros();
        let per_call = usec as f64 / calls.calls.max(1) as f64;
        let figures = format!(
            "calls={},usec={usec},usec_per_call={per_call:.2},rejected_calls={},failed_calls={}",
            calls.calls, calls.rejected, calls.failed
        );
        lines.add(&format!("cmdstat_{name}"), figures);
    }
}

fn error_stats(lines: &mut Lines, core: &Core, _: &Moment) {
    for (code, count) in core.stats.errors() {
        lines.add(&format!("errorstat_{code}"), format_args!("count={count}"));
    }
}

fn keyspace(lines: &mut Lines, core: &Core, now: &Moment) {
    for (number, db) in core.dbs.iter().enumerate().filter(|(_, db)| db.len() > 0) {
        let figures = format!(
            "keys={},expires={},avg_ttl={}",
            db.len(),
            db.volatile_len(),
            db.average_ttl(now.unix_ms)
        );
        lines.add(&format!("db{number}"), figures);
    }
}

/// Bytes as Redis abbreviates them: `104857600` is `100.00M`.
fn human(bytes: usize) -> String {
    const UNITS: [&str; 5] = ["B", "K", "M", "G", "T"];
    let (mut amount, mut unit) = (bytes as f64, 0);
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes}B"),
        _ => format!("{amount:.2}{}", UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use crate::{Reply, testing::Shell};

    /// The value of one line.
    fn value(shell: &Shell, section: &str, name: &str) -> Option<String> {
        let Reply::Verbatim("txt", text) = shell.run(&format!("INFO {section}")) else {
            panic!("INFO answers with text")
        };
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
        line.map(str::to_owned)
    }

    #[test]
    fn sections_are_those_asked_for() {
        let shell = Shell::new();
        let titles = |line: &str| {
            let text = shell.print(line);
            text.lines()
                .filter(|line| line.starts_with('#'))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(titles("INFO keyspace SERVER"), ["# Server", "# Keyspace"]);
        assert!(!titles("INFO").contains(&"# Commandstats".to_owned()));
        assert!(titles("INFO everything").contains(&"# Commandstats".to_owned()));
        assert_eq!(titles("INFO nonsense"), [""; 0]);
    }

    #[test]
    fn figures_follow_what_happens() {
        let shell = Shell::with(|builder| builder.maxmemory(1 << 20));
        shell.check("SET k v EX 10 => OK\n GET k => \"v\"\n GET none => nil\n INCR k => ERR value is not an integer or out of range\n NOPE x => ERR unknown command 'NOPE', with args beginning with: 'x'");
        let is = |section, name, expected: &str| {
            assert_eq!(value(&shell, section, name).as_deref(), Some(expected), "{name}");
        };
        is("server", "redis_version", "7.0.15");
        is("memory", "maxmemory_human", "1.00M");
        is("stats", "keyspace_hits", "1");
        is("stats", "keyspace_misses", "1");
        is("stats", "total_error_replies", "2");
        is("errorstats", "errorstat_ERR", "count=2");
        is("keyspace", "db0", "keys=1,expires=1,avg_ttl=10000");
        is(
            "commandstats",
            "cmdstat_get",
            "calls=2,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0",
        );
        is(
            "commandstats",
            "cmdstat_incr",
            "calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=1",
        );
        assert_eq!(
            value(&shell, "memory", "used_memory"),
            Some(shell.engine.used_memory().to_string())
        );
        shell.advance(10_000);
        shell.engine.tick();
        is("stats", "expired_keys", "1");
        is("server", "uptime_in_seconds", "10");
        shell.run("CONFIG RESETSTAT");
        is("stats", "keyspace_hits", "0");
    }

    #[test]
    fn every_engine_has_its_own_run_id_and_a_seed_gives_it_again() {
        let id = |shell: &Shell| value(shell, "server", "run_id").unwrap();
        let seeded = |seed| Shell::with(|builder| builder.random(larder_base::Random::seeded(seed)));
        assert_eq!(id(&seeded(1)).len(), 40);
        assert_eq!(id(&seeded(1)), id(&seeded(1)));
        assert_ne!(id(&seeded(1)), id(&seeded(2)));
    }
}
