//! Near hits: a typed value, TTL on, read in process through the public API.
//!
//! A hit is shorter than the reading of a clock, so latencies are of [`CHUNK`] hits in a row, divided by their number.

use std::{
    hint::black_box,
    sync::{Arc, Barrier},
    task::{Context, Poll, Waker},
    time::Duration,
};

use hdrhistogram::Histogram;
use larder_base::{CacheKey, Clock, Random};
use larder_cache::Cache;
use larder_store::Store;
use tokio::runtime::Handle;

use super::{
    cpu,
    figure::Figure,
    rounds::{Round, Tournament, histogram},
    user::User,
};

/// Keys, all of them cached: more than a processor's first caches hold, less than the last.
pub(crate) const KEYS: u64 = 10_000;

/// Long enough that nothing expires while it is measured.
pub(crate) const TTL: Duration = Duration::from_secs(3_600);

/// Reads of one round and thread.
const READS: usize = 500_000;

/// Hits that are timed together.
const CHUNK: usize = 250;

/// A cache to read from, holding every key.
pub(crate) trait Subject<K>: Sync {
    fn name(&self) -> String;

    /// Reads the keys at these positions; how many were there.
    fn read(&self, keys: &[K], order: &[u32]) -> usize;
}

/// Counts allocations of the calling thread so far, where a binary can.
pub(crate) type AllocationCount = fn() -> u64;

/// What is read, and in what order.
pub(crate) struct Workload<K> {
    pub(crate) keys: Vec<K>,
    order: Vec<u32>,
}

impl<K: CacheKey> Workload<K> {
    /// Every key as likely as any other; the same order for everyone.
    pub(crate) fn new(key: impl Fn(u64) -> K) -> Self {
        let random = Random::seeded(7);
        Self {
            keys: (0..KEYS).map(key).collect(),
            order: (0..READS).map(|_| random.below(KEYS) as u32).collect(),
        }
    }

    /// Lets the subjects read in turns. The first is the yardstick.
    pub(crate) fn run(
        &self,
        case: &str,
        subjects: &[Box<dyn Subject<K>>],
        threads: usize,
        rounds: usize,
        allocations: Option<AllocationCount>,
    ) -> Vec<Figure> {
        let mut tournament = Tournament::new(case);
        for _ in 0..rounds {
            for subject in subjects {
                tournament.add(&subject.name(), self.round(&**subject, threads, allocations));
            }
        }
        tournament.figures()
    }

    fn round(&self, subject: &dyn Subject<K>, threads: usize, allocations: Option<AllocationCount>) -> Round {
        let clock = Clock::system();
        let barrier = Barrier::new(threads + 1);
        std::thread::scope(|scope| {
            let reader = || self.reader(subject, &barrier, allocations);
            let handles: Vec<_> = (0..threads).map(|_| scope.spawn(reader)).collect();
            barrier.wait();
            let began = clock.monotonic();
            let spent: Vec<Spent> = handles
                .into_iter()
                .map(|handle| handle.join().expect("a reader does not panic"))
                .collect();
            let mut latencies = histogram();
            for one in &spent {
                latencies
                    .add(&one.latencies)
                    .expect("all histograms have the same bounds");
            }
            Round {
                operations: (threads * READS) as u64,
                cpu: spent.iter().map(|spent| spent.cpu).sum(),
                wall: clock.monotonic() - began,
                allocations: spent.iter().map(|spent| spent.allocations).sum(),
                latencies: Some(latencies),
            }
        })
    }

    fn reader(&self, subject: &dyn Subject<K>, barrier: &Barrier, allocations: Option<AllocationCount>) -> Spent {
        // Once before the clock runs: caches of the processor, pages, lazy state of the subject.
        let warm = &self.order[..READS / 10];
        let warmed = subject.read(&self.keys, warm);
        let (clock, mut latencies, mut found) = (Clock::system(), histogram(), 0);
        barrier.wait();
        let allocated = allocations.map(|count| count());
        let began = cpu::of_thread();
        let mut then = clock.monotonic();
        for order in self.order.chunks(CHUNK) {
            found += subject.read(&self.keys, order);
            let now = clock.monotonic();
            latencies.saturating_record((now - then).as_nanos() as u64 / CHUNK as u64);
            then = now;
        }
        let cpu = cpu::of_thread() - began;
        let allocations = allocations.zip(allocated).map(|(count, before)| count() - before);
        assert_eq!(
            warmed + found,
            warm.len() + READS,
            "every read of {} is a hit",
            subject.name()
        );
        Spent {
            cpu,
            allocations,
            latencies,
        }
    }
}

struct Spent {
    cpu: Duration,
    allocations: Option<u64>,
    latencies: Histogram<u64>,
}

/// Drives a future that is ready at once, as a hit is; should it not be, on `runtime`.
pub(crate) fn at_once<F: Future>(runtime: &Handle, future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => runtime.block_on(future),
    }
}

/// Larder: `Cache::get`, near tier on.
pub(crate) struct Larder<K: CacheKey> {
    name: String,
    cache: Cache<K, User>,
    runtime: Handle,
}

impl<K: CacheKey> Larder<K> {
    /// A cache on `store` that has every key in its near tier.
    pub(crate) async fn filled(name: &str, store: &Store, namespace: &str, keys: &[K]) -> anyhow::Result<Self> {
        let cache = Cache::<K, User>::builder(namespace)
            .store(store)
            .near(2 * KEYS as usize)
            .ttl(TTL)
            .build()
            .await?;
        for (id, key) in keys.iter().enumerate() {
            let load = || async move { Ok::<_, std::convert::Infallible>(User::number(id as u64)) };
            cache.get_or_load(key, load).await?;
        }
        Ok(Self {
            name: name.to_owned(),
            cache,
            runtime: Handle::current(),
        })
    }
}

impl<K: CacheKey> Subject<K> for Larder<K> {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn read(&self, keys: &[K], order: &[u32]) -> usize {
        at_once(&self.runtime, async {
            let mut found = 0;
            for &i in order {
                let value: Option<Arc<User>> = self.cache.get(&keys[i as usize]).await.unwrap_or_default();
                found += usize::from(black_box(value).is_some());
            }
            found
        })
    }
}
