//! The place of one process: its connection to the store, and its end.

use std::{future::Future, sync::Arc};

use larder_base::{Clock, Tasks};
use larder_store::{Store, StoreConfig};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::{
    failure::{Failure, Outcome},
    flags::OwnStore,
};

/// Where a process sits. When it is killed, what runs on its own runtime is dropped where it stands, with its connections,
/// as the kernel does it; and the next one sits down with a connection of its own.
pub(super) struct Seat {
    clock: Clock,
    open: Open,
    /// Whether who sits here may be killed: only then it has a runtime of its own.
    is_mortal: bool,
    sitting: Mutex<Sitting>,
}

/// How a process reaches the store.
#[derive(Clone)]
pub(super) enum Open {
    /// The engine that all processes share.
    Engine(larder_engine::Engine),
    Server(Box<StoreConfig>),
}

/// Who sits there now.
struct Sitting {
    store: Store,
    runtime: Option<Runtime>,
    tasks: Tasks,
    gone: CancellationToken,
}

/// Between two attempts to sit down, while the server is away.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(20);

impl Open {
    async fn open(self) -> Outcome<Store> {
        match self {
            Self::Engine(engine) => Ok(Store::embedded(engine)),
            Self::Server(config) => OwnStore::connect(*config).await,
        }
    }
}

impl Seat {
    pub(super) async fn new(clock: &Clock, open: Open, is_mortal: bool) -> Outcome<Arc<Self>> {
        let sitting = sit_down(&open, is_mortal).await?;
        Ok(Arc::new(Self {
            clock: clock.clone(),
            open,
            is_mortal,
            sitting: Mutex::new(sitting),
        }))
    }

    /// The connection of who sits there now.
    pub(super) fn store(&self) -> Store {
        self.sitting.lock().store.clone()
    }

    /// Cancelled when who sits there now is killed.
    pub(super) fn gone(&self) -> CancellationToken {
        self.sitting.lock().gone.clone()
    }

    /// Does `work` as who sits there: what it leaves running ends with them. `None` if they are killed meanwhile.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let spawned = {
            let sitting = self.sitting.lock();
            match &sitting.runtime {
                Some(runtime) => Ok(runtime.spawn(work)),
                None => Err(work),
            }
        };
        match spawned {
            Ok(running) => running.await.ok(),
            Err(work) => Some(work.await),
        }
    }

    /// The same, in the background until its end, theirs, or that of the seat.
    pub(super) fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let sitting = self.sitting.lock();
        let _within = sitting.runtime.as_ref().map(Runtime::enter);
        drop(sitting.tasks.spawn(name, work));
    }

    /// Kills who sits there; the next one has sat down when this returns, however long the server is away.
    pub(super) async fn crash(&self) {
        let killed = {
            let mut sitting = self.sitting.lock();
            sitting.gone.cancel();
            sitting.runtime.take()
        };
        if let Some(runtime) = killed {
            runtime.shutdown_background();
        }
        loop {
            match sit_down(&self.open, self.is_mortal).await {
                Ok(next) => {
                    *self.sitting.lock() = next;
                    return;
                }
                Err(error) => tracing::debug!(?error, "the next process cannot begin yet"),
            }
            self.clock.sleep(AGAIN).await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(runtime) = self.sitting.get_mut().runtime.take() {
            // Merely dropped, it would wait, which nobody may in a task.
            runtime.shutdown_background();
        }
    }
}

async fn sit_down(open: &Open, is_mortal: bool) -> Outcome<Sitting> {
    let open = open.clone().open();
    let gone = CancellationToken::new();
    if !is_mortal {
        return Ok(Sitting {
            store: open.await?,
            runtime: None,
            tasks: Tasks::new(),
            gone,
        });
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("verify process")
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::new(error).heading("a process cannot begin"))?;
    let store = runtime.spawn(open).await;
    match store {
        Ok(Ok(store)) => Ok(Sitting {
            store,
            runtime: Some(runtime),
            tasks: Tasks::new(),
            gone,
        }),
        failed => {
            runtime.shutdown_background();
            match failed {
                Ok(Err(error)) => Err(error),
                _ => Err(Failure::new("a process ended while it began")),
            }
        }
    }
}
