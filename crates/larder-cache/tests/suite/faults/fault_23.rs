//! 23: a request's answer does not come, and it is sent again, or is not; or its first copy arrives when its sender has
//! long gone on. By the table of protocol 1.3: nothing is done twice that counts, nobody is locked out by his own lost
//! attempt, and what arrives late stores nothing old.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_cache::{Cache, LoadContext};
use larder_engine::Engine;
use larder_store::{Fate, Store, StoreConfig};
use larder_testkit::{Kind, Proxy, RedisServer, Wire, eventually};
use redis::AsyncCommands as _;

use super::{
    mishap::{Happens, Mishap},
    row::{Baseline, Verdict, row},
    tagged::TAG,
};

/// Short, for a late copy may take a lease or open a hold that nobody knows of, and it has to end by itself.
const LEASE: Duration = Duration::from_millis(150);
const HOLD: Duration = Duration::from_secs(1);

/// What is asked of the cache, so that the script of the case is sent.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Read,
    ReadUnmodified,
    FailToLoad,
    Invalidate,
    InvalidateTag,
    InvalidateMany,
    Clear,
    MarkStale,
    Commit,
    CommitValue,
    Put,
    ReadOverAnotherType,
}

/// How often a request whose answer was not seen is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sent {
    Once,
    Again,
}

/// The table: a script, what sends it, how often. Scripts sent in one pipeline go by the name "pipeline".
const TABLE: &[(&str, Deed, Sent)] = &[
    ("get", Deed::Read, Sent::Again),
    ("fill", Deed::Read, Sent::Once),
    ("extend", Deed::ReadUnmodified, Sent::Once),
    ("release", Deed::FailToLoad, Sent::Once),
    ("inv", Deed::Invalidate, Sent::Again),
    ("pipeline", Deed::InvalidateTag, Sent::Again),
    ("pipeline", Deed::InvalidateMany, Sent::Again),
    ("rotate", Deed::Clear, Sent::Again),
    ("mark_stale", Deed::MarkStale, Sent::Again),
    ("begin", Deed::Commit, Sent::Again),
    ("begin", Deed::CommitValue, Sent::Again),
    ("endw", Deed::Commit, Sent::Again),
    ("endput", Deed::CommitValue, Sent::Once),
    ("put", Deed::Put, Sent::Once),
    ("heal", Deed::ReadOverAnotherType, Sent::Once),
];

/// A process whose request meets with something, another one, and the row that both read.
struct Scene {
    engine: Engine,
    mishap: Arc<Mishap>,
    here: Cache<u64, u64>,
    there: Cache<u64, u64>,
    row: Arc<AtomicU64>,
    loads: Arc<AtomicU64>,
}

impl Scene {
    async fn new(script: &'static str, fate: Fate) -> Self {
        let engine = Engine::new();
        let mishap = Mishap::of(script, Happens::Meets(fate));
        let (here, there) = (mishap.client(&engine), Store::embedded(engine.clone()));
        Self {
            here: cache(&here).await,
            there: cache(&there).await,
            engine,
            mishap,
            row: Arc::new(AtomicU64::new(1)),
            loads: Arc::default(),
        }
    }

    async fn read(&self, cache: &Cache<u64, u64>) -> Option<u64> {
        let load = |context: LoadContext<u64>| async move {
            self.loads.fetch_add(1, Ordering::SeqCst);
            context.tag(TAG);
            Ok::<_, io::Error>(self.row.load(Ordering::SeqCst))
        };
        let read = cache
            .get_or_load_with(&1, load)
            .await
            .expect("there is always a source");
        read.map(|value| *value)
    }

    /// A new version, invalidated by the process whose network is sound.
    async fn write_there(&self, version: u64) {
        self.row.store(version, Ordering::SeqCst);
        self.there.invalidate(&1).await.expect("the store is up");
    }

