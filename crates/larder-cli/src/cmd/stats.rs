//! `larder stats`: the store's side of the caches that live in it.

use std::{collections::BTreeMap, time::Duration};

use larder_store::Store;
use redis::aio::ConnectionLike as _;
use serde::Serialize;

use super::keys::{info, scan};
use crate::{context::Context, failure::Outcome, flags::LiveStore, ui::count};

/// Show keys and bytes of each namespace, hit ratio, memory, evictions, connections and command times.
///
/// These are the store's own figures, of all its clients: what a near tier answers never reaches it. Counts are since the
/// server's start. A namespace is what comes before the first `:` of a key.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    store: LiveStore,
    /// Most keys to look at for the figures of namespaces; 0 looks at all.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    keys: usize,
}

#[derive(Debug, Default, Serialize)]
struct Stats {
    store: String,
    namespaces: BTreeMap<String, Namespace>,
    /// There are more keys than were looked at.
    namespaces_cut: bool,
    /// Of the server's reads since its start; none if it had none.
    hit_ratio: Option<f64>,
    hits: u64,
    misses: u64,
    memory_used_bytes: Option<u64>,
    memory_max_bytes: Option<u64>,
    evicted_keys: Option<u64>,
    expired_keys: Option<u64>,
    connections: Option<u64>,
    ping_seconds: f64,
    /// The commands that took most of the server's time.
    commands: Vec<Command>,
}

#[derive(Debug, Default, Serialize)]
struct Namespace {
    keys: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct Command {
    name: String,
    calls: u64,
    mean_microseconds: f64,
}

/// Commands shown.
const COMMANDS_SHOWN: usize = 8;

pub(crate) async fn run(args: Args, context: &Context) -> Outcome {
    let store = args.store.open().await?;
    let stats = gather(&store, args.keys).await?;
    show(&stats, context);
    context.ui.document(&stats);
    Ok(())
}

async fn gather(store: &Store, keys_max: usize) -> Outcome<Stats> {
    let text = info(store).await?;
    let number = |name: &str| field(&text, name).and_then(|value| value.parse::<u64>().ok());
    let (hits, misses) = (
        number("keyspace_hits").unwrap_or(0),
        number("keyspace_misses").unwrap_or(0),
    );
    let (namespaces, namespaces_cut) = namespaces(store, keys_max).await?;
    Ok(Stats {
        store: store.url(),
        namespaces,
        namespaces_cut,
        hit_ratio: (hits + misses > 0).then(|| hits as f64 / (hits + misses) as f64),
        hits,
        misses,
        memory_used_bytes: number("used_memory"),
        memory_max_bytes: number("maxmemory").filter(|max| *max > 0),
        evicted_keys: number("evicted_keys"),
        expired_keys: number("expired_keys"),
        connections: number("connected_clients"),
        ping_seconds: store.ping().await?.as_secs_f64(),
        commands: commands(&text),
    })
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

/// Keys per pipeline: a few milliseconds of the server.
const BATCH: usize = 500;

async fn namespaces(store: &Store, keys_max: usize) -> Outcome<(BTreeMap<String, Namespace>, bool)> {
    let found = scan(store, "*", keys_max).await?;
    let mut namespaces = BTreeMap::<String, Namespace>::new();
    for keys in found.keys.chunks(BATCH) {
        let mut sizes = redis::pipe();
        for key in keys {
            sizes.cmd("MEMORY").arg("USAGE").arg(key).arg("SAMPLES").arg(5);
        }
        let sizes = store.clone().req_packed_commands(&sizes, 0, keys.len()).await?;
        for (key, size) in keys.iter().zip(sizes) {
            let namespace = namespaces.entry(namespace_of(key)).or_default();
            namespace.keys += 1;
            // A key that went meanwhile has no size.
            namespace.bytes += redis::from_redis_value::<Option<u64>>(size)?.unwrap_or(0);
        }
    }
    Ok((namespaces, found.is_cut))
}

/// What comes before the first `:`, as Larder and nearly everybody names keys.
fn namespace_of(key: &[u8]) -> String {
    match key.iter().position(|byte| *byte == b':') {
        Some(at) => String::from_utf8_lossy(&key[..at]).into_owned(),
        None => "(none)".into(),
    }
}

fn commands(info: &str) -> Vec<Command> {
    let mut commands: Vec<(f64, Command)> = info.lines().filter_map(command).collect();
    commands.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    commands
        .into_iter()
        .take(COMMANDS_SHOWN)
        .map(|(_, command)| command)
        .collect()
}

/// A line such as `cmdstat_get:calls=12,usec=24,usec_per_call=2.00,..`, with the time it stands for.
fn command(line: &str) -> Option<(f64, Command)> {
    let (name, figures) = line.strip_prefix("cmdstat_")?.split_once(':')?;
    let figure = |name: &str| {
        let mut pairs = figures.split(',').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name)?.1.trim().parse::<f64>().ok()
    };
    let command = Command {
        name: name.to_owned(),
        calls: figure("calls")? as u64,
        mean_microseconds: figure("usec_per_call")?,
    };
    Some((figure("usec")?, command))
}

fn show(stats: &Stats, context: &Context) {
    let ui = &context.ui;
    let or_unknown = |value: Option<u64>| value.map_or("unknown".into(), |value| value.to_string());
    let ratio = stats.hit_ratio.map_or("no reads".into(), |ratio| {
        let (hits, misses) = (count(stats.hits, "hit", "hits"), count(stats.misses, "miss", "misses"));
        format!("{:.1} % of reads of keys ({hits}, {misses})", ratio * 100.0)
    });
    let bound = stats
        .memory_max_bytes
        .map_or("no bound".into(), |max| format!("of {max}"));
    ui.line(format_args!("store         {}", stats.store));
    ui.line(format_args!("hit ratio     {ratio}"));
    ui.line(format_args!(
        "memory        {} bytes, {bound}",
        or_unknown(stats.memory_used_bytes)
    ));
    ui.line(format_args!(
        "evicted       {} keys, for want of memory",
        or_unknown(stats.evicted_keys)
    ));
    ui.line(format_args!(
        "expired       {} keys, past their TTL",
        or_unknown(stats.expired_keys)
    ));
    ui.line(format_args!("connections   {}", or_unknown(stats.connections)));
    ui.line(format_args!(
        "ping          {:?}",
        Duration::from_secs_f64(stats.ping_seconds)
    ));
    ui.line("namespaces, by what comes before the first `:` of a key");
    for (name, namespace) in &stats.namespaces {
        ui.line(format_args!(
            "  {name:<24} {:>15} {:>14} bytes",
            count(namespace.keys, "key ", "keys"),
            namespace.bytes
        ));
    }
    if stats.namespaces_cut {
        ui.line("  (there are more keys than --keys; the figures are of those looked at)");
    }
    ui.line("commands that took most of the server's time");
    for command in &stats.commands {
        ui.line(format_args!(
            "  {:<24} {:>10} calls {:>10.2} µs each",
            command.name, command.calls, command.mean_microseconds
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_info() {
        let info = "used_memory:10\r\ncmdstat_get:calls=2,usec=4,usec_per_call=2.00\r\ncmdstat_set:calls=1,usec=9,usec_per_call=9.00\r\n";
        assert_eq!(field(info, "used_memory"), Some("10"));
        let names: Vec<String> = commands(info).into_iter().map(|command| command.name).collect();
        assert_eq!(names, ["set", "get"]);
        assert_eq!(namespace_of(b"user:{user.3}:e:42"), "user");
        assert_eq!(namespace_of(b"plain"), "(none)");
    }
}
