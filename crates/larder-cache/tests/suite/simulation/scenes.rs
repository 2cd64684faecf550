//! What the near tier's rules are there for, each rule's moment made on purpose: two processes, one of which has a copy
//! when the other writes.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::FutureExt as _;
use larder_base::{ManualClock, Random};
use larder_cache::Cache;
use larder_testkit::sim::{Break, Process, Sea};

use super::BOUND;

/// Longer than a near copy may be behind.
const BEYOND: Duration = BOUND.saturating_add(Duration::from_millis(10));

/// One process that reads, another that writes, and the row.
struct Scene {
    sea: Sea,
    here: Process,
    reader: Cache<u64, u64>,
    writer: Cache<u64, u64>,
    row: AtomicU64,
}

impl Scene {
    async fn new(seed: u64) -> Self {
        let sea = Sea::new(&Random::seeded(seed));
        let here = sea.process().await.expect("the server accepts");
        let there = sea.process().await.expect("the server accepts");
        let open = async |process: &Process| {
            let builder = Cache::builder("scene")
                .store(&process.store)
                .near(100)
                .max_staleness(BOUND)
                .ttl(Duration::from_secs(3_600));
            sea.drive(builder.build()).await.expect("the settings agree")
        };
        let (reader, writer) = (open(&here).await, open(&there).await);
        Self {
            sea,
            here,
            reader,
            writer,
            row: AtomicU64::new(1),
        }
    }

    async fn read(&self) -> u64 {
        let load = || async { Ok::<_, Infallible>(self.row.load(Ordering::Relaxed)) };
        *self.reader.get_or_load(&1, load).await.expect("the store is up")
    }

    /// Reads until the near tier answers.
    async fn read_near(&self) {
        let before = self.reader.stats().near_hits;
        while self.reader.stats().near_hits == before {
            self.read().await;
            self.pass(Duration::from_millis(1)).await;
        }
    }

    /// A new value in the row, which nobody was told of yet.
    fn commit(&self) -> u64 {
        self.row.fetch_add(1, Ordering::Relaxed) + 1
    }

    async fn pass(&self, span: Duration) {
        self.sea.clock().sleep(span).await;
    }

    fn hand(&self) -> &ManualClock {
        self.sea.clock().as_manual().expect("the sea has a clock of its own")
    }
}

/// Plays a scene on one thread.
fn play(scene: &impl AsyncFn(&Scene)) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime can be built").block_on(async {
        let setting = Scene::new(1).await;
        setting.sea.drive(scene(&setting)).await;
    });
}

/// R3: what happens to a key between a request and its answer decides, not how things are when the answer comes.
#[test]
pub(crate) fn a_read_that_was_overtaken_leaves_no_copy() {
    /// Read and write meet in some of them.
    const ROUNDS: u64 = 40;
    play(&async |scene: &Scene| {
        let random = Random::seeded(7);
        for _ in 0..ROUNDS {
            let load = || async { Ok::<_, Infallible>(scene.row.load(Ordering::Relaxed)) };
            scene.writer.get_or_load(&1, load).await.expect("the store is up");
            scene.pass(BEYOND).await;
            let write = async {
                for _ in 0..random.below(40) {
                    tokio::task::yield_now().await;
                }
                let version = scene.commit();
                scene.writer.invalidate(&1).await.expect("the store is up");
                version
            };
            let (_, version) = futures_util::join!(scene.read(), write);
            scene.pass(BEYOND).await;
            assert_eq!(scene.read().await, version);
            scene.writer.invalidate(&1).await.expect("the store is up");
            scene.pass(BEYOND).await;
        }
    });
}

/// R2: the server tells nobody of his own.
#[test]
pub(crate) fn an_own_invalidation_ends_the_own_copy() {
    play(&async |scene: &Scene| {
        scene.read_near().await;
        let version = scene.commit();
        scene.reader.invalidate(&1).await.expect("the store is up");
        assert_eq!(scene.read().await, version);
    });
}