    /// Does the deed here. A deed that writes makes version 2.
    async fn act(&self, deed: Deed, verdict: &mut Verdict) {
        let ok = |result: Result<(), larder_cache::Error>| result.map_err(|error| error.to_string());
        let done: Result<(), String> = match deed {
            Deed::Read => {
                let read = self.read(&self.here).await;
                verdict.expect(read == Some(1), format!("{deed:?}: version 1, not {read:?}"));
                Ok(())
            }
            Deed::ReadUnmodified => {
                self.read(&self.there).await;
                self.there.mark_stale(&1).await.expect("the store is up");
                let load = |context: LoadContext<u64>| async move { Ok::<_, io::Error>(context.not_modified()) };
                let read = self.here.get_or_load_with(&1, load).await;
                ok(read.map(drop))
            }
            Deed::FailToLoad => {
                let fail = || async { Err::<u64, _>(io::Error::other("the source is down")) };
                let failed = self
                    .here
                    .get_or_load(&1, fail)
                    .await
                    .is_err_and(|error| error.is_load());
                verdict.expect(failed, "the failure of the source is what is reported");
                Ok(())
            }
            Deed::ReadOverAnotherType => {
                self.read(&self.there).await;
                let mut wire = Wire::embedded(&self.engine);
                let e = wire.call(&["KEYS", "*:e:1"]).expect("KEYS cannot fail").list()[0].text();
                wire.call(&["DEL", &e]).expect("DEL cannot fail");
                wire.call(&["HSET", &e, "f", "v"]).expect("nothing is there");
                let read = self.read(&self.here).await;
                verdict.expect(read == Some(1), format!("{deed:?}: version 1, not {read:?}"));
                Ok(())
            }
            writes => {
                self.read(&self.there).await;
                self.row.store(2, Ordering::SeqCst);
                self.write_here(writes).await
            }
        };
        verdict.expect(done.is_ok(), format!("{deed:?}: {done:?}"));
    }

    async fn write_here(&self, deed: Deed) -> Result<(), String> {
        let here = &self.here;
        let done = match deed {
            Deed::Invalidate => here.invalidate(&1).await,
            Deed::InvalidateTag => here.invalidate_tag(TAG).await,
            Deed::InvalidateMany => here.invalidate_many(&[1, 2]).await,
            Deed::Clear => here.clear().await,
            Deed::MarkStale => here.mark_stale(&1).await,
            Deed::Commit => match here.hold(&1).await {
                Ok(hold) => hold.commit(async { Ok::<_, io::Error>(()) }).await.map(drop),
                Err(error) => Err(error),
            },
            Deed::CommitValue => match here.hold(&1).await {
                Ok(hold) => hold.commit_value(async { Ok::<_, io::Error>(2) }).await.map(drop),
                Err(error) => Err(error),
            },
            // Nobody knows whether it was stored, and that is said.
            Deed::Put => match here.put(&1, 2).await {
                Err(error) if error.is_outcome_unknown() => here.invalidate(&1).await,
                other => return Err(format!("an outcome that cannot be known, not {other:?}")),
            },
            other => unreachable!("{other:?} writes nothing"),
        };
        done.map_err(|error| error.to_string())
    }

    /// Reads here and there, and expects what was last written; then that it is cached before long.
    async fn settles(&self, when: &str, verdict: &mut Verdict) {
        let version = self.row.load(Ordering::SeqCst);
        for cache in [&self.here, &self.there, &self.here] {
            let read = self.read(cache).await;
            verdict.expect(
                read == Some(version),
                format!("{when}: version {version}, not {read:?}"),
            );
        }
        eventually(Duration::from_secs(20), async || {
            let before = self.loads.load(Ordering::SeqCst);
            let read = self.read(&self.there).await;
            read == Some(version) && self.loads.load(Ordering::SeqCst) == before
        })
        .await;
    }
}

async fn cache(store: &Store) -> Cache<u64, u64> {
    let builder = Cache::builder("retry")
        .store(store)
        .ttl(Duration::from_secs(60))
        .lease(LEASE)
        .hold_for(HOLD);
    builder.build().await.expect("the settings agree")
}

