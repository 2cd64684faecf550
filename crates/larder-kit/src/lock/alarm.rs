//! One alarm for all watchdogs of a lock, which wakes those whose first beat has come.
//!
//! Most locks are given back long before that. A task for each, begun and ended, was a quarter of what taking and releasing a
//! lock cost its process; a line in a map is next to nothing. What lives longer gets its task.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use larder_base::{Clock, Tasks};
use parking_lot::Mutex;
use tokio::{
    runtime::{self, Handle},
    sync::Notify,
    task::JoinHandle,
};

/// What is to be done at its time, unless it is gone by then.
pub(super) trait Sleeper: Send + Sync + 'static {
    /// Its time has come.
    fn wake(self: Arc<Self>);
}

/// When a sleeper is due; the number tells those apart that are due at the same moment.
pub(super) type Due = (Duration, u64);

/// A cheap clone.
#[derive(Clone)]
pub(super) struct Alarm(Arc<Inner>);

struct Inner {
    clock: Clock,
    book: Mutex<Book>,
    /// Something is due earlier than what the task sleeps for.
    earlier: Notify,
}

/// Bounded by the sleepers that live: who goes strikes itself out.
#[derive(Default)]
struct Book {
    due: BTreeMap<Due, Weak<dyn Sleeper>>,
    drawn: u64,
    /// Until when the task sleeps; `None`: until it is told.
    sleeps_until: Option<Duration>,
    task: Option<(runtime::Id, JoinHandle<Option<()>>)>,
}

impl std::fmt::Debug for Alarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alarm")
            .field("set", &self.0.book.lock().due.len())
            .finish()
    }
}

impl Alarm {
    pub(super) fn new(clock: &Clock) -> Self {
        Self(Arc::new(Inner {
            clock: clock.clone(),
            book: Mutex::default(),
            earlier: Notify::new(),
        }))
    }

    /// Has whatever `make` makes woken in a time of `after`, or at once where the alarm belongs to another runtime: what is woken
    /// sees for itself how late it is.
    pub(super) fn set<S: Sleeper>(&self, tasks: &Tasks, after: Duration, make: impl FnOnce(Due) -> S) -> Arc<S> {
        let at = self.0.clock.monotonic().saturating_add(after);
        let here = Handle::current().id();
        let mut book = self.0.book.lock();
        book.drawn += 1;
        let due = (at, book.drawn);
        let sleeper = Arc::new(make(due));
        match &book.task {
            // Another runtime may stand still while this one runs.
            Some((runtime, task)) if *runtime != here && !task.is_finished() => {
                drop(book);
                sleeper.clone().wake();
                return sleeper;
            }
            Some((_, task)) if !task.is_finished() => {
                if book.sleeps_until.is_none_or(|until| at < until) {
                    self.0.earlier.notify_one();
                }
            }
            // A runtime that ended took the task with it.
            _ => {
                book.sleeps_until = None;
                book.task = Some((here, tasks.spawn("lock alarm", self.clone().run())));
            }
        }
        let weak: Weak<S> = Arc::downgrade(&sleeper);
        book.due.insert(due, weak);
        sleeper
    }

    /// What is due then need not be woken any more.
    pub(super) fn strike(&self, due: Due) {
        self.0.book.lock().due.remove(&due);
    }

    async fn run(self) {
        loop {
            let (awake, next) = self.due();
            awake.into_iter().for_each(Sleeper::wake);
            match next {
                Some(at) => tokio::select! {
                    () = self.0.clock.sleep_until(at) => {}
                    () = self.0.earlier.notified() => {}
                },
                None => self.0.earlier.notified().await,
            }
        }
    }

    /// Those who are due, and when the next is.
    fn due(&self) -> (Vec<Arc<dyn Sleeper>>, Option<Duration>) {
        let now = self.0.clock.monotonic();
        let mut book = self.0.book.lock();
        let later = book.due.split_off(&(now, u64::MAX));
        let awake = std::mem::replace(&mut book.due, later);
        book.sleeps_until = book.due.keys().next().map(|(at, _)| *at);
        let next = book.sleeps_until;
        drop(book);
        // Who ends here does so outside the lock, which it takes.
        (awake.into_values().filter_map(|weak| weak.upgrade()).collect(), next)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;

    struct Counts {
        alarm: Alarm,
        due: Due,
        woken: Arc<AtomicU32>,
    }

    impl Sleeper for Counts {
        fn wake(self: Arc<Self>) {
            self.woken.fetch_add(1, Relaxed);
        }
    }

    impl Drop for Counts {
        fn drop(&mut self) {
            self.alarm.strike(self.due);
        }
    }

    struct Bed {
        alarm: Alarm,
        tasks: Tasks,
        woken: Arc<AtomicU32>,
    }

    impl Bed {
        fn set(&self, seconds: u64) -> Arc<Counts> {
            let (alarm, woken) = (self.alarm.clone(), self.woken.clone());
            let make = |due| Counts { alarm, due, woken };
            self.alarm.set(&self.tasks, Duration::from_secs(seconds), make)
        }

        async fn settle(&self) -> u32 {
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            self.woken.load(Relaxed)
        }
    }

    fn bed(clock: &Clock) -> Bed {
        Bed {
            alarm: Alarm::new(clock),
            tasks: Tasks::new(),
            woken: Arc::default(),
        }
    }

    #[tokio::test]
    async fn each_is_woken_in_its_time_and_who_is_gone_is_not() {
        let (clock, hand) = Clock::manual();
        let bed = bed(&clock);
        let _late = bed.set(30);
        // Set later, due earlier.
        let _early = bed.set(10);
        drop(bed.set(5));
        assert_eq!(bed.settle().await, 0);
        hand.advance(Duration::from_secs(9));
        assert_eq!(bed.settle().await, 0);
        hand.advance(Duration::from_secs(1));
        assert_eq!(bed.settle().await, 1);
        hand.advance(Duration::from_secs(20));
        assert_eq!(bed.settle().await, 2);
        // With nothing to wait for it waits to be told.
        let _again = bed.set(1);
        assert_eq!(bed.settle().await, 2);
        hand.advance(Duration::from_secs(1));
        assert_eq!(bed.settle().await, 3);
    }

    #[tokio::test]
    async fn nothing_is_kept_of_who_is_gone() {
        let (clock, _hand) = Clock::manual();
        let bed = bed(&clock);
        for _ in 0..100 {
            drop(bed.set(10));
        }
        assert!(bed.alarm.0.book.lock().due.is_empty());
    }

    #[test]
    fn a_runtime_that_ends_does_not_take_the_alarm_with_it() {
        let (clock, hand) = Clock::manual();
        let bed = bed(&clock);
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        let first = runtime();
        let _slept = first.block_on(async { bed.set(10) });
        drop(first);
        let second = runtime();
        second.block_on(async {
            let _other = bed.set(20);
            hand.advance(Duration::from_secs(20));
            assert_eq!(bed.settle().await, 2);
        });
        // That one lives, and nobody drives it.
        runtime().block_on(async {
            let _third = bed.set(10);
            assert_eq!(bed.settle().await, 3);
        });
    }
}
