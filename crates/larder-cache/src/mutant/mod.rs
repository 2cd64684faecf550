//! Rules that can be left out while a test runs, to show that the tests would notice.
//!
//! Each [`Mutant`] is one rule of the protocol dropped alone; the names are those of the protocol's list. The hook of a mutant
//! is one line at the place where its rule stands: `if mutant::lives(Mutant::M11) { return; }`. Rules that stand in a script
//! are dropped by changing the script's text instead, in the tests of the scripts.
//!
//! Without the feature `mutants`, which only this crate's own tests turn on, [`lives`] is a constant `false` and no hook costs
//! anything. With it, a mutant lives on the thread that called [`with`](self::with) and nowhere else: tests run side by side in
//! one process, and a simulated world is on one thread. Nothing but a test may turn the feature on.

#[cfg(feature = "mutants")]
mod behind;
#[cfg(feature = "mutants")]
mod ticker;
#[cfg(feature = "mutants")]
mod unlink;

/// The mutants, and the list of all.
macro_rules! mutants {
    ($($(#[doc = $what:literal])+ $name:ident,)*) => {
        /// A rule left out.
        #[cfg_attr(
            not(feature = "mutants"),
            expect(dead_code, reason = "some hooks are there only with the feature")
        )]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Mutant {
            $($(#[doc = $what])+ $name,)*
        }

        #[cfg(feature = "mutants")]
        impl Mutant {
            /// Every one, so that a test can see that none goes unnoticed.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// What is left out.
            #[must_use]
            pub const fn what(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($what),+),)*
                }
            }
        }
    };
}

mutants! {
    /// A lease token per client instead of one per attempt.
    M2,
    /// What is read is installed by how things are when it comes, not by what happened since it was asked for.
    M7,
    /// A lost connection does not end the epoch.
    M8,
    /// The stream counts as proven live from when the answer to a heartbeat came, not from when it was asked for.
    M9,
    /// Pushes are applied by a task behind a channel, not where they are read.
    M10,
    /// A local invalidation does not detach the flight under way.
    M11,
    /// A retry of a lease request repeats its token.
    M13,
    /// What is pending is sent after its quarantine was lifted.
    M14,
    /// Whoever flushed a key removes what waits for it by then, too.
    M15,
    /// The epoch of write-behind outlives the generation of the store.
    M16,
    /// A read does not ask what waits to be flushed.
    M17,
    /// The checksum does not cover the key.
    M24,
    /// A purge by pattern deletes what it finds, the holds of writers too.
    M25,
    /// An own write drops no copy, although the server tells nobody of his own.
    M29,
    /// A caller who comes after the request was handed on shares its answer.
    M30,
    /// A load whose fill was refused is shared with those who came after its lease was requested.
    M31,
    /// A write under write-behind leaves the entry.
    M37,
    /// The hit path's clock is one that this process advances itself.
    M38,
    /// A retry of a lease request repeats its incarnation candidate.
    M43,
    /// A push of everything leaves copies alone.
    M46,
    /// A push of M leaves untagged copies alone when everything of the partition was cleared.
    M47,
    /// After an own write of M, which ends its tracking, M is not read again.
    M48,
    /// A retry of a write under write-behind is an operation of its own.
    M49,
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
pub(crate) use behind::listener;
#[cfg(feature = "mutants")]
pub(crate) use switch::lives;
#[cfg(feature = "mutants")]
pub use switch::with;
#[cfg(feature = "mutants")]
pub(crate) use ticker::{coarse, coarse_nanos, tick};
#[cfg(feature = "mutants")]
pub(crate) use unlink::unlink;

/// The hooks of a build in which no rule is ever left out.
#[cfg(not(feature = "mutants"))]
mod off {
    use std::{sync::Arc, time::Duration};

    use larder_base::{Clock, Tasks};
    use larder_store::Invalidations;

    use super::Mutant;

    #[inline(always)]
    pub(crate) const fn lives(_: Mutant) -> bool {
        false
    }

    pub(crate) fn listener<L: Invalidations + 'static>(listener: Arc<L>) -> Arc<dyn Invalidations> {
        listener
    }

    #[inline(always)]
    pub(crate) fn coarse(clock: &Clock) -> Duration {
        clock.coarse()
    }

    #[inline(always)]
    pub(crate) fn coarse_nanos(clock: &Clock) -> u64 {
        clock.coarse_nanos()
    }

    pub(crate) const fn tick(_: &Clock, _: &Tasks) {}
}

#[cfg(not(feature = "mutants"))]
pub(crate) use off::{coarse, coarse_nanos, listener, lives, tick};
