//! Attempts that this process has, and the signs of life that keep them.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_base::Clock;
use larder_store::StoreError;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{
    core::{Core, millis},
    script,
};
use crate::reply;

/// One attempt.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: Arc<str>,
    pub(super) token: Arc<str>,
    pub(super) attempt: u32,
    pub(super) attempts_max: u32,
    pub(super) group: Option<Arc<str>>,
    /// Until when it is surely ours, in ns of the monotonic clock.
    until: AtomicU64,
    /// Cancelled once it is not ours any more.
    pub(super) lost: CancellationToken,
}

impl Held {
    pub(super) fn new(
        id: Arc<str>,
        token: Arc<str>,
        counts: (u32, u32),
        group: Option<Arc<str>>,
        until: Duration,
    ) -> Self {
        Self {
            id,
            token,
            attempt: counts.0,
            attempts_max: counts.1,
            group,
            until: AtomicU64::new(until.as_nanos() as u64),
            lost: CancellationToken::new(),
        }
    }

    /// Ends when the attempt is not ours any more: somebody said so, or the time is up before the store gives it away.
    pub(super) async fn until_lost(&self, clock: &Clock) {
        loop {
            let until = Duration::from_nanos(self.until.load(Ordering::Acquire));
            let left = until.saturating_sub(clock.monotonic());
            if left.is_zero() {
                self.lost.cancel();
            }
            tokio::select! {
                () = self.lost.cancelled() => return,
                () = clock.sleep(left) => {}
            }
        }
    }

    fn renewed(&self, until: Duration) {
        self.until.fetch_max(until.as_nanos() as u64, Ordering::AcqRel);
    }
}

/// All attempts of one worker.
#[derive(Debug, Default)]
pub(super) struct Holding(Mutex<HashMap<Arc<str>, Vec<Arc<Held>>>>);

impl Holding {
    pub(super) fn add(&self, held: &Arc<Held>) {
        self.0.lock().entry(held.id.clone()).or_default().push(held.clone());
    }

    pub(super) fn remove(&self, id: &str, token: &str) {
        let mut jobs = self.0.lock();
        let Some(attempts) = jobs.get_mut(id) else { return };
        attempts.retain(|held| &*held.token != token);
        if attempts.is_empty() {
            jobs.remove(id);
        }
    }

    fn all(&self) -> Vec<Arc<Held>> {
        self.0
            .lock()
            .values()
            .flatten()
            .filter(|held| !held.lost.is_cancelled())
            .cloned()
            .collect()
    }

    /// Renews all of them, again and again, for ever.
    pub(super) async fn renew(self: Arc<Self>, core: Arc<Core>) {
        loop {
            core.clock().sleep(core.settings.visibility / 3).await;
            let all = self.all();
            if all.is_empty() {
                continue;
            }
            if let Err(error) = core.beat(&all, None).await {
                tracing::debug!(%error, queue = &**core.name.text(), "running jobs could not be renewed");
            }
        }
    }
}

impl Core {
    /// Until when what is taken or renewed by a request sent at `sent` is surely ours: two hundredths are left to clocks that do
    /// not run alike.
    pub(super) fn ours_until(&self, sent: Duration) -> Duration {
        sent + self.settings.visibility.mul_f64(0.98)
    }

    /// A sign of life of `attempts`; those that are not ours any more hear of it.
    pub(super) async fn beat(&self, attempts: &[Arc<Held>], progress: Option<f64>) -> Result<(), StoreError> {
        let sent = self.clock().monotonic();
        let progress = progress.map(|share| format!("{share:.4}")).unwrap_or_default();
        let mut call = self.begin(&script::BEAT).int(millis(self.settings.visibility));
        for held in attempts {
            call = call.arg(&*held.id).arg(&*held.token).arg(&progress);
        }
        let reply = self.store.call(&call).await?;
        for (held, alive) in attempts.iter().zip(reply::items(&reply, attempts.len(), "queue_beat")?) {
            if reply::integer(alive)? == 1 {
                held.renewed(self.ours_until(sent));
            } else {
                held.lost.cancel();
            }
        }
        Ok(())
    }
}
