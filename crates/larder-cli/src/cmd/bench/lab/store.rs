//! Store hits: one round trip to the store and the decoding, against the same by hand.
//!
//! By hand is what the fast path of a read does at its barest: `MGET` of the entry and its partition's marker, then
//! the JSON behind the header. It checks nothing: no incarnation, no checksum, no time.

use std::{collections::HashMap, hint::black_box, pin::Pin, sync::Arc, time::Duration};

use anyhow::Context as _;
use larder_base::Clock;
use larder_cache::Cache;
use larder_store::Store;
use redis::{
    aio::{ConnectionLike, MultiplexedConnection},
    cmd,
};
use tokio::task::JoinSet;

use super::{
    cpu,
    figure::Figure,
    rounds::{Round, Tournament, histogram},
    user::User,
};

/// Keys, all of them stored.
const KEYS: u64 = 1_000;

/// Reads of one round, all tasks together.
const READS: u64 = 16_000;

/// Keys of a batch.
const BATCH: u64 = 100;

/// Tag invalidations a second.
const CHURN: u32 = 10;

const TTL: Duration = Duration::from_secs(3_600);

/// The two keys of each id, as Larder named them.
type Names = Arc<HashMap<u64, (String, String)>>;

/// A read of somebody else's, through whatever it keeps behind.
pub(crate) type Read = Arc<dyn Fn(u64) -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>> + Send + Sync>;

/// Somebody else who takes part, by name.
pub(crate) type Other = (String, Read);

/// Whether the values have tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    None,
    /// One, by team.
    Team,
}

/// What reads by hand go through.
#[derive(Clone)]
pub(crate) enum Hand {
    /// The bare client library.
    Redis(MultiplexedConnection),
    /// The store itself, where there is no server to speak to.
    Store(Store),
}

/// Untagged, tagged, tagged while tags are invalidated, and in batches. Others take part in untagged hits.
pub(crate) async fn run(
    store: &Store,
    namespace: &str,
    hand: Hand,
    case: &str,
    rounds: usize,
    others: &[Other],
) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let untagged = Bench::filled(store, namespace, hand.clone(), Tags::None).await?;
    for tasks in [1, 16] {
        figures.extend(untagged.run(case, tasks, rounds, others).await?);
    }
    figures.extend(untagged.batches(case, rounds).await?);
    untagged.clear().await?;
    let tagged = Bench::filled(store, &format!("{namespace}-tagged"), hand, Tags::Team).await?;
    for tasks in [1, 16] {
        figures.extend(tagged.run(&format!("{case}, tagged"), tasks, rounds, &[]).await?);
    }
    for tasks in [1, 16] {
        let case = format!("{case}, tagged, {CHURN} tag invalidations/s");
        figures.extend(tagged.run_under_churn(&case, tasks, rounds).await?);
    }
    tagged.clear().await?;
    Ok(figures)
}

/// A filled store and the ways to read from it.
struct Bench {
    cache: Cache<u64, User>,
    store: Store,
    names: Names,
    /// What the reads by hand go through.
    hand: Hand,
}

impl Bench {
    /// Stores every key under `namespace`; reads by hand go through `hand`, a connection to the same store.
    async fn filled(store: &Store, namespace: &str, hand: Hand, tags: Tags) -> anyhow::Result<Self> {
        let mut builder = Cache::<u64, User>::builder(namespace).store(store).ttl(TTL).jitter(0.0);
        if tags == Tags::Team {
            builder = builder.tags(|user| [format!("team:{}", user.team)]);
        }
        let cache = builder.build().await?;
        for id in 0..KEYS {
            let load = || async move { Ok::<_, std::convert::Infallible>(User::number(id)) };
            cache.get_or_load(&id, load).await?;
        }
        Ok(Self {
            names: Arc::new(names(store, namespace).await?),
            cache,
            store: store.clone(),
            hand,
        })
    }

