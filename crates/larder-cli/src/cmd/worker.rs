//! `larder worker`: a flusher on its own.

use std::time::Duration;

use larder::{CacheEvent, Drained, Lag};
use serde_json::json;

use crate::{
    behind::{self, Flusher, Settings},
    context::Context,
    failure::{Failure, Outcome},
    flags::{LiveStore, Table, span},
    shown::{bytes, safe},
    ui::count,
};

/// Commit to a database what services write behind their caches: a flusher on its own.
///
/// It takes what waits in the store for a namespace (see the guide, write-behind) and commits it to a SQLite or PostgreSQL
/// table that `larder sql prepare` made ready. Start as many as you like, and kill any: none owns anything, and what one
/// took is taken by another after --visibility. It needs none of the services' types, which then build their caches with
/// `flushes(false)`.
///
/// Prints a line `ready ..` once it flushes, and now and then how far the database is behind. SIGINT and SIGTERM end it once
/// everything that waits is flushed, or after --drain: exit code 0 if nothing that waited is left, 1 if something is.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    store: LiveStore,
    #[command(flatten)]
    table: Table,
    /// The namespace, as `Cache::builder` was given it.
    #[arg(long, value_name = "NS")]
    namespace: String,
    /// The integer column in which the services' caches count; without it their counters wait for who knows it.
    #[arg(long, value_name = "COLUMN")]
    counter: Option<String>,
    /// Flush what waits now, due or not, and end.
    #[arg(long)]
    once: bool,
    /// How long the end may take to flush what waits.
    #[arg(long, value_name = "SPAN", default_value = "8s", value_parser = span)]
    drain: Duration,
    /// Changes per commit at most.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    batch: u32,
    /// Commits at a time.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    concurrency: u32,
    /// How long what a flusher took is left to it before others take it; also the longest commit.
    #[arg(long, value_name = "SPAN", default_value = "30s", value_parser = span)]
    visibility: Duration,
    /// Changes of one of the 64 partitions that may lie among the dead letters; beyond that it is not flushed any more.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    dead_letters: u32,
    /// The channel of the services' caches, where services in other languages hear of what was flushed.
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    /// How often to say how far the database is behind, if it is.
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = span)]
    lag: Duration,
}

/// What the end takes beside flushing: closing, and asking what is left.
const END: Duration = Duration::from_secs(10);

/// How often it may be said how far the database is behind: the store is asked 64 small questions each time.
const LAG_LEAST: Duration = Duration::from_millis(100);

impl Args {
    fn settings(&self) -> Settings {
        let idle = Settings::idle();
        let behind = idle
            .behind
            .batch(self.batch as usize)
            .concurrency(self.concurrency as usize)
            .visibility(self.visibility)
            .dead_letters(self.dead_letters as usize)
            .flushes(!self.once);
        Settings {
            behind,
            channel: self.channel.clone(),
        }
    }
}

pub(crate) async fn run(args: Args, context: &Context) -> Outcome {
    let stop = context.stop_signal_within(args.drain.saturating_add(END));
    let work = async {
        let store = args.store.open().await?;
        let (pool, table) = args
            .table
            .open(context, |config| {
                config
                    .connections(args.concurrency + 1)
                    .application_name("larder worker")
            })
            .await?;
        let table = match &args.counter {
            Some(column) => table.counter(column),
            None => table,
        };
        let flusher = behind::open(&store, &args.namespace, &table, args.settings()).await?;
        Ok((pool, flusher))
    };
    let opened = stop.run_until_cancelled(work).await;
    let (pool, flusher) = opened.unwrap_or_else(|| Err(Failure::interrupted()))?;
    let worker = Worker { args, flusher, context };
    let ended = worker.run(pool.product()).await;
    context.clock.timeout(END, pool.close()).await;
    ended
}

struct Worker<'a> {
    args: Args,
    flusher: Box<dyn Flusher>,
    context: &'a Context,
}

