//! A network between one client and an embedded engine, on a clock that the test moves.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use larder_base::{Clock, ManualClock, Random};
use larder_engine::Engine;
use larder_kit::lock::StoreLock;
use larder_store::{Fate, Passage, Store, Stuck, Transit};
use parking_lot::Mutex;

/// How long a lock lasts on it.
pub(super) const TTL: Duration = Duration::from_secs(10);

/// What happens to a request: how long it takes to arrive, its fate, how long its reply takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trip(pub(super) Duration, pub(super) Fate, pub(super) Duration);

impl Trip {
    pub(super) const DIRECT: Self = Self(Duration::ZERO, Fate::Arrives, Duration::ZERO);
    pub(super) const LOST: Self = Self(Duration::ZERO, Fate::Lost, Duration::ZERO);
}

/// Sends each request on the next of the planned trips, and once they are used up, on the last one.
#[derive(Debug)]
pub(super) struct Network {
    clock: Clock,
    plan: Mutex<VecDeque<Trip>>,
    /// That of the request on its way; a client of this network sends one after another.
    current: Mutex<Trip>,
    stuck: Mutex<Vec<Stuck>>,
}

impl Network {
    pub(super) fn plan(&self, trips: &[Trip]) {
        *self.plan.lock() = trips.iter().copied().collect();
    }

    /// Requests that are late arrive now.
    pub(super) fn let_arrive(&self) {
        let stuck = std::mem::take(&mut *self.stuck.lock());
        stuck.into_iter().for_each(Stuck::arrive);
    }
}

impl Transit for Network {
    fn request<'a>(&'a self, _command: &'a str) -> Passage<'a, Fate> {
        Box::pin(async {
            let trip = {
                let mut plan = self.plan.lock();
                let next = plan.front().copied().unwrap_or(Trip::DIRECT);
                if plan.len() > 1 {
                    plan.pop_front();
                }
                next
            };
            *self.current.lock() = trip;
            if !trip.0.is_zero() {
                self.clock.sleep(trip.0).await;
            }
            trip.1
        })
    }

    fn reply<'a>(&'a self, _command: &'a str) -> Passage<'a, ()> {
        Box::pin(async {
            let delay = self.current.lock().2;
            if !delay.is_zero() {
                self.clock.sleep(delay).await;
            }
        })
    }

    fn stuck(&self, request: Stuck) {
        self.stuck.lock().push(request);
    }
}

/// A client behind the network, one beside it, and the hand that moves their clock.
pub(super) struct World {
    pub(super) network: Arc<Network>,
    pub(super) behind: StoreLock,
    pub(super) beside: StoreLock,
    pub(super) hand: ManualClock,
}

impl World {
    /// Locks of which those behind the network renew by themselves if `watches`.
    pub(super) fn new(watches: bool) -> Self {
        let (clock, hand) = Clock::manual();
        let engine = Engine::builder().clock(clock.clone()).build();
        let network = Arc::new(Network {
            clock,
            plan: Mutex::default(),
            current: Mutex::new(Trip::DIRECT),
            stuck: Mutex::default(),
        });
        let through = Store::embedded_through(engine.clone(), Random::seeded(5), network.clone());
        let locks = |store: &Store| StoreLock::builder("invoices").store(store).ttl(TTL);
        Self {
            network,
            behind: locks(&through)
                .watchdog(watches)
                .build()
                .expect("the settings are good"),
            beside: locks(&Store::embedded(engine))
                .watchdog(false)
                .build()
                .expect("the settings are good"),
            hand,
        }
    }

    /// What `work` comes to while time passes, a twentieth of the ttl at a time.
    pub(super) async fn while_time_passes<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = self.settle() => self.hand.advance(TTL / 20),
            }
        }
    }

    /// Lets all tasks of this thread do what they can.
    pub(super) async fn settle(&self) {
        for _ in 0..32 {
            tokio::task::yield_now().await;
        }
    }
}

/// Runs `test` on a runtime of one thread, on which a rule that is left out lives.
pub(super) fn on_one_thread<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(test)
}