/// R2: what was flushed is pushed as everything, and never again: the invalidation that follows finds nothing.
#[test]
pub(crate) fn a_flush_ends_every_copy() {
    play(&async |scene: &Scene| {
        scene.read_near().await;
        scene.sea.wire().call(&["FLUSHALL"]).expect("the engine answers");
        let version = scene.commit();
        scene.writer.invalidate(&1).await.expect("the store is up");
        scene.pass(BEYOND).await;
        assert_eq!(scene.read().await, version);
    });
}

/// R4: nobody tells what was changed while there was no connection.
#[test]
pub(crate) fn a_connection_that_was_lost_ends_every_copy() {
    play(&async |scene: &Scene| {
        scene.read_near().await;
        scene.here.link.cut(Break::Reset);
        let version = scene.commit();
        scene.writer.invalidate(&1).await.expect("the store is up");
        // Until the reader is connected once more, and has proof of it.
        scene.pass(Duration::from_secs(5)).await;
        assert_eq!(scene.read().await, version);
    });
}

/// R9: the first read after a SIGCONT comes before anything else of the process has run.
#[test]
pub(crate) fn a_process_that_stood_still_serves_nothing_from_before() {
    play(&async |scene: &Scene| {
        scene.read_near().await;
        scene.here.link.pause(true);
        let version = scene.commit();
        scene.writer.invalidate(&1).await.expect("the store is up");
        scene.hand().advance(Duration::from_secs(3));
        let mut reading = Box::pin(scene.read());
        let at_once = futures_util::poll!(reading.as_mut());
        scene.here.link.pause(false);
        let seen = match at_once {
            std::task::Poll::Ready(seen) => seen,
            std::task::Poll::Pending => reading.await,
        };
        assert_eq!(seen, version);
    });
}

/// R2: M's incarnation is what every value hangs on, with a tag or without.
#[test]
pub(crate) fn a_clear_ends_untagged_copies_of_others() {
    play(&async |scene: &Scene| {
        scene.read_near().await;
        // From now on the reader knows what M was.
        scene.writer.invalidate_tag("other").await.expect("the store is up");
        scene.pass(BEYOND).await;
        scene.read_near().await;
        let version = scene.commit();
        scene.writer.clear().await.expect("the store is up");
        scene.pass(BEYOND).await;
        assert_eq!(scene.read().await, version);
    });
}

/// R2: whoever writes M is told of nobody's next change of it, unless it reads M once more.
#[test]
pub(crate) fn an_own_tag_invalidation_leaves_nobody_deaf() {
    play(&async |scene: &Scene| {
        scene.read_near().await;
        scene.reader.invalidate_tag("other").await.expect("the store is up");
        scene.pass(BEYOND).await;
        scene.read_near().await;
        scene.reader.invalidate_tag("other").await.expect("the store is up");
        scene.pass(BEYOND).await;
        let version = scene.commit();
        scene.writer.clear().await.expect("the store is up");
        scene.pass(BEYOND).await;
        assert_eq!(scene.read().await, version);
    });
}

/// R2 and R5: replies are held up for longer than the bound; when they come, the proof that the stream is live comes with
/// news that is older, in this order or the other. Reads go on in every turn.
#[test]
pub(crate) fn news_that_was_held_up_is_not_overtaken_by_its_proof() {
    /// So often, at various moments of the heartbeat.
    const ROUNDS: u64 = 60;
    /// Turns in which a round's reader reads: until what was held up has arrived.
    const TURNS: u32 = 150;
    play(&async |scene: &Scene| {
        let random = Random::seeded(7);
        let up_to = |ms: u64| Duration::from_millis(random.below(ms));
        for _ in 0..ROUNDS {
            scene.read_near().await;
            scene.pass(up_to(100)).await;
            scene.here.link.hold_replies(true);
            scene.pass(up_to(200)).await;
            let version = scene.commit();
            scene.writer.invalidate(&1).await.expect("the store is up");
            scene.pass(BEYOND + up_to(40)).await;
            scene.here.link.hold_replies(false);
            for _ in 0..TURNS {
                // Only a near copy answers at once.
                let seen = scene.reader.get(&1).now_or_never().and_then(Result::ok).flatten();
                assert!(seen.is_none_or(|seen| *seen >= version), "older than its bound");
                tokio::task::yield_now().await;
            }
        }
    });
}