impl Worker<'_> {
    async fn run(&self, product: &str) -> Outcome {
        let stop = self.context.stop_signal();
        if !self.args.once {
            let Args { namespace, table, .. } = &self.args;
            self.context
                .ui
                .line(format_args!("ready {namespace} -> {} ({product})", table.name));
            stop.run_until_cancelled(self.watch()).await;
            return self.end().await;
        }
        let ended = stop.run_until_cancelled(self.end()).await;
        ended.unwrap_or_else(|| Err(Failure::interrupted()))
    }

    /// Tells what happens, for ever.
    async fn watch(&self) {
        let clock = &self.context.clock;
        let mut events = self.flusher.events();
        let every = self.args.lag.max(LAG_LEAST);
        let (mut said, mut next) = (String::new(), clock.monotonic());
        loop {
            let event = clock
                .timeout(next.saturating_sub(clock.monotonic()), events.next())
                .await;
            match event {
                Some(Some(event)) => self.tell(event).await,
                // The cache lives as long as this.
                Some(None) => return,
                None => {
                    next = clock.monotonic() + every;
                    self.say_lag(&mut said).await;
                }
            }
        }
    }

    /// How far the database is behind, unless that is what was said last.
    async fn say_lag(&self, said: &mut String) {
        let lag = match self.flusher.lag().await {
            Ok(lag) => shown(&lag),
            // What the store said: what a cache's error adds is about reads, of which there are none here.
            Err(error) => {
                let why = error
                    .store_error()
                    .map_or_else(|| error.to_string(), ToString::to_string);
                format!("how much waits is not known: {}", safe(&why))
            }
        };
        let line = format!("flushed {}, {lag}", self.flusher.flushed());
        if *said != line {
            self.context.ui.line(&line);
            *said = line;
        }
    }

    /// What an operator has to know at once, on stderr.
    async fn tell(&self, event: CacheEvent) {
        let (ui, namespace) = (&self.context.ui, &self.args.namespace);
        match event {
            CacheEvent::DeadLettered { id } => {
                let letter = self.flusher.letter(id).await.ok().flatten();
                let why = letter.map_or_else(|| "it is gone again".to_owned(), |letter| safe(&letter.why));
                ui.remark(format_args!(
                    "dead letter {id}: {why}\nhint: larder dlq show {id} --namespace {namespace}"
                ));
            }
            CacheEvent::DeadLettersFull { partition } => ui.remark(format_args!(
                "partition {partition} has no room for more dead letters and is not flushed\nhint: larder dlq list --namespace {namespace}"
            )),
            CacheEvent::FlushFailed { changes, why } => ui.remark(format_args!(
                "not flushed, and tried again: {}: {}",
                count(changes, "change", "changes"),
                safe(&why)
            )),
            CacheEvent::FlushRestored => ui.remark("flushed again"),
            CacheEvent::NewGeneration { .. } => ui.remark("the store is another run or another server than before"),
            _ => {}
        }
    }

    /// Flushes what waits, and says what is left.
    async fn end(&self) -> Outcome {
        let begun = self.context.clock.monotonic();
        let drained = self.flusher.drain(self.args.drain).await;
        let took = self.context.clock.monotonic().saturating_sub(begun);
        let lag = self.flusher.lag().await.ok().filter(|_| drained.left.is_some());
        let flushed = self.flusher.flushed();
        self.context.ui.line(format_args!(
            "flushed {flushed}, {}",
            lag.as_ref().map_or_else(|| "what waits is not known".to_owned(), shown)
        ));
        self.context.ui.document(&json!({
            "namespace": self.args.namespace,
            "table": self.args.table.name,
            "flushed": flushed,
            "left": lag.map(|lag| lag.entries),
            "left_bytes": lag.map(|lag| lag.bytes),
            "dead_letters": lag.map(|lag| lag.dead_letters),
        }));
        verdict(&drained, lag.as_ref(), took).map_err(Failure::told_in_json)
    }
}

/// Whether what waited when the end began is flushed; what came since is for others, or for the next start.
fn verdict(drained: &Drained, lag: Option<&Lag>, took: Duration) -> Outcome {
    let Some(lag) = lag else {
        return Err(Failure::new("the store did not say what is left").hint(LiveStore::HINT));
    };
    if drained.left == Some(0) || lag.entries == 0 || lag.oldest < took {
        return Ok(());
    }
    let left = count(lag.entries, "change is left", "changes are left");
    Err(Failure::new(left)
        .hint("they are as safe as when they were accepted; start a worker once the database takes them"))
}

fn shown(lag: &Lag) -> String {
    let waits = match lag.entries {
        0 => "nothing waits".to_owned(),
        n => format!(
            "{} ({}, the oldest for {:.1} s)",
            count(n, "waits", "wait"),
            bytes(lag.bytes),
            lag.oldest.as_secs_f64()
        ),
    };
    match lag.dead_letters {
        0 => waits,
        n => format!("{waits}, {}", count(n, "dead letter", "dead letters")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_after_the_end_began_is_not_left_behind() {
        let took = Duration::from_secs(1);
        let drained = |left| Drained {
            flushed: 0,
            left,
            is_complete: false,
        };
        let lag = |entries, oldest_ms| {
            let mut lag = Lag::default();
            lag.entries = entries;
            lag.oldest = Duration::from_millis(oldest_ms);
            lag
        };
        assert!(verdict(&drained(Some(0)), Some(&lag(0, 0)), took).is_ok());
        assert!(verdict(&drained(Some(3)), Some(&lag(3, 999)), took).is_ok());
        assert!(verdict(&drained(Some(3)), Some(&lag(3, 1_000)), took).is_err());
        assert!(verdict(&drained(None), None, took).is_err());
    }
}
