//! Named points at which a test can have its process die.
//!
//! [`reach`] stands where it matters what a process that dies there leaves behind: `failpoint::reach("claimed")`. Without the
//! feature `failpoints`, which only tests turn on, it is an empty function and costs nothing. With it, a process that was armed
//! (`arm`) does what it was armed with when it reaches the point for the n-th time, on the thread that reached it and before
//! anything else happens there.

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::atomic::{AtomicBool, Ordering};

    use parking_lot::Mutex;

    struct Armed {
        name: String,
        /// Times that it is still to be reached.
        left: u64,
        act: Box<dyn FnOnce() + Send>,
    }

    static IS_ARMED: AtomicBool = AtomicBool::new(false);
    static ARMED: Mutex<Option<Armed>> = Mutex::new(None);

    /// Has this process do `act` when it reaches `name` for the `nth` time, the first being 1. There is one such point in a
    /// process; armed anew, the one before is forgotten.
    ///
    /// ```
    /// # use larder_base::failpoint;
    /// let (send, reached) = std::sync::mpsc::sync_channel(1);
    /// failpoint::arm("committed", 2, move || drop(send.send(())));
    /// failpoint::reach("committed");
    /// assert!(reached.try_recv().is_err());
    /// failpoint::reach("committed");
    /// assert!(reached.try_recv().is_ok());
    /// ```
    pub fn arm(name: impl Into<String>, nth: u64, act: impl FnOnce() + Send + 'static) {
        let (name, left, act) = (name.into(), nth.max(1), Box::new(act));
        *ARMED.lock() = Some(Armed { name, left, act });
        IS_ARMED.store(true, Ordering::Release);
    }

    /// The process is at the point `name`.
    pub fn reach(name: &'static str) {
        if !IS_ARMED.load(Ordering::Acquire) {
            return;
        }
        let mut armed = ARMED.lock();
        let Some(here) = armed.as_mut().filter(|armed| armed.name == name) else {
            return;
        };
        here.left -= 1;
        if here.left > 0 {
            return;
        }
        let act = armed.take().map(|armed| armed.act);
        // Not under the lock: it may take its time, and others reach points meanwhile.
        drop(armed);
        IS_ARMED.store(false, Ordering::Release);
        act.into_iter().for_each(|act| act());
    }
}

#[cfg(feature = "failpoints")]
pub use armed::{arm, reach};

/// Nothing: this build has no failpoints.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub const fn reach(_name: &'static str) {}
