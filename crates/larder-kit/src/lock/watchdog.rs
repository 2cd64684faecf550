//! Renews a lease for as long as its guard lives.

use std::{sync::Arc, time::Duration};

use larder_base::Tasks;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::{
    Lease, LockError, Loss,
    alarm::{Alarm, Due, Sleeper},
    tenure::{Tenure, valid_until},
};
use crate::mutant::{self, Mutant};

/// A lease is renewed so often in its time: one renewal may be lost.
const BEATS: u32 = 3;

/// After a renewal that failed, the next comes so often in a lease's time: soon, and not so soon that a server that comes back
/// is met by a storm.
const BEATS_IN_TROUBLE: u32 = 12;

/// What renews a lease once it is a third over; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Watchdog {
    alarm: Alarm,
    due: Due,
    tasks: Tasks,
    lease: Arc<dyn Lease>,
    tenure: Arc<Tenure>,
    task: Mutex<Option<JoinHandle<Option<()>>>>,
}

impl Sleeper for Watchdog {
    fn wake(self: Arc<Self>) {
        let watch = watch(self.lease.clone(), self.tenure.clone());
        *self.task.lock() = Some(self.tasks.spawn("lock watchdog", watch));
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.alarm.strike(self.due);
        if let Some(task) = self.task.get_mut() {
            task.abort();
        }
    }
}

/// Has `alarm` begin to renew `lease` at its first beat.
pub(super) fn start(alarm: &Alarm, tasks: &Tasks, lease: &Arc<dyn Lease>, tenure: &Arc<Tenure>) -> Arc<Watchdog> {
    let first = tenure.check().map_or(Duration::ZERO, |left| until_beat(&**lease, left));
    alarm.set(tasks, first, |due| Watchdog {
        alarm: alarm.clone(),
        due,
        tasks: tasks.clone(),
        lease: lease.clone(),
        tenure: tenure.clone(),
        task: Mutex::default(),
    })
}

/// Counted from when the lease was asked for, however late this begins.
fn until_beat(lease: &dyn Lease, left: Duration) -> Duration {
    left.saturating_sub(lease.ttl() - lease.ttl() / BEATS)
}

async fn watch(lease: Arc<dyn Lease>, tenure: Arc<Tenure>) {
    let every = lease.ttl() / BEATS;
    // A lost one is for nobody to renew.
    while let Ok(left) = tenure.check() {
        tenure.clock().sleep(until_beat(&*lease, left)).await;
        // A renewal that hangs is sent anew, while there is time for it: twice is as good as once.
        let renewed = tenure.clock().timeout(every, extend(&*lease, &tenure)).await;
        if let Some(Err(error)) = renewed
            && !error.is_lost()
        {
            tracing::debug!(%error, "a lock could not be renewed; tried again");
            tenure.clock().sleep(lease.ttl() / BEATS_IN_TROUBLE).await;
        }
    }
}

/// Renews once.
pub(super) async fn extend(lease: &dyn Lease, tenure: &Tenure) -> Result<(), LockError> {
    tenure.check()?;
    let mut sent = tenure.now();
    let left = lease.extend().await?;
    if mutant::lives(Mutant::M20Sent) {
        sent = tenure.now();
    }
    match left {
        Some(left) => tenure.confirm(valid_until(sent, lease.ttl(), left)),
        None => tenure.end(Loss::Taken),
    }
    tenure.check().map(drop)
}

/// Gives a lease back in the background; what fails runs out by itself.
pub(super) fn release_later(tasks: &Tasks, lease: Arc<dyn Lease>) {
    // Outside a runtime (it is being shut down) nothing can be sent.
    if tokio::runtime::Handle::try_current().is_err() {
        return;
    }
    let owner = tasks.clone();
    drop(tasks.spawn("lock release", async move {
        if let Err(error) = lease.release().await {
            tracing::debug!(%error, "a lock could not be given back; it runs out by itself");
        }
        // Until here the task had to live, whoever else is gone.
        drop(owner);
    }));
}
