//! A store that loses what it acknowledged last (theorem T4), and what its clients make of that.

use std::time::Duration;

use larder_base::Clock;
use larder_cache::NewGeneration;
use larder_testkit::{
    eventually,
    history::{Bounds, Event, Window},
};

use super::{
    far::Far,
    row::{Turn, Verdict},
    stage::{BOUND, Process, SOON, Stage},
};

/// Cached by everyone when the tail begins.
const KEYS: u64 = 10;

/// Being loaded when the tail begins: its lease is among what comes back.
const LOADING: u64 = KEYS;

/// How stale a read may be until everybody has found out: what T4 calls detection and replay. Seconds on a machine that is
/// busy with compiling; the test prints what it was.
const REPAIRED_WITHIN: Duration = Duration::from_secs(10);

/// A server that can lose its tail.
pub(crate) trait Forgetful {
    /// Where clients find it now.
    fn port(&self) -> u16;
    /// What is acknowledged from now on will be lost.
    fn keep(&mut self);
    /// Loses it.
    async fn lose(&mut self);
}

/// Who is still alive when the store is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    Lives,
    Dies,
}

/// Writes in the tail, loses it, and reads on.
pub(crate) async fn lose_tail(
    turn: Turn,
    policy: NewGeneration,
    writer_after: Writer,
    mut server: impl Forgetful,
) -> Verdict {
    let bounds = Bounds {
        near: BOUND,
        rollback: REPAIRED_WITHIN,
        ..Bounds::default()
    };
    let stage = Stage::new(&Clock::system(), &turn.random, bounds);
    let (here, there) = (Far::patient(server.port()).await, Far::patient(server.port()).await);
    let settings =
        |b: larder_cache::CacheBuilder<u64, u64>| b.near(1_000).max_staleness(BOUND).on_new_generation(policy);
    let reader = Process::with(turn.baseline, 0, &here.store, settings).await;
    let writer = Process::with(turn.baseline, 1, &there.store, settings).await;
    for key in 0..KEYS {
        stage.read(&writer, key).await.expect("the store is up");
        stage.read(&reader, key).await.expect("the store is up");
    }
    stage.rows().hold_loads();
    let loading = stage.reading(&reader, LOADING);
    stage.rows().loads_held(1).await;

    server.keep();
    for key in 0..=LOADING {
        assert!(stage.write(&writer, key).await, "it is acknowledged");
    }
    let mut alive = vec![&reader];
    if writer_after == Writer::Lives {
        alive.push(&writer);
    }
    let start = stage.rows().recorder().now();
    server.lose().await;
    for far in [&here, &there] {
        far.proxy.point_at(server.port());
        far.proxy.cut();
    }
    stage.rows().let_loads_go();
    loading.await.expect("no panic");
    eventually(SOON, async || {
        for key in 0..=LOADING {
            stage.read(&reader, key).await;
        }
        here.store.ping().await.is_ok()
            && there.store.ping().await.is_ok()
            && alive.iter().all(|process| repaired(process))
    })
    .await;
    let end = stage.rows().recorder().now();
    stage
        .rows()
        .recorder()
        .note(Event::Window(Window::Rollback { start, end }));

    for process in &alive {
        for key in 0..=LOADING {
            stage.read(process, key).await.expect("the store is back");
        }
    }
    stage.verdict_with(&alive).await
}

/// Whether it knows that the store is another one, and has done something about it. Others never know.
fn repaired(process: &Process) -> bool {
    process.larder().is_none_or(|cache| cache.stats().generations > 0)
}
