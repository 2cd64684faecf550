//! How late this machine is: what a claim in milliseconds has to allow for where others use the CPU as well.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use larder_base::Clock;

/// How often the thread looks at the clock.
const TICK: Duration = Duration::from_millis(5);

/// A thread that sleeps a little, again and again, and notes by how much it wakes late.
pub(crate) struct Stall {
    worst_us: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Stall {
    /// Begins to measure.
    pub(crate) fn measure() -> Self {
        let (worst_us, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (worst, stopped) = (worst_us.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let clock = Clock::system();
            while !stopped.load(Ordering::Relaxed) {
                let before = clock.monotonic();
                nap();
                let late = (clock.monotonic() - before).saturating_sub(TICK);
                worst.fetch_max(late.as_micros() as u64, Ordering::Relaxed);
            }
        });
        Self {
            worst_us,
            stop,
            thread: Some(thread),
        }
    }

    /// By how much it was late at worst, twice: a waiter has to wake, and the server to answer it.
    pub(crate) fn worst(&self) -> Duration {
        const HAND_OVERS: u64 = 2;
        Duration::from_micros(self.worst_us.load(Ordering::Relaxed) * HAND_OVERS)
    }
}

impl Drop for Stall {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It only sleeps and adds: it does not panic.
            let _ = thread.join();
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the scheduler of the machine itself is measured"
)]
fn nap() {
    std::thread::sleep(TICK);
}
