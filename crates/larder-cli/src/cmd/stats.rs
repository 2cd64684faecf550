//! `larder stats`: the store's side of the caches that live in it.

use std::{collections::BTreeMap, fmt, time::Duration};

use larder_cache::LOG_KEPT;
use larder_store::Store;
use redis::aio::ConnectionLike as _;
use serde::Serialize;

use super::keys::{info, scan};
use crate::{context::Context, failure::Outcome, flags::LiveStore, shown, ui::count};

/// Show keys and bytes of each namespace, hit ratio, memory, evictions, connections, near tiers and command times.
///
/// These are the store's own figures, of all its clients: what a near tier answers never reaches it, and of invalidations
/// that wait for a server which does not answer only the metrics of the processes tell. Counts are since the server's
/// start. A namespace is what comes before the first `:` of a key.
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
    near: Near,
    ping_seconds: f64,
    /// The commands that took most of the server's time.
    commands: Vec<Command>,
}

#[derive(Debug, Default, Serialize)]
struct Namespace {
    keys: u64,
    bytes: u64,
    /// How long ago somebody last read the log of invalidations; none if nobody does.
    log_read_seconds_ago: Option<f64>,
}

/// The near tiers that the server tells of changes.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Near {
    /// Connections whose reads it tracks; none if it does not say.
    connections: Option<u64>,
    /// For how long the quietest of them has asked nothing. Each proves its stream four times within `max_staleness`: past
    /// that its process serves no near copy.
    quietest_seconds: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Command {
    name: String,
    calls: u64,
    mean_microseconds: f64,
}

impl fmt::Display for Near {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.connections, self.quietest_seconds) {
            (None, _) => f.write_str("unknown"),
            (Some(0), _) => f.write_str("none is told of changes"),
            (Some(connections), quiet) => {
                f.write_str(&count(connections, "connection is", "connections are"))?;
                f.write_str(" told of changes")?;
                quiet.map_or(Ok(()), |quiet| write!(f, ", the quietest asked {quiet} s ago"))
            }
        }
    }
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
        near: near(store).await,
        ping_seconds: store.ping().await?.as_secs_f64(),
        commands: commands(&text),
    })
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

/// What the server says of its clients; nothing if it would rather not.
async fn near(store: &Store) -> Near {
    let mut list = redis::cmd("CLIENT");
    let clients: Option<String> = list.arg("LIST").query_async(&mut store.clone()).await.ok();
    clients.map_or_else(Near::default, |clients| tracked(&clients))
}

/// Those of `CLIENT LIST` that are tracked.
fn tracked(clients: &str) -> Near {
    let of = |line: &str, name: &str| {
        let fields = line.split_ascii_whitespace().filter_map(|pair| pair.split_once('='));
        fields
            .filter(|(field, _)| *field == name)
            .map(|(_, value)| value.to_owned())
            .next()
    };
    let tracked = || {
        clients
            .lines()
            .filter(|line| of(line, "flags").is_some_and(|flags| flags.contains('t')))
    };
    Near {
        connections: Some(tracked().count() as u64),
        quietest_seconds: tracked().filter_map(|line| of(line, "idle")?.parse().ok()).max(),
    }
}

/// When the log that `key` stands for was last read; none if it stands for none. Only what is there is asked for: the server
/// counts reads of anything else as misses.
async fn log_read(store: &Store, name: &str, key: &[u8]) -> Outcome<Option<f64>> {
    if key != format!("{name}:{{{name}.0}}:log").as_bytes() {
        return Ok(None);
    }
    let mut left = redis::cmd("PTTL");
    let left: i64 = left.arg(key).query_async(&mut store.clone()).await?;
    // It may have gone meanwhile.
    let left = u64::try_from(left).ok().map(Duration::from_millis);
    Ok(left.map(|left| LOG_KEPT.saturating_sub(left).as_secs_f64()))
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
            let name = namespace_of(key);
            let read = log_read(store, &name, key).await?;
            let namespace = namespaces.entry(name).or_default();
            namespace.log_read_seconds_ago = namespace.log_read_seconds_ago.or(read);
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
    ui.line(format_args!("store         {}", stats.store));
    ui.line(format_args!("hit ratio     {ratio}"));
    ui.line(format_args!(
        "memory        {}",
        shown::memory(stats.memory_used_bytes, stats.memory_max_bytes)
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
        "ping          {:.1?}",
        Duration::from_secs_f64(stats.ping_seconds)
    ));
    ui.line(format_args!("near tiers    {}", stats.near));
    ui.line("namespaces, by what comes before the first `:` of a key");
    for (name, namespace) in &stats.namespaces {
        ui.line(format_args!(
            "  {name:<24} {:>15} {:>14} bytes",
            count(namespace.keys, "key ", "keys"),
            namespace.bytes
        ));
        if let Some(ago) = namespace.log_read_seconds_ago {
            ui.line(format_args!("  {:<24} log of invalidations read {ago:.1} s ago", ""));
        }
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

    #[test]
    fn near_tiers_are_the_tracked_clients() {
        let clients = "id=1 idle=40 flags=N\nid=2 idle=0 flags=t name=a\nid=3 idle=3 flags=tb\n";
        let near = tracked(clients);
        assert_eq!((near.connections, near.quietest_seconds), (Some(2), Some(3)));
        assert_eq!(
            near.to_string(),
            "2 connections are told of changes, the quietest asked 3 s ago"
        );
        assert_eq!(tracked("").to_string(), "none is told of changes");
        assert_eq!(Near::default().to_string(), "unknown");
    }
}
