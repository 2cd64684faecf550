//! The order of recovery: what is pending reaches the store before its quarantine ends.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use larder_base::Random;
use larder_engine::Engine;
use larder_store::{Fate, Passage, Store, Stuck, Transit};
use larder_testkit::eventually;
use tokio::sync::Notify;

use super::cut::{SOON, numbers};
use crate::behaviour::subject::Rows;

/// A network that loses every `inv`, and later lets each wait at a gate.
#[derive(Debug, Default)]
struct Gate {
    open: AtomicBool,
    losing: AtomicBool,
    waiting: AtomicBool,
    opened: Notify,
}

impl Gate {
    async fn pass(&self) -> Fate {
        if self.losing.load(Ordering::SeqCst) {
            return Fate::Lost;
        }
        let mut opened = std::pin::pin!(self.opened.notified());
        opened.as_mut().enable();
        if !self.open.load(Ordering::SeqCst) {
            self.waiting.store(true, Ordering::SeqCst);
            opened.await;
        }
        Fate::Arrives
    }

    fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
        self.opened.notify_waiters();
    }
}

impl Transit for Gate {
    fn request<'a>(&'a self, command: &'a str) -> Passage<'a, Fate> {
        Box::pin(async move {
            if command == "inv" {
                self.pass().await
            } else {
                Fate::Arrives
            }
        })
    }

    fn reply<'a>(&'a self, _command: &'a str) -> Passage<'a, ()> {
        Box::pin(async {})
    }

    fn stuck(&self, _request: Stuck) {}
}

#[test]
pub(crate) fn what_is_pending_reaches_the_store_before_its_quarantine_ends() {
    on_one_thread(async {
        let gate = Arc::new(Gate::default());
        gate.losing.store(true, Ordering::SeqCst);
        let store = Store::embedded_through(Engine::new(), Random::seeded(1), gate.clone());
        let rows = Rows::of(1);
        let cache = numbers(&store).near(100).source(rows.clone()).build().await.unwrap();
        cache.get(&1).await.unwrap();
        rows.set(2);
        assert!(cache.invalidate(&1).await.unwrap_err().is_pending());
        gate.losing.store(false, Ordering::SeqCst);
        eventually(SOON, async || gate.waiting.load(Ordering::SeqCst)).await;
        let found = cache.get(&1).await.unwrap();
        assert_eq!(found.as_deref(), Some(&2), "its invalidation is still on its way");
        gate.open();
        eventually(SOON, async || cache.stats().pending == 0).await;
        assert_eq!(cache.get(&1).await.unwrap().as_deref(), Some(&2));
    });
}

fn on_one_thread(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(work);
}
