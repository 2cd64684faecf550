//! `larder bench faces`: the async face against the blocking one, over the same store and the same caches.
//!
//! Both do the same calls one after another on one thread: the async face awaits them in one future, the blocking one waits
//! for each. Then 1,000 callers at one time: as tasks, and as threads.

use std::{
    fs,
    sync::{Arc, Barrier},
    time::Duration,
};

use hdrhistogram::Histogram;
use larder::blocking::{Cache, Runtime, Store};
use larder_base::Clock;
use serde::Serialize;

use super::lab::{
    cpu,
    figure::{Figure, Report},
    rounds::{Round, Tournament, histogram},
    user::User,
};
use crate::{context::Context, failure::Outcome, own_keys};

/// Users that are loaded and read in a round.
const USERS: u64 = 1_000;

/// Users written at a time.
const BATCH: usize = 100;

/// Callers at one time.
const CALLERS: u64 = 1_000;

const TTL: Duration = Duration::from_secs(3_600);

const FACES: [&str; 2] = ["async", "blocking"];

/// By how much this process grew until all callers stood ready.
#[derive(Debug, Serialize)]
struct Memory {
    subject: &'static str,
    callers: u64,
    rss_growth_kib: u64,
}

#[derive(Debug, Serialize)]
struct Faces {
    #[serde(flatten)]
    report: Report,
    memory: Vec<Memory>,
}

pub(super) async fn run(on: &super::OnStore, context: &Context) -> Outcome {
    let store = on.store.open().await?;
    let namespace = format!("bench-{:016x}", context.random.next_u64());
    let rounds = on.rounds.rounds as usize;
    let lab = Lab {
        store: Store::wrap(store.clone(), &Runtime::current()),
        namespace: namespace.clone(),
    };
    // Beside the tasks of this program: it waits, as a program without tasks does.
    let work = async { Ok(tokio::task::spawn_blocking(move || lab.measure(rounds)).await??) };
    let (figures, memory) = own_keys::removed_after(context, std::slice::from_ref(&store), &namespace, work).await?;
    let machine = cpu::machine();
    let faces = Faces {
        report: Report { machine, figures },
        memory,
    };
    context.ui.line(faces.report.table());
    for memory in &faces.memory {
        let (callers, grown) = (memory.callers, memory.rss_growth_kib);
        context.ui.line(format_args!(
            "memory of {callers} callers, {}: {grown} KiB",
            memory.subject
        ));
    }
    context.ui.document(&faces);
    store.close().await;
    Ok(())
}

struct Lab {
    store: Store,
    namespace: String,
}

impl Lab {
    fn measure(&self, rounds: usize) -> anyhow::Result<(Vec<Figure>, Vec<Memory>)> {
        let near = self.cache("near", 2 * USERS as usize)?;
        let far = self.cache("store", 0)?;
        let mut figures = Vec::new();
        for case in [Case::Load, Case::StoreHit, Case::NearHit, Case::Miss] {
            let cache = if case == Case::NearHit { &near } else { &far };
            let mut tournament = Tournament::new(case.name());
            for _ in 0..rounds {
                for face in FACES {
                    case.prepare(cache)?;
                    tournament.add(face, round(|spent| case.run(face, cache, spent))?);
                }
            }
            figures.extend(tournament.figures());
        }
        Case::StoreHit.prepare(&far)?;
        let mut tournament = Tournament::new("1,000 callers at a time, store hit");
        let mut memory = Vec::new();
        for turn in 0..rounds {
            for face in FACES {
                let mut grown = 0;
                let callers = if face == "async" { as_tasks } else { as_threads };
                tournament.add(face, round(|spent| callers(&far, spent, &mut grown))?);
                // Later rounds find the memory of the first.
                if turn == 0 {
                    memory.push(Memory {
                        subject: face,
                        callers: CALLERS,
                        rss_growth_kib: grown,
                    });
                }
            }
        }
        figures.extend(tournament.figures());
        Ok((figures, memory))
    }

    fn cache(&self, name: &str, near: usize) -> anyhow::Result<Cache<u64, User>> {
        let builder = Cache::builder(format!("{}-{name}", self.namespace));
        Ok(builder.store(&self.store).near(near).ttl(TTL).build()?)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Load,
    StoreHit,
    NearHit,
    Miss,
}

impl Case {
    const fn name(self) -> &'static str {
        match self {
            Self::Load => "load of 1,000 users, 100 at a time",
            Self::StoreHit => "store hit",
            Self::NearHit => "near hit",
            Self::Miss => "miss and load",
        }
    }

