//! Queues.
//!
//! | file | what it is |
//! |---|---|
//! | `protocol`, `lab` | the scripts by themselves, step by step |
//! | `mutants` | the scripts with one rule changed, each noticed by one of those steps |
//! | `behaviour` | workers on three topologies: attempts, dead letters, delays, stopping, .. |
//! | `order` | priorities, groups, how many at once, pause, schedules |
//! | `kills` | workers killed with `kill -9`, beside a list that is popped, which loses |

mod behaviour;
mod kills;
mod lab;
mod mutants;
mod order;
mod protocol;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use larder_kit::queue::{Queue, QueueBuilder};
use larder_testkit::{Topology, UNIT};
use tokio::time::timeout;

/// By when something has happened, on a machine that is busy with much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// A queue of numbers. Nobody is overtaken because the machine is busy: a clock that is moved by hand runs far ahead of it.
async fn numbers(t: &Topology) -> Queue<u64> {
    settings(t).await.build().await.expect("the store keeps jobs")
}

async fn settings(t: &Topology) -> QueueBuilder<u64> {
    let store = t.store().await;
    Queue::builder("numbers")
        .store(&store)
        .visibility(t.units(100_000))
        .backoff(UNIT, UNIT * 4)
}

/// Lets time pass until `condition` holds.
#[track_caller]
fn pass_until(t: &Topology, mut condition: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    let called_from = std::panic::Location::caller();
    async move {
        let waiting = async {
            while !condition().await {
                t.advance(1).await;
                // A clock that is moved by hand would run away from the tasks.
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let waited = timeout(PATIENCE, waiting).await;
        assert!(
            waited.is_ok(),
            "nothing of the kind within {PATIENCE:?}, at {called_from}"
        );
    }
}

/// What handlers saw, in their order.
#[derive(Clone, Debug, Default)]
struct Seen(Arc<Mutex<Vec<u64>>>);

impl Seen {
    fn note(&self, number: u64) {
        self.0.lock().expect("nobody panics with it").push(number);
    }

    fn all(&self) -> Vec<u64> {
        self.0.lock().expect("nobody panics with it").clone()
    }
}