    /// Reads with so many tasks, in turns with the others.
    async fn run(&self, case: &str, tasks: u64, rounds: usize, others: &[Other]) -> anyhow::Result<Vec<Figure>> {
        let mut tournament = Tournament::new(format!("{case}, {tasks} tasks"));
        for _ in 0..rounds {
            tournament.add("MGET and decode by hand", self.by_hand(tasks).await?);
            tournament.add("MGET and decode through Store", self.through_store(tasks).await?);
            tournament.add("larder Cache::get", self.through_cache(tasks).await?);
            tournament.add("larder Cache::get_or_load", self.with_loader(tasks).await?);
            for (name, read) in others {
                let read = read.clone();
                tournament.add(name, round(tasks, move |id| read(id)).await?);
            }
        }
        Ok(tournament.figures())
    }

    /// As [`run`](Self::run), while a tag that none of the values has is invalidated [`CHURN`] times a second.
    async fn run_under_churn(&self, case: &str, tasks: u64, rounds: usize) -> anyhow::Result<Vec<Figure>> {
        let (cache, clock) = (self.cache.clone(), Clock::system());
        let churn = async move {
            loop {
                clock.sleep(Duration::from_secs(1) / CHURN).await;
                cache.invalidate_tag("team:none").await?;
            }
        };
        tokio::select! {
            figures = self.run(case, tasks, rounds, &[]) => figures,
            failed = churn => failed,
        }
    }

    /// Reads [`BATCH`] keys at once, by hand with one `MGET` of the entries alone.
    async fn batches(&self, case: &str, rounds: usize) -> anyhow::Result<Vec<Figure>> {
        let mut tournament = Tournament::new(format!("{case}, batch of {BATCH}"));
        for _ in 0..rounds {
            let by_hand = match self.hand.clone() {
                Hand::Redis(bare) => batches_by_hand(bare, self.names.clone()).await?,
                Hand::Store(store) => batches_by_hand(store, self.names.clone()).await?,
            };
            tournament.add("MGET and decode by hand", by_hand);
            let cache = self.cache.clone();
            let through_cache = spread(1, READS / BATCH, move |_, i| {
                let (cache, ids) = (cache.clone(), batch(i));
                async move {
                    let found = cache.get_many(&ids).await;
                    anyhow::ensure!(found.len() as u64 == BATCH, "every read is a hit");
                    Ok(found)
                }
            });
            tournament.add("larder Cache::get_many", through_cache.await?.of_many(BATCH));
        }
        Ok(tournament.figures())
    }

    /// Removes what was stored.
    async fn clear(&self) -> anyhow::Result<()> {
        let keys: Vec<&String> = self
            .names
            .values()
            .flat_map(|(entry, marker)| [entry, marker])
            .collect();
        let _removed: u64 = cmd("UNLINK").arg(keys).query_async(&mut self.store.clone()).await?;
        Ok(())
    }

    async fn by_hand(&self, tasks: u64) -> anyhow::Result<Round> {
        let names = self.names.clone();
        match self.hand.clone() {
            Hand::Redis(bare) => round(tasks, move |id| read_by_hand(bare.clone(), names.clone(), id)).await,
            Hand::Store(store) => round(tasks, move |id| read_by_hand(store.clone(), names.clone(), id)).await,
        }
    }

    async fn through_store(&self, tasks: u64) -> anyhow::Result<Round> {
        let (store, names) = (self.store.clone(), self.names.clone());
        round(tasks, move |id| read_by_hand(store.clone(), names.clone(), id)).await
    }

    async fn through_cache(&self, tasks: u64) -> anyhow::Result<Round> {
        let cache = self.cache.clone();
        round(tasks, move |id| {
            let cache = cache.clone();
            async move { cache.get(&id).await?.context("every read is a hit") }
        })
        .await
    }

    async fn with_loader(&self, tasks: u64) -> anyhow::Result<Round> {
        let cache = self.cache.clone();
        round(tasks, move |id| {
            let cache = cache.clone();
            async move { Ok(cache.get_or_load(&id, miss).await?) }
        })
        .await
    }
}

