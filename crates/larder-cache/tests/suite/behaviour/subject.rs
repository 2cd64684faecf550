//! Caches as processes of their own, and sources that do what a test says.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_cache::{BoxError, Cache, CacheBuilder, Source};
use larder_testkit::{Kind, Topology, eventually};
use tokio::sync::Notify;

pub(crate) type Numbers = Cache<u64, u64>;

/// Units that outlast any test: what lives so long is still there at its end, however slow the machine is.
pub(crate) const LONG: u32 = 1_200;

/// A cache of a process of its own, with a TTL of [`LONG`] and no jitter.
pub(crate) async fn cache(t: &Topology) -> Numbers {
    build(t, |b| b).await
}

/// The same with other settings.
pub(crate) async fn build(
    t: &Topology,
    settings: impl FnOnce(CacheBuilder<u64, u64>) -> CacheBuilder<u64, u64>,
) -> Numbers {
    let store = t.another_store().await;
    let builder = Cache::builder("n").store(&store).ttl(t.units(LONG)).jitter(0.0);
    settings(builder).build().await.expect("the settings agree")
}

/// Room in the near tier where the store vouches for it.
pub(crate) fn near(t: &Topology) -> usize {
    if t.kind() == Kind::Embedded { 100 } else { 0 }
}

pub(crate) async fn fails() -> Result<u64, io::Error> {
    Err(io::Error::other("the source is down"))
}

pub(crate) async fn answers(value: u64) -> Result<u64, io::Error> {
    Ok(value)
}

/// A source that counts, fails, panics, or waits until it is let go.
#[derive(Clone, Default)]
pub(crate) struct Rows(Arc<State>);

#[derive(Default)]
struct State {
    value: AtomicU64,
    loads: AtomicU64,
    calls: AtomicU64,
    failing: AtomicBool,
    panicking: AtomicBool,
    gated: AtomicBool,
    gate: Notify,
}

impl Rows {
    /// Every row has this value; 0 says that there is none.
    pub(crate) fn of(value: u64) -> Self {
        let rows = Self::default();
        rows.set(value);
        rows
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.value.store(value, Ordering::SeqCst);
    }

    pub(crate) fn fail(&self, failing: bool) {
        self.0.failing.store(failing, Ordering::SeqCst);
    }

    pub(crate) fn panic(&self, panicking: bool) {
        self.0.panicking.store(panicking, Ordering::SeqCst);
    }

    /// Loads wait from now on.
    pub(crate) fn close_gate(&self) {
        self.0.gated.store(true, Ordering::SeqCst);
    }

    pub(crate) fn open_gate(&self) {
        self.0.gated.store(false, Ordering::SeqCst);
        self.0.gate.notify_waiters();
    }

    /// Keys loaded.
    pub(crate) fn loads(&self) -> u64 {
        self.0.loads.load(Ordering::SeqCst)
    }

    /// Calls, of however many keys.
    pub(crate) fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::SeqCst)
    }

    pub(crate) async fn read(&self, keys: u64) -> Result<Option<u64>, io::Error> {
        let state = &self.0;
        state.calls.fetch_add(1, Ordering::SeqCst);
        state.loads.fetch_add(keys, Ordering::SeqCst);
        // The snapshot is taken before the wait: what changes meanwhile is not in it.
        let value = state.value.load(Ordering::SeqCst);
        let mut opened = std::pin::pin!(state.gate.notified());
        opened.as_mut().enable();
        if state.gated.load(Ordering::SeqCst) {
            opened.await;
        }
        assert!(!state.panicking.load(Ordering::SeqCst), "told to");
        if state.failing.load(Ordering::SeqCst) {
            return Err(io::Error::other("the source is down"));
        }
        Ok((value > 0).then_some(value))
    }
}

impl Source<u64, u64> for Rows {
    async fn load(&self, _: &u64) -> Result<Option<u64>, BoxError> {
        Ok(self.read(1).await?)
    }

    async fn load_many(&self, keys: &[u64]) -> Result<Vec<(u64, u64)>, BoxError> {
        let value = self.read(keys.len() as u64).await?;
        Ok(keys.iter().filter_map(|key| value.map(|value| (*key, value))).collect())
    }
}

/// How long other threads get before a unit of time passes: where the clock is moved by hand, units take no time.
const PATIENCE: Duration = Duration::from_millis(20);

/// How long they get when all units have passed: on a busy machine what is due may still want its turn.
const SOON: Duration = Duration::from_secs(20);

/// Lets time pass in units of one until `condition` holds, for at most `units`.
pub(crate) async fn passes(t: &Topology, units: u32, condition: impl Fn() -> bool) -> bool {
    for _ in 0..=units {
        if comes_within(PATIENCE, &condition).await {
            return true;
        }
        t.advance(1).await;
    }
    comes_within(SOON, &condition).await
}

async fn comes_within(patience: Duration, condition: impl Fn() -> bool) -> bool {
    let look = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(patience, look).await.is_ok()
}

/// Reads key 1 as time passes, until what is read is `value`: a refresh begins with a read, and one that failed keeps the
/// next one waiting.
pub(crate) async fn becomes(t: &Topology, cache: &Numbers, value: u64) {
    eventually(SOON, async || {
        let found = cache.get(&1).await.unwrap().expect("the old value serves meanwhile");
        t.advance(1).await;
        *found == value
    })
    .await;
}

/// Lets time pass until `work` is done.
pub(crate) async fn meanwhile<T>(t: &Topology, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        match tokio::time::timeout(PATIENCE, work.as_mut()).await {
            Ok(done) => return done,
            Err(_) => t.advance(1).await,
        }
    }
}

/// Lets `units` pass, each with time for other threads: where a lease must be renewed in its time, they need it.
pub(crate) async fn slowly(t: &Topology, units: u32) {
    for _ in 0..units {
        tokio::time::sleep(Duration::from_millis(5)).await;
        t.advance(1).await;
    }
}
