//! Rules that can be left out while a test runs, to show that the tests would notice.
//!
//! Each [`Mutant`] is one rule of the protocol dropped alone, under the name of the protocol's list; its hook is one line at the
//! place where the rule stands. Without the feature `mutants`, which only this crate's own tests turn on, [`lives`] is a constant
//! `false`. With it, a mutant lives on the thread that called [`with`](self::with) and nowhere else. Rules that stand in a script
//! are dropped by changing the script's text instead, in the tests.

/// A rule left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutant {
    /// A guard counts its time from the reply, not from the request.
    M20Sent,
    /// A guard believes what it asked for, not what the store says is left.
    M20Ttl,
    /// The retry of a request for a lock repeats its token.
    M50,
    /// What a change of a session answered counts as the whole of that version, though others changed it in between.
    S1,
    /// A rotation of a session's id is not remembered before it is sent.
    S2,
    /// A login does not remember the copy that it has made.
    S3,
    /// A login deletes the session that it has copied, whatever became of it meanwhile.
    S4,
    /// A load of a session without the script does not compare its epoch with its user's.
    S5,
    /// A load of a session without the script does not look at when the session ends.
    S6,
    /// A load of a session without the script does not look at when a use was noted.
    S7,
    /// A session is not kept longer by what its last use may have gone unnoted.
    S8,
    /// A transaction watches nothing.
    T1,
    /// What would end the watch of a transaction is let through.
    T2,
    /// A command that failed in a committed transaction looks like a transaction that failed.
    T3,
}

#[cfg(feature = "mutants")]
mod switch {
    use std::cell::Cell;

    use super::Mutant;

    thread_local! {
        static LIVING: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    pub(crate) fn lives(mutant: Mutant) -> bool {
        LIVING.get() == Some(mutant)
    }

    /// Does `work` with one rule left out, or with all in force. A runtime that `work` drives has to be a current-thread one.
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
