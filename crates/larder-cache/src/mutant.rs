//! Rules that can be left out while a test runs, to show that the tests would notice.
//!
//! Each [`Mutant`] is one rule of the protocol dropped alone; the names are those of the protocol's list. The hook of a mutant
//! is one line at the place where its rule stands: `if mutant::lives(Mutant::M11) { return; }`. Rules that stand in a script
//! are dropped by changing the script's text instead, in the tests of the scripts.
//!
//! Without the feature `mutants`, which only this crate's own tests turn on, [`lives`] is a constant `false` and no hook costs
//! anything. With it, a mutant lives on the thread that called [`with`](self::with) and nowhere else: tests run side by side in
//! one process, and a simulated world is on one thread. Nothing but a test may turn the feature on.

/// A rule left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutant {
    /// A lease token per client instead of one per attempt.
    M2,
    /// What is read is installed by how things are when it comes, not by what happened since it was asked for.
    M7,
    /// A lost connection does not end the epoch.
    M8,
    /// A local invalidation does not detach the flight under way.
    M11,
    /// A retry of a lease request repeats its token.
    M13,
    /// What is pending is sent after its quarantine was lifted.
    M14,
    /// An own write drops no copy, although the server tells nobody of his own.
    M29,
    /// A caller who comes after the request was handed on shares its answer.
    M30,
    /// A load whose fill was refused is shared with those who came after its lease was requested.
    M31,
    /// A retry of a lease request repeats its incarnation candidate.
    M43,
    /// A push of everything leaves copies alone.
    M46,
}

#[cfg(feature = "mutants")]
mod switch {
    use std::cell::Cell;

    use super::Mutant;

    thread_local! {
        static LIVING: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Whether `mutant` lives on this thread.
    pub(crate) fn lives(mutant: Mutant) -> bool {
        LIVING.get() == Some(mutant)
    }

    /// Does `work` with one rule left out, or with all in force. A runtime that `work` drives has to be a
    /// current-thread one, for what runs on other threads is not concerned.
    ///
    /// # Panics
    /// If `work` does; the rule is in force again after that, too.
    pub fn with<R>(mutant: Option<Mutant>, work: impl FnOnce() -> R) -> R {
        struct Back(Option<Mutant>);
        impl Drop for Back {
            fn drop(&mut self) {
                LIVING.set(self.0);
            }
        }
        let _back = Back(LIVING.replace(mutant));
        work()
    }
}

#[cfg(feature = "mutants")]
pub(crate) use switch::lives;
#[cfg(feature = "mutants")]
pub use switch::with;

/// No rule is ever left out.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub(crate) const fn lives(_: Mutant) -> bool {
    false
}