/// The request runs and its answer is lost, or it is lost itself: its sender cannot tell.
#[test]
fn fault_23_an_answer_is_lost() {
    row(23, &[], &[Kind::Embedded], async |_| {
        let mut verdict = Verdict::default();
        for &(script, deed, sent) in TABLE {
            for fate in [Fate::ReplyLost, Fate::Lost] {
                let scene = Scene::new(script, fate).await;
                scene.act(deed, &mut verdict).await;
                let often = match scene.mishap.sent() {
                    0 => panic!("{deed:?} sends no {script}"),
                    1 => Sent::Once,
                    _ => Sent::Again,
                };
                verdict.expect(
                    often == sent,
                    format!("{script} by {deed:?}, {fate:?}: sent {often:?}, not {sent:?}"),
                );
                scene
                    .settles(&format!("{script} by {deed:?}, {fate:?}"), &mut verdict)
                    .await;
            }
        }
        verdict
    });
}

/// The first copy arrives after its sender has gone on and another has written.
#[test]
fn fault_23_a_first_copy_arrives_late() {
    row(23, &[], &[Kind::Embedded], async |_| {
        let mut verdict = Verdict::default();
        // A put is not bound to a lease, and its caller was told that nobody knows: it must not arrive at all, see below.
        for &(script, deed, _) in TABLE.iter().filter(|(script, ..)| *script != "put") {
            let when = format!("{script} by {deed:?}, arriving late");
            // Before anybody has read the new version, and after it is cached.
            for cached_first in [false, true] {
                let scene = Scene::new(script, Fate::Late).await;
                scene.act(deed, &mut verdict).await;
                scene.write_there(3).await;
                if cached_first {
                    scene.settles(&when, &mut verdict).await;
                }
                scene.mishap.arrive();
                scene.settles(&when, &mut verdict).await;
            }
        }
        verdict
    });
}

/// A server that one client reaches over a line in which requests get stuck, and over a sound one when it connects again.
struct Stuck {
    server: RedisServer,
    front: Proxy,
    line: Proxy,
}

impl Stuck {
    async fn start() -> Self {
        let server = RedisServer::start().await;
        let line = Proxy::start(server.port()).await.expect("loopback has a free port");
        let front = Proxy::start(line.port()).await.expect("loopback has a free port");
        Self { server, front, line }
    }

    /// From now on requests of the present connection are stuck, and a new one is sound.
    fn sticks(&self) {
        self.line.hold_requests();
        self.front.point_at(self.server.port());
    }
}

/// A write is stuck in the network until its sender has given it up and another has written. It must not run then.
#[test]
fn fault_23_what_was_given_up_runs_no_more() {
    /// How long a client waits for an answer: long enough that a busy machine does not cost it its connection before the
    /// line is stuck, for the next one is sound.
    const PATIENCE: Duration = Duration::from_secs(1);
    row(23, &[Baseline::Naive], &[Kind::Redis], async |turn| {
        let (mut verdict, stuck) = (Verdict::default(), Stuck::start().await);
        let mut direct = Store::open(&stuck.server.url()).await.expect("the server is up");
        if turn.is_larder() {
            let config = StoreConfig::from_url(&stuck.front.url()).expect("a URL");
            let config = config.read_timeout(PATIENCE).write_timeout(PATIENCE);
            let store = Store::connect(config).await.expect("the server is up");
            let (here, there) = (cache(&store).await, cache(&direct).await);
            // Here: what a cache asks once at its start must not be what gets stuck.
            here.put(&1, 1).await.expect("the server is up");
            stuck.sticks();
            let put = here.put(&1, 2).await;
            let unknown = put.as_ref().is_err_and(larder_cache::Error::is_outcome_unknown);
            verdict.expect(unknown, format!("an outcome that cannot be known, not {put:?}"));
            eventually(Duration::from_secs(20), async || store.ping().await.is_ok()).await;
            there.put(&1, 3).await.expect("the server is up");
            stuck.line.let_pass();
            eventually(Duration::from_secs(20), async || stuck.line.connections() == 0).await;
            let now = there.get(&1).await.expect("the server is up");
            verdict.expect(now.as_deref() == Some(&3), format!("version 3, not {now:?}"));
        } else {
            let client = redis::Client::open(stuck.front.url()).expect("a URL");
            let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
            let mut here = client
                .get_multiplexed_async_connection_with_config(&config)
                .await
                .expect("the server is up");
            stuck.sticks();
            let put: redis::RedisResult<()> = here.set("k", 2).await;
            verdict.expect(put.is_err(), "it gets no answer");
            direct.set::<_, _, ()>("k", 3).await.expect("the server is up");
            stuck.line.let_pass();
            let overwritten = async || direct.clone().get::<_, u64>("k").await.is_ok_and(|now| now == 2);
            eventually(Duration::from_secs(20), overwritten).await;
            verdict.expect(false, "version 3, not 2, after the first copy has run");
        }
        verdict
    });
}

