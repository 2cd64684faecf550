//! When what is pending is written down, and who waits for it.

use std::{
    io, mem,
    sync::{Arc, Weak},
    time::Duration,
};

use larder_base::{CacheKey, Clock};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::file::File;
use crate::{core::Core, owed::Owed, pending::Pending, stats::Count};

/// Invalidations that wait to be written at most: as many as wait to be sent. More are written as one `clear`.
const WAITING_MAX: usize = 10_000;

/// How long a caller waits for the disk: a sync takes milliseconds, on a bad day a second. A disk that hangs must not hang
/// the writers of a service as well.
const KEPT_WITHIN: Duration = Duration::from_secs(10);

/// Between two attempts on a disk that fails: the first, and the longest that doubling leads to. Whatever becomes pending
/// meanwhile is an attempt, too.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What waits to be written, and how far that has come.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    waiting: Mutex<Waiting>,
    added: Notify,
    progress: watch::Sender<Progress>,
}

#[derive(Debug, Default)]
struct Waiting {
    owed: Vec<Owed>,
    /// How often something was added.
    number: u64,
}

/// Up to which number it was tried, and up to which it is kept.
#[derive(Clone, Debug, Default)]
struct Progress {
    tried: u64,
    kept: u64,
    failure: Option<Arc<io::Error>>,
}

impl Keeper {
    /// Has `owed` written, which is pending already.
    pub(crate) fn add(&self, owed: &[Owed]) {
        let mut waiting = self.waiting.lock();
        waiting.number += 1;
        waiting.owed.extend_from_slice(owed);
        if waiting.owed.len() > WAITING_MAX {
            waiting.owed = vec![Owed::All];
        }
        drop(waiting);
        self.added.notify_one();
    }

    fn take(&self) -> (Vec<Owed>, u64) {
        let mut waiting = self.waiting.lock();
        (mem::take(&mut waiting.owed), waiting.number)
    }

    /// Waits until what was added before is kept; or why it is not.
    pub(super) async fn kept(&self, clock: &Clock, stopping: &CancellationToken) -> Result<(), Arc<io::Error>> {
        let number = self.waiting.lock().number;
        let mut progress = self.progress.subscribe();
        let tried = async {
            let tried = progress.wait_for(|progress| progress.tried >= number).await;
            // The sender is ours.
            tried.map(|progress| progress.clone()).unwrap_or_default()
        };
        let tried = tokio::select! {
            tried = clock.timeout(KEPT_WITHIN, tried) => tried,
            () = stopping.cancelled() => return Err(Arc::new(io::Error::other("the cache is closed"))),
        };
        match tried {
            Some(progress) if progress.kept >= number => Ok(()),
            Some(Progress {
                failure: Some(error), ..
            }) => Err(error),
            _ => Err(Arc::new(io::ErrorKind::TimedOut.into())),
        }
    }

    fn note(&self, number: u64, written: &Result<(), Arc<io::Error>>) {
        self.progress.send_modify(|progress| {
            progress.tried = number;
            match written {
                Ok(()) => (progress.kept, progress.failure) = (number, None),
                Err(error) => progress.failure = Some(error.clone()),
            }
        });
    }
}

/// Starts the task that writes; it ends with the core.
pub(super) fn start<K, V>(core: &Arc<Core<K, V>>, keeper: Arc<Keeper>, file: File)
where
    K: CacheKey,
    V: Send + Sync + 'static,
{
    let task = Task {
        keeper,
        pending: core.pending.clone(),
        clock: core.clock.clone(),
        is_empty: file.is_empty(),
        file: Arc::new(Mutex::new(file)),
        failures: 0,
    };
    drop(core.tasks.spawn("pending log", task.run(Arc::downgrade(core))));
}

/// What the task keeps while it waits: not the core, which ends when its last user drops it.
struct Task {
    keeper: Arc<Keeper>,
    pending: Arc<Pending>,
    clock: Clock,
    /// Locked by one blocking call at a time.
    file: Arc<Mutex<File>>,
    is_empty: bool,
    /// Attempts that failed, one after the other.
    failures: u32,
}

impl Task {
    async fn run<K, V>(mut self, core: Weak<Core<K, V>>)
    where
        K: CacheKey,
        V: Send + Sync + 'static,
    {
        loop {
            let (owed, number) = self.keeper.take();
            let is_done_with = owed.is_empty() && self.pending.is_empty() && !self.is_empty;
            if owed.is_empty() && self.failures == 0 && !is_done_with {
                self.wait().await;
                continue;
            }
            let (file, pending) = (self.file.clone(), self.pending.clone());
            let write = move || {
                let mut file = file.lock();
                let written = if is_done_with {
                    file.empty()
                } else {
                    file.keep(&owed, &pending)
                };
                (written, file.is_empty())
            };
            let Some(running) = core.upgrade().map(|core| core.tasks.spawn_blocking(write)) else {
                return;
            };
            let (written, is_empty) = running
                .await
                .unwrap_or_else(|panic| (Err(io::Error::other(panic)), false));
            self.is_empty = is_empty;
            let written = written.map_err(Arc::new);
            self.keeper.note(number, &written);
            let Some(core) = core.upgrade() else { return };
            let failed = self.tell(&core, written.err().as_deref());
            drop(core);
            if let Some(pause) = failed {
                let _added = self.clock.timeout(pause, self.keeper.added.notified()).await;
            }
        }
    }

    /// Until there is something to write, or nothing is pending any more.
    async fn wait(&self) {
        let emptied = async {
            match self.is_empty {
                true => std::future::pending().await,
                false => self.pending.emptied().await,
            }
        };
        tokio::select! {
            () = self.keeper.added.notified() => {}
            () = emptied => {}
        }
    }

    /// Tells aloud when the disk begins to fail; how long to wait then.
    fn tell<K, V>(&mut self, core: &Core<K, V>, failure: Option<&io::Error>) -> Option<Duration>
    where
        K: CacheKey,
        V: Send + Sync + 'static,
    {
        let namespace = core.layout.namespace();
        let Some(error) = failure else {
            if mem::take(&mut self.failures) > 0 {
                tracing::info!(%namespace, "pending invalidations are kept on disk again");
            }
            return None;
        };
        core.count(Count::KeepFailures);
        if self.failures == 0 {
            tracing::error!(%namespace, %error, "pending invalidations cannot be kept on disk: a crash of this process now would forget them");
        }
        let pause = PAUSES.0.saturating_mul(1 << self.failures.min(10)).min(PAUSES.1);
        self.failures = self.failures.saturating_add(1);
        Some(pause)
    }
}
