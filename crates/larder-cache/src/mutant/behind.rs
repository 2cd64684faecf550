//! M10: pushes go through a channel to a task, which applies them when it is its turn.

use std::{sync::Arc, time::Duration};

use larder_base::Tasks;
use larder_store::{Heartbeat, Invalidations};
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::{Mutant, lives};

/// More than a simulated world ever has under way.
const QUEUE: usize = 10_000;

/// Turns of others before a push is applied: as if the task had more to do.
const TURNS: u32 = 8;

/// A push: the keys, or everything.
type Push = Option<Vec<Vec<u8>>>;

/// What the store tells, with a channel in between.
struct Behind {
    listener: Arc<dyn Invalidations>,
    pushes: Sender<Push>,
    _tasks: Tasks,
}

/// `listener`, behind a channel if the mutant lives.
pub(crate) fn listener<L: Invalidations + 'static>(listener: Arc<L>) -> Arc<dyn Invalidations> {
    if !lives(Mutant::M10) {
        return listener;
    }
    let (pushes, queue) = mpsc::channel(QUEUE);
    let tasks = Tasks::new();
    drop(tasks.spawn("mutant pushes", apply(queue, listener.clone())));
    Arc::new(Behind {
        listener,
        pushes,
        _tasks: tasks,
    })
}

async fn apply(mut queue: Receiver<Push>, listener: Arc<dyn Invalidations>) {
    while let Some(push) = queue.recv().await {
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
        let keys: Option<Vec<&[u8]>> = push.as_ref().map(|keys| keys.iter().map(Vec::as_slice).collect());
        listener.invalidated(keys.as_deref());
    }
}

impl Invalidations for Behind {
    fn invalidated(&self, keys: Option<&[&[u8]]>) {
        let push = keys.map(|keys| keys.iter().map(|key| key.to_vec()).collect());
        self.pushes.try_send(push).expect("the queue is long enough");
    }

    fn lost(&self) {
        self.listener.lost();
    }

    fn restored(&self) {
        self.listener.restored();
    }

    fn confirmed(&self, beat: Heartbeat) {
        self.listener.confirmed(beat);
    }

    fn heartbeat(&self) -> Duration {
        self.listener.heartbeat()
    }
}