/// The retry of a request for a lease gets it at once, under a new token.
#[test]
fn fault_23_nobody_waits_for_his_own_lost_lease() {
    row(23, &[Baseline::Naive], &[Kind::Embedded], async |turn| {
        let mut verdict = Verdict::default();
        if turn.is_larder() {
            let scene = Scene::new("get", Fate::ReplyLost).await;
            let read = scene.read(&scene.here).await;
            verdict.expect(read == Some(1), format!("version 1, not {read:?}"));
            let (waits, fills) = (scene.here.stats().waits, scene.here.stats().fills);
            verdict.expect(waits == 0, format!("{waits} waits for the lost lease"));
            verdict.expect(fills == 1, "and what it loads is stored");
        } else {
            let mut store = Mishap::of("SET", Happens::Meets(Fate::ReplyLost)).client(&Engine::new());
            let mut lock = redis::cmd("SET");
            lock.arg("lock").arg(1).arg("NX").arg("PX").arg(60_000);
            let mut granted: redis::RedisResult<Option<String>> = lock.query_async(&mut store).await;
            if granted.is_err() {
                granted = lock.query_async(&mut store).await;
            }
            let got = granted.expect("the second answer comes").is_some();
            verdict.expect(got, "the lock is one's own, taken by an attempt whose answer was lost");
        }
        verdict
    });
}

/// A step of a counter is not repeated: it is said that nobody knows.
#[test]
fn fault_23_nothing_is_counted_twice() {
    row(23, &[Baseline::Naive], &[Kind::Embedded], async |turn| {
        let (mut verdict, engine) = (Verdict::default(), Engine::new());
        let mut wire = Wire::embedded(&engine);
        let counted = |wire: &mut Wire, pattern: &str| {
            let key = wire.call(&["KEYS", pattern]).expect("KEYS cannot fail").list()[0].text();
            wire.call(&["GET", &key]).expect("a counter is a string").int()
        };
        let steps = if turn.is_larder() {
            let here = cache(&Mishap::of("incr", Happens::Meets(Fate::ReplyLost)).client(&engine)).await;
            let step = here.incr(&1, 1).await;
            let unknown = step.as_ref().is_err_and(larder_cache::Error::is_outcome_unknown);
            verdict.expect(unknown, format!("an outcome that cannot be known, not {step:?}"));
            counted(&mut wire, "*:c:1")
        } else {
            let mut store = Mishap::of("INCR", Happens::Meets(Fate::ReplyLost)).client(&engine);
            let mut incr = redis::cmd("INCR");
            incr.arg("counter");
            if incr.query_async::<u64>(&mut store).await.is_err() {
                incr.query_async::<u64>(&mut store)
                    .await
                    .expect("the second answer comes");
            }
            counted(&mut wire, "counter")
        };
        verdict.expect(steps == 1, format!("one step counts one, not {steps}"));
        verdict
    });
}