    /// Before the clock runs.
    fn prepare(self, cache: &Cache<u64, User>) -> anyhow::Result<()> {
        match self {
            Self::Load | Self::Miss => cache.clear()?,
            Self::StoreHit | Self::NearHit => {
                for id in 0..USERS {
                    cache.get_or_load(&id, || loaded(id))?;
                }
            }
        }
        Ok(())
    }

    /// Does each of the operations through one face; how many.
    fn run(self, face: &str, cache: &Cache<u64, User>, spent: &mut Histogram<u64>) -> anyhow::Result<u64> {
        let batches: Vec<Vec<u64>> = (0..USERS)
            .collect::<Vec<_>>()
            .chunks(BATCH)
            .map(<[u64]>::to_vec)
            .collect();
        let clock = Clock::system();
        let mut note = |began: Duration| spent.saturating_record((clock.monotonic() - began).as_nanos() as u64);
        if face == "blocking" {
            for batch in &batches {
                let began = clock.monotonic();
                if self == Self::Load {
                    let _receipt = cache.put_many(batch.iter().map(|&id| (id, User::number(id))))?;
                    note(began);
                    continue;
                }
                for id in batch {
                    let began = clock.monotonic();
                    match self {
                        Self::Miss => drop(cache.get_or_load(id, || loaded(*id))?),
                        _ => hit(cache.get(id)?.as_deref())?,
                    }
                    note(began);
                }
            }
            return Ok(USERS);
        }
        let users = cache.as_async();
        cache.runtime().block_on(async {
            for batch in &batches {
                let began = clock.monotonic();
                if self == Self::Load {
                    let _receipt = users.put_many(batch.iter().map(|&id| (id, User::number(id)))).await?;
                    note(began);
                    continue;
                }
                for id in batch {
                    let began = clock.monotonic();
                    match self {
                        Self::Miss => drop(users.get_or_load(id, || async { loaded(*id) }).await?),
                        _ => hit(users.get(id).await?.as_deref())?,
                    }
                    note(began);
                }
            }
            Ok(USERS)
        })
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a loader may fail")]
fn loaded(id: u64) -> Result<User, std::convert::Infallible> {
    Ok(User::number(id))
}

fn hit(found: Option<&User>) -> anyhow::Result<()> {
    anyhow::ensure!(found.is_some(), "a user that was loaded is gone");
    Ok(())
}

fn round(run: impl FnOnce(&mut Histogram<u64>) -> anyhow::Result<u64>) -> anyhow::Result<Round> {
    let (clock, mut latencies) = (Clock::system(), histogram());
    let (began, cpu) = (clock.monotonic(), cpu::of_process());
    let operations = run(&mut latencies)?;
    Ok(Round {
        operations,
        cpu: cpu::of_process() - cpu,
        wall: clock.monotonic() - began,
        allocations: None,
        latencies: Some(latencies),
    })
}

fn as_tasks(cache: &Cache<u64, User>, spent: &mut Histogram<u64>, grown: &mut u64) -> anyhow::Result<u64> {
    let before = rss_kib();
    cache.runtime().block_on(async {
        let barrier = Arc::new(tokio::sync::Barrier::new(CALLERS as usize + 1));
        let mut callers = tokio::task::JoinSet::new();
        for id in 0..CALLERS {
            let (cache, barrier) = (cache.as_async().clone(), barrier.clone());
            callers.spawn(async move {
                barrier.wait().await;
                let clock = Clock::system();
                let began = clock.monotonic();
                hit(cache.get(&(id % USERS)).await?.as_deref())?;
                anyhow::Ok(clock.monotonic() - began)
            });
        }
        *grown = rss_kib().saturating_sub(before);
        barrier.wait().await;
        while let Some(ended) = callers.join_next().await {
            spent.saturating_record(ended??.as_nanos() as u64);
        }
        Ok(CALLERS)
    })
}

fn as_threads(cache: &Cache<u64, User>, spent: &mut Histogram<u64>, grown: &mut u64) -> anyhow::Result<u64> {
    let (before, barrier) = (rss_kib(), Barrier::new(CALLERS as usize + 1));
    std::thread::scope(|scope| {
        let caller = |id: u64| {
            barrier.wait();
            let clock = Clock::system();
            let began = clock.monotonic();
            hit(cache.get(&(id % USERS))?.as_deref())?;
            anyhow::Ok(clock.monotonic() - began)
        };
        let callers: Vec<_> = (0..CALLERS).map(|id| scope.spawn(move || caller(id))).collect();
        *grown = rss_kib().saturating_sub(before);
        barrier.wait();
        for ended in callers {
            let took = ended.join().expect("a caller does not panic")?;
            spent.saturating_record(took.as_nanos() as u64);
        }
        Ok(CALLERS)
    })
}

/// Memory of this process that is not elsewhere; 0 where the system does not say.
fn rss_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