/// The keys of the `i`th batch.
fn batch(i: u64) -> Vec<u64> {
    (i * BATCH..(i + 1) * BATCH).map(|id| id % KEYS).collect()
}

async fn batches_by_hand<C>(connection: C, names: Names) -> anyhow::Result<Round>
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    let read = move |_, i| {
        let (mut connection, names) = (connection.clone(), names.clone());
        async move {
            let mut mget = cmd("MGET");
            for id in batch(i) {
                mget.arg(&names[&id].0);
            }
            let entries: Vec<Vec<u8>> = mget.query_async(&mut connection).await?;
            entries
                .iter()
                .map(|entry| decode(entry))
                .collect::<anyhow::Result<Vec<User>>>()
        }
    };
    Ok(spread(1, READS / BATCH, read).await?.of_many(BATCH))
}

/// The loader of reads that are all hits.
async fn miss() -> Result<User, std::io::Error> {
    Err(std::io::Error::other("every read is a hit"))
}

async fn read_by_hand<C: ConnectionLike>(mut connection: C, names: Names, id: u64) -> anyhow::Result<User> {
    let (entry, marker) = &names[&id];
    let (entry, _marker): (Vec<u8>, Vec<u8>) = cmd("MGET").arg(entry).arg(marker).query_async(&mut connection).await?;
    decode(&entry)
}

/// What stands behind the header (88 bytes, its last four the length of the tags), the tags and the payload's head
/// (checksum and codec, 5 bytes).
fn decode(entry: &[u8]) -> anyhow::Result<User> {
    let tags: [u8; 4] = entry.get(84..88).context("a whole header")?.try_into()?;
    let json = entry
        .get(93 + u32::from_be_bytes(tags) as usize..)
        .context("a payload")?;
    Ok(serde_json::from_slice(json)?)
}

/// Runs a round's reads on so many tasks, one after another on each.
async fn round<T, F, Fut>(tasks: u64, read: F) -> anyhow::Result<Round>
where
    F: Fn(u64) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = anyhow::Result<T>> + Send,
    T: Send,
{
    spread(tasks, READS, move |task, i| read((task * 31 + i) % KEYS)).await
}

/// Runs so many operations on so many tasks, one after another on each; an operation knows its task and its number there.
pub(crate) async fn spread<T, F, Fut>(tasks: u64, operations: u64, operation: F) -> anyhow::Result<Round>
where
    F: Fn(u64, u64) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = anyhow::Result<T>> + Send,
    T: Send,
{
    let clock = Clock::system();
    let (began, cpu) = (clock.monotonic(), cpu::of_process());
    let mut running = JoinSet::new();
    for task in 0..tasks {
        let (operation, clock) = (operation.clone(), clock.clone());
        running.spawn(async move {
            let mut latencies = histogram();
            for i in 0..operations / tasks {
                let sent = clock.monotonic();
                black_box(operation(task, i).await?);
                latencies.saturating_record((clock.monotonic() - sent).as_nanos() as u64);
            }
            anyhow::Ok(latencies)
        });
    }
    let mut latencies = histogram();
    while let Some(ended) = running.join_next().await {
        latencies.add(ended??)?;
    }
    Ok(Round {
        operations: latencies.len(),
        cpu: cpu::of_process() - cpu,
        wall: clock.monotonic() - began,
        allocations: None,
        latencies: Some(latencies),
    })
}

/// Finds the keys of every id: Larder spreads them over 64 partitions.
async fn names(store: &Store, namespace: &str) -> anyhow::Result<HashMap<u64, (String, String)>> {
    let pattern = format!("{namespace}:{{{namespace}.*}}:e:*");
    let keys: Vec<String> = cmd("KEYS").arg(pattern).query_async(&mut store.clone()).await?;
    let mut names = HashMap::new();
    for entry in keys {
        let (partition, id) = entry.split_once(":e:").context("an entry's key")?;
        names.insert(id.parse()?, (entry.clone(), format!("{partition}:m")));
    }
    anyhow::ensure!(names.len() as u64 == KEYS, "{} of {KEYS} keys are stored", names.len());
    Ok(names)
}
