//! Which stripe of a counter the calling thread adds to.
//!
//! A thread that has a stripe to itself adds with a load and a store: an atomic addition costs a fifth of a whole
//! near hit. Threads get theirs at their first count and give it back when they end; those that come when all are
//! taken share the last one, with atomic additions.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
};

/// Stripes, the shared one included: a power of two. More threads than that count at once in few processes.
pub(crate) const STRIPES: usize = 32;

/// The stripe of all who have none of their own.
const SHARED: usize = STRIPES - 1;

/// Says that a thread has not asked yet.
const UNKNOWN: usize = usize::MAX;

/// A bit for each stripe that a thread has.
static TAKEN: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static STRIPE: Cell<usize> = const { Cell::new(UNKNOWN) };
    static OWN: Own = Own::take();
}

/// Holds a stripe for a thread's life.
struct Own(usize);

impl Own {
    fn take() -> Self {
        let free = |taken: u64| Some(taken.trailing_ones() as usize).filter(|free| *free < SHARED);
        // Acquire pairs with the release below: what the last owner counted is seen by the next.
        let taken = TAKEN.fetch_update(Ordering::Acquire, Ordering::Relaxed, |taken| {
            free(taken).map(|free| taken | 1 << free)
        });
        Self(taken.ok().and_then(free).unwrap_or(SHARED))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // Whatever this thread still counts while it ends goes where all may count.
        STRIPE.set(SHARED);
        if self.0 != SHARED {
            TAKEN.fetch_and(!(1 << self.0), Ordering::Release);
        }
    }
}

/// The calling thread's stripe, the same for every cache, and whether nobody else adds to it.
#[inline]
pub(crate) fn own() -> (usize, bool) {
    let stripe = match STRIPE.get() {
        UNKNOWN => first(),
        known => known,
    };
    (stripe, stripe != SHARED)
}

#[cold]
fn first() -> usize {
    // A thread that is ending has no locals any more.
    let stripe = OWN.try_with(|own| own.0).unwrap_or(SHARED);
    STRIPE.set(stripe);
    stripe
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Barrier};

    use super::*;

    /// One test, because stripes are the process's: another test's threads take some meanwhile.
    #[test]
    fn no_two_threads_own_one_stripe_and_it_comes_back() {
        const THREADS: usize = 40;
        let barrier = Barrier::new(THREADS);
        for _ in 0..3 {
            let stripes: Vec<(usize, bool)> = std::thread::scope(|scope| {
                let ask = || {
                    let stripe = own();
                    barrier.wait();
                    stripe
                };
                let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let owned: Vec<usize> = stripes
                .iter()
                .filter(|(_, own)| *own)
                .map(|(stripe, _)| *stripe)
                .collect();
            assert_eq!(owned.len(), owned.iter().collect::<BTreeSet<_>>().len());
            assert!(owned.len() > SHARED / 2, "given back: {} are owned", owned.len());
        }
    }
}
