//! 37: a reply is late, a write is acknowledged meanwhile, and a caller comes after that: who waits for the late reply
//! may have what it says, who came later may not.

use larder_store::{Store, StoreConfig};
use larder_testkit::{
    Kind, Proxy, Topology, eventually,
    naive::{CacheAside, SingleFlight},
};
use std::sync::Arc;

use super::{
    row::{Baseline, Turn, Verdict, row},
    stage::{Process, SOON, Stage, near_bound},
};

const KINDS: [Kind; 2] = [Kind::Serve, Kind::Redis];

/// A process whose replies can be held, another one that writes, and the row that both share.
struct Scene {
    t: Topology,
    proxy: Proxy,
    stage: Stage,
    here: Process,
    there: Process,
}

impl Scene {
    async fn new(turn: &Turn) -> Self {
        let t = turn.topology().await;
        let proxy = Proxy::start(t.port().expect("a server has a port")).await;
        let proxy = proxy.expect("loopback has a free port");
        let config = StoreConfig::tcp("127.0.0.1", proxy.port()).clock(t.clock().clone());
        let far = Store::connect(config).await.expect("the proxy lets it through");
        let here = match turn.baseline {
            Baseline::Larder => Process::new(turn.baseline, 0, &far).await,
            _ => Process::by_hand(0, SingleFlight::new(Arc::new(CacheAside::new(far.clone()))), &far),
        };
        let there = Process::new(turn.baseline, 1, &t.another_store().await).await;
        let stage = Stage::new(t.clock(), &turn.random, near_bound());
        Self {
            t,
            proxy,
            stage,
            here,
            there,
        }
    }

    /// Lets `ask` send something whose reply is held, and waits until the server has done it.
    async fn done_but_unanswered<T>(&self, ask: impl FnOnce() -> T) -> T {
        self.proxy.hold_replies();
        let before = commands(&self.t);
        let asked = ask();
        eventually(SOON, async || commands(&self.t) > before).await;
        asked
    }

    async fn write(&self) {
        assert!(self.stage.write(&self.there, 1).await, "the writer is not affected");
    }

    /// One more caller comes while the early one waits; then the replies arrive.
    async fn join(self, early: tokio::task::JoinHandle<Option<larder_testkit::verify::Seen>>) -> Verdict {
        let mut late = Box::pin(self.stage.read(&self.here, 1));
        for _ in 0..50 {
            assert!(futures_util::poll!(late.as_mut()).is_pending(), "nothing is answered");
            tokio::task::yield_now().await;
        }
        self.proxy.let_pass();
        late.await.expect("the store is up");
        early.await.expect("no panic").expect("the store is up");
        self.stage.verdict_with(&[&self.here, &self.there]).await
    }
}

/// How many commands about values a server has done.
fn commands(t: &Topology) -> u64 {
    const OF_VALUES: [&str; 5] = ["get", "set", "setex", "mget", "evalsha"];
    let stats = t
        .wire()
        .call(&["INFO", "commandstats"])
        .expect("the server is up")
        .text();
    let calls = stats.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let calls: u64 = rest.split(',').next()?.parse().ok()?;
        OF_VALUES.contains(&name).then_some(calls)
    });
    calls.sum()
}

#[test]
fn fault_37() {
    row(37, &[Baseline::Naive], &KINDS, async |turn| {
        let scene = Scene::new(&turn).await;
        scene.stage.read(&scene.there, 1).await.expect("the store is up");
        let early = scene.done_but_unanswered(|| scene.stage.reading(&scene.here, 1)).await;
        scene.write().await;
        scene.join(early).await
    });
}

/// The value was loaded and stored before the write; that it was is what the process does not know yet.
#[test]
fn fault_37_of_a_fill() {
    row(37, &[Baseline::Naive], &KINDS, async |turn| {
        let scene = Scene::new(&turn).await;
        scene.stage.rows().hold_loads();
        let early = scene.stage.reading(&scene.here, 1);
        scene.stage.rows().loads_held(1).await;
        scene.done_but_unanswered(|| scene.stage.rows().let_loads_go()).await;
        scene.write().await;
        scene.join(early).await
    });
}

/// The write comes before the fill, which is refused; that it was is what the process does not know yet.
#[test]
fn fault_37_of_a_refusal() {
    row(37, &[Baseline::Naive], &KINDS, async |turn| {
        let scene = Scene::new(&turn).await;
        scene.stage.rows().hold_loads();
        let early = scene.stage.reading(&scene.here, 1);
        scene.stage.rows().loads_held(1).await;
        scene.write().await;
        scene.done_but_unanswered(|| scene.stage.rows().let_loads_go()).await;
        scene.join(early).await
    });
}
