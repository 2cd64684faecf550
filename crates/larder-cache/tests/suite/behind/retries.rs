//! A write whose answer was lost is sent again, and is the same write.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_base::{Clock, ManualClock, Random};
use larder_cache::{CountAs, WriteBehind};
use larder_engine::Engine;
use larder_store::{Fate, Passage, Store, Stuck, Transit};
use tokio::sync::Notify;

use super::{ledger::Ledger, open, read, unflushed};

/// A network that loses the first answer to `command`, and holds the second request for it back.
#[derive(Debug)]
struct Jam {
    command: &'static str,
    seen: AtomicU64,
    retried: Notify,
    gate: Notify,
}

impl Jam {
    fn of(command: &'static str) -> Arc<Self> {
        Arc::new(Self {
            command,
            seen: AtomicU64::new(0),
            retried: Notify::new(),
            gate: Notify::new(),
        })
    }
}

impl Transit for Jam {
    fn request<'a>(&'a self, command: &'a str) -> Passage<'a, Fate> {
        Box::pin(async move {
            if command != self.command {
                return Fate::Arrives;
            }
            match self.seen.fetch_add(1, Ordering::SeqCst) {
                0 => Fate::ReplyLost,
                1 => {
                    self.retried.notify_one();
                    self.gate.notified().await;
                    Fate::Arrives
                }
                _ => Fate::Arrives,
            }
        })
    }

    fn reply<'a>(&'a self, _command: &'a str) -> Passage<'a, ()> {
        Box::pin(async {})
    }

    fn stuck(&self, _: Stuck) {}
}

async fn drive<F: Future>(hand: &ManualClock, work: F) -> F::Output {
    let time = async {
        loop {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            hand.advance(Duration::from_millis(1));
        }
    };
    tokio::select! {
        biased;
        done = work => done,
        () = time => unreachable!("time does not end"),
    }
}

/// Runs `story` over an engine with a jam in front of one process and none in front of the other.
fn over_a_jam(command: &'static str, story: impl AsyncFnOnce(Arc<Jam>, Store, Store, ManualClock)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(async {
        let (clock, hand) = Clock::manual();
        let engine = Engine::builder().clock(clock).random(Random::seeded(1)).build();
        let jam = Jam::of(command);
        let jammed = Store::embedded_through(engine.clone(), Random::seeded(2), jam.clone());
        story(jam, jammed, Store::embedded(engine), hand).await;
    });
}

#[test]
pub(crate) fn a_repeated_write_does_not_come_over_one_that_came_after_it() {
    over_a_jam("wbput", async |jam, jammed, clear, hand| {
        let ledger = Ledger::default();
        let there = open(&clear, &ledger, unflushed()).await;
        there.put(&1, 1).await.unwrap();
        let here = open(&jammed, &ledger, unflushed()).await;
        let first = tokio::spawn({
            let here = here.clone();
            async move { here.put(&1, 10).await.unwrap() }
        });
        drive(&hand, jam.retried.notified()).await;
        assert_eq!(
            read(&there, 1).await,
            Some(10),
            "it was accepted, and its writer does not know"
        );
        let second = there.put(&1, 20).await.unwrap();
        jam.gate.notify_one();
        let first = drive(&hand, first).await.unwrap();
        assert!(
            first.tickets()[0].version < second.tickets()[0].version,
            "the number it had the first time"
        );
        assert_eq!(read(&there, 1).await, Some(20));
    });
}

#[test]
fn a_repeated_step_is_counted_once() {
    over_a_jam("wbcount", async |jam, jammed, clear, hand| {
        let ledger = Ledger::default();
        let policy: WriteBehind = unflushed().count_as(CountAs::Sum);
        let there = open(&clear, &ledger, policy).await;
        assert_eq!(there.incr(&1, 1).await.unwrap(), 1);
        let here = open(&jammed, &ledger, policy).await;
        let first = tokio::spawn({
            let here = here.clone();
            async move { here.incr(&1, 10).await.unwrap() }
        });
        drive(&hand, jam.retried.notified()).await;
        assert_eq!(there.incr(&1, 100).await.unwrap(), 111);
        jam.gate.notify_one();
        assert_eq!(
            drive(&hand, first).await.unwrap(),
            11,
            "the value it had the first time"
        );
        assert_eq!(there.counter(&1).await.unwrap(), Some(111));
        let _drained = drive(&hand, there.drain(Duration::from_secs(60))).await;
        assert_eq!(ledger.counter(1), 111);
    });
}
