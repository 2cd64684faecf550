//! One leader at a time, by key.

use std::{fmt, ops::Deref, time::Duration};

use larder_base::Clock;

use super::{Guard, LockBuilder, guard::Held};
use crate::{
    ToolKey,
    blocking::{face::face, on::On, waits},
    lock::{self, Fence, Leader, LockError, Released},
};

face! {
    /// [`larder::lock::Election`](crate::lock::Election), blocking: one leader per key among the processes that stand for it. A
    /// cheap clone.
    ///
    /// ```
    /// use larder::blocking::{Store, lock::Election};
    ///
    /// # fn main() -> Result<(), larder::BoxError> {
    /// let store = Store::open("embedded:")?;
    /// let election = Election::builder("jobs", "worker-1").store(&store).build()?;
    ///
    /// let leadership = election.campaign("nightly")?; // waits until it is this process's turn
    /// let leader = election.watch("nightly").next().expect("it never ends")?.expect("somebody leads");
    /// assert_eq!((leader.name.as_str(), leader.term), ("worker-1", leadership.term()));
    /// leadership.run(|held| held.check())??; // what the leader alone does
    /// leadership.resign()?;
    /// # Ok(())
    /// # }
    /// ```
    Election of crate::lock::Election
}

impl Election {
    /// Builds the elections of `namespace` (`[a-z0-9_.-]+`) in which this process stands as `name`, 1 to 1 024 bytes.
    pub fn builder(namespace: impl Into<String>, name: impl Into<String>) -> LockBuilder<Self> {
        LockBuilder::of(crate::lock::Election::builder(namespace, name))
    }

    /// Stands for election until it is elected, however long others lead and however long the store is away.
    ///
    /// # Errors
    /// As [the async method](crate::lock::Election::campaign).
    #[track_caller]
    pub fn campaign<K: ToolKey + ?Sized>(&self, key: &K) -> Result<Leadership, LockError> {
        let term = self.on.wait(self.on.campaign(key))?;
        Ok(self.elected(term))
    }

    /// As [`campaign`](Self::campaign), for at most `limit`: `None` if it was not elected by then, and it has withdrawn.
    ///
    /// # Errors
    /// As [`campaign`](Self::campaign).
    #[track_caller]
    pub fn campaign_within<K: ToolKey + ?Sized>(
        &self,
        key: &K,
        limit: Duration,
    ) -> Result<Option<Leadership>, LockError> {
        let campaign = self.store.clock().timeout(limit, self.on.campaign(key));
        let term = self.on.wait(campaign).transpose()?;
        Ok(term.map(|term| self.elected(term)))
    }

    /// Is elected if nobody leads now; `None` if somebody does.
    ///
    /// # Errors
    /// As [the async method](crate::lock::Election::try_campaign).
    #[track_caller]
    pub fn try_campaign<K: ToolKey + ?Sized>(&self, key: &K) -> Result<Option<Leadership>, LockError> {
        let term = self.on.wait(self.on.try_campaign(key))?;
        Ok(term.map(|term| self.elected(term)))
    }

    /// Does `work` on this thread while this process leads: stands for election, begins `work` with the term, and begins again
    /// when that was lost before `work` ended, until `work` ends in its own term.
    ///
    /// A closure cannot be stopped from outside: `work` should return as soon as [`check`](Guard::check) fails.
    ///
    /// # Errors
    /// As [the async method](crate::lock::Election::run_while_leader).
    #[track_caller]
    pub fn run_while_leader<K, T>(&self, key: &K, mut work: impl FnMut(&Leadership) -> T) -> Result<T, LockError>
    where
        K: ToolKey + ?Sized,
    {
        loop {
            let leadership = self.campaign(key)?;
            match leadership.run(|_| work(&leadership)) {
                Err(error) if error.is_lost() => {}
                done => return done,
            }
        }
    }

    waits! { "lock::Election";
        /// Who leads now.
        fn leader(&self, key: &(impl ToolKey + ?Sized)) -> Result<Option<Leader>, LockError>;
    }

    /// Tells who leads, now and whenever that changes.
    pub fn watch<K: ToolKey + ?Sized>(&self, key: &K) -> Leaders {
        Leaders {
            on: self.on.beside(self.on.watch(key)),
            clock: self.store.clock().clone(),
        }
    }

    fn elected(&self, leadership: lock::Leadership) -> Leadership {
        let term = leadership.term();
        let guard = Guard::of(self.on.beside(Held::Term(leadership)), self.store.clock());
        Leadership { guard, term }
    }
}

/// A term as leader; a [`Guard`] in all it can do. Dropping it resigns in the background.
#[derive(Debug)]
#[must_use = "dropping it resigns"]
pub struct Leadership {
    guard: Guard,
    term: Fence,
}

impl Leadership {
    /// The number of this term, greater than those of all before: a [fence](Fence).
    #[must_use]
    pub const fn term(&self) -> Fence {
        self.term
    }

    /// Ends the term, so that another can lead at once, and says whether it lasted until then.
    ///
    /// # Errors
    /// As [the async method](crate::lock::Leadership::resign).
    #[track_caller]
    pub fn resign(self) -> Result<Released, LockError> {
        self.guard.release()
    }
}

impl Deref for Leadership {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        &self.guard
    }
}

/// Who leads, as it changes: an iterator that waits for the next change and never ends; [`Election::watch`] begins it.
pub struct Leaders {
    on: On<lock::Leaders>,
    clock: Clock,
}

impl fmt::Debug for Leaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.on, f)
    }
}

impl Leaders {
    /// As `next`, for at most `limit`: `None` if nothing changed meanwhile.
    #[track_caller]
    pub fn next_within(&mut self, limit: Duration) -> Option<Result<Option<Leader>, LockError>> {
        let clock = self.clock.clone();
        self.on
            .wait_mut(|leaders| async move { clock.timeout(limit, leaders.next()).await })
    }
}

/// After an error the next call looks again.
impl Iterator for Leaders {
    type Item = Result<Option<Leader>, LockError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.on.wait_mut(lock::Leaders::next))
    }
}
