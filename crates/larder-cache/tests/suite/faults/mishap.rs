//! A network to an embedded engine in which one request meets with something.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use larder_base::Random;
use larder_engine::Engine;
use larder_store::{Fate, Passage, Store, Stuck, Transit};
use parking_lot::Mutex;

/// What becomes of the first request of a name, a script's or a command's. Every other one arrives at once.
#[derive(Debug)]
pub(crate) struct Mishap {
    name: &'static str,
    happens: Happens,
    met: AtomicBool,
    /// Whether a held request may go on.
    open: AtomicBool,
    stuck: Mutex<Option<Stuck>>,
    /// Requests of that name, the first one included.
    sent: AtomicU64,
}

/// The mishap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Happens {
    /// The request has this fate.
    Meets(Fate),
    /// The request takes until [`Mishap::let_go`].
    Waits,
}

impl Mishap {
    /// The first request named `name` meets with this.
    pub(crate) fn of(name: &'static str, happens: Happens) -> Arc<Self> {
        Arc::new(Self {
            name,
            happens,
            met: AtomicBool::new(false),
            open: AtomicBool::new(false),
            stuck: Mutex::new(None),
            sent: AtomicU64::new(0),
        })
    }

    /// A client of `engine` that this happens to.
    pub(crate) fn client(self: &Arc<Self>, engine: &Engine) -> Store {
        Store::embedded_through(engine.clone(), Random::system(), self.clone())
    }

    /// Waits until it has happened.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub(crate) async fn has_met(&self) {
        while !self.met.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    }

    /// Lets a waiting request arrive.
    pub(crate) fn let_go(&self) {
        self.open.store(true, Ordering::SeqCst);
    }

    /// Lets a stuck request arrive, whose sender has given it up.
    pub(crate) fn arrive(&self) {
        let stuck = self.stuck.lock().take();
        stuck.unwrap_or_else(|| panic!("no `{}` is stuck", self.name)).arrive();
    }

    /// How many requests of the name have been sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

impl Transit for Mishap {
    fn request<'a>(&'a self, command: &'a str) -> Passage<'a, Fate> {
        Box::pin(async move {
            if command != self.name {
                return Fate::Arrives;
            }
            self.sent.fetch_add(1, Ordering::SeqCst);
            if self.met.swap(true, Ordering::SeqCst) {
                return Fate::Arrives;
            }
            match self.happens {
                Happens::Meets(fate) => fate,
                Happens::Waits => {
                    while !self.open.load(Ordering::SeqCst) {
                        tokio::task::yield_now().await;
                    }
                    Fate::Arrives
                }
            }
        })
    }

    fn reply<'a>(&'a self, _command: &'a str) -> Passage<'a, ()> {
        Box::pin(async {})
    }

    fn stuck(&self, request: Stuck) {
        *self.stuck.lock() = Some(request);
    }
}
