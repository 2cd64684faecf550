//! One leader at a time, by key, whose name others can read.

use std::{future::Future, ops::Deref, sync::Arc, time::Duration};

use larder_store::{Script, StoreError};

use super::{
    Fence, Guard, LockBuilder, LockError, Released,
    kind::{Hold, Kind, Step},
    leases::{Leases, Own, Place},
    pause::Pauses,
    store_lock::{FENCE, HOLDER, RELEASE},
};
use crate::{ToolKey, limit::unavailable::is_away};

static CAMPAIGN: Script = Script::new("campaign", include_str!("campaign.lua"));
static EXTEND: Script = Script::new("campaign_extend", include_str!("campaign_extend.lua"));

static LEADER: Kind = Kind {
    tool: "election",
    acquire: Step {
        script: &CAMPAIGN,
        parts: &[HOLDER, FENCE],
    },
    hold: Hold {
        extend: Step {
            script: &EXTEND,
            parts: &[HOLDER, FENCE],
        },
        release: Step {
            script: &RELEASE,
            parts: &[HOLDER],
        },
        adopt: None,
    },
};

/// A leader's name is for people and for addresses.
const NAME_MAX: usize = 1_024;

/// A leader's token comes before its term and its name.
const TOKEN_LEN: usize = 16;

/// Elects one leader per key among the processes that stand for it. A cheap clone.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use larder_kit::lock::Election;
///
/// let store = larder_store::Store::open("embedded:").await?;
/// let election = Election::builder("jobs", "worker-1").store(&store).build()?;
///
/// let leadership = election.campaign("nightly").await?; // waits until it is this process's turn
/// let leader = election.leader("nightly").await?.expect("somebody leads");
/// assert_eq!((leader.name.as_str(), leader.term), ("worker-1", leadership.term()));
/// leadership.run(async { /* what the leader alone does */ }).await?;
/// leadership.resign().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Election {
    leases: Arc<Leases>,
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// The name with which it stood for election.
    pub name: String,
    /// The number of its term, greater than those of all before.
    pub term: Fence,
}

impl Election {
    /// Builds the elections of `namespace` (`[a-z0-9_.-]+`) in which this process stands as `name`, 1 to 1 024 bytes, such as a host
    /// or an address. In the store they are `election:{jobs:nightly}`.
    pub fn builder(namespace: impl Into<String>, name: impl Into<String>) -> LockBuilder<Self> {
        let name = name.into();
        LockBuilder::new(namespace, move |settings| {
            if name.is_empty() || name.len() > NAME_MAX {
                let text = format!("a leader's name has 1 to {NAME_MAX} bytes");
                return Err(LockError::Config(text));
            }
            let leases = Leases::new(settings, &LEADER, Own::Always(name.as_str().into()))?;
            Ok(Self { leases })
        })
    }

    /// Stands for election until it is elected, however long others lead and however long the store is away.
    ///
    /// # Errors
    /// [`LockError::Store`] for what does not pass by waiting.
    ///
    /// # Cancel safety
    /// Dropping the future withdraws; a term that was granted without being seen is given back in the background.
    pub async fn campaign<K: ToolKey + ?Sized>(&self, key: &K) -> Result<Leadership, LockError> {
        let place = self.leases.place(key);
        let mut pauses = self.pauses();
        loop {
            // However short `wait` is: asking anew each time that it is over would leave out the pauses.
            match self.leases.acquire_within(place.clone(), Duration::MAX).await {
                Ok(guard) => return Ok(Leadership::new(guard)),
                Err(error) if passes(&error) => {
                    tracing::debug!(%error, "standing for election while the store is away");
                    self.leases.clock().sleep(pauses.next(self.leases.ttl())).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Is elected if nobody leads now; `None` if somebody does.
    ///
    /// # Errors
    /// [`LockError::Store`]; [`LockError::TooSlow`].
    ///
    /// # Cancel safety
    /// As [`campaign`](Self::campaign).
    pub async fn try_campaign<K: ToolKey + ?Sized>(&self, key: &K) -> Result<Option<Leadership>, LockError> {
        let guard = self.leases.try_acquire(self.leases.place(key)).await?;
        Ok(guard.map(Leadership::new))
    }

    /// Does `work` while this process leads: stands for election, begins `work` with the number of the term, drops it when the
    /// term is lost, and begins again when it is elected again, until `work` ends by itself.
    ///
    /// # Errors
    /// As [`campaign`](Self::campaign).
    ///
    /// # Cancel safety
    /// Dropping the future drops `work` and gives the term back in the background.
    pub async fn run_while_leader<K, F, W>(&self, key: &K, mut work: F) -> Result<W::Output, LockError>
    where
        K: ToolKey + ?Sized,
        F: FnMut(Fence) -> W + Send,
        W: Future + Send,
    {
        loop {
            let leadership = self.campaign(key).await?;
            match leadership.run(work(leadership.term())).await {
                Err(error) if error.is_lost() => tracing::info!(%error, "not the leader any more"),
                done => return done,
            }
        }
    }

    /// Who leads now.
    ///
    /// # Errors
    /// [`LockError::Store`].
    pub async fn leader<K: ToolKey + ?Sized>(&self, key: &K) -> Result<Option<Leader>, LockError> {
        self.read(&self.leases.place(key)).await
    }

    /// Tells who leads, now and whenever that changes.
    pub fn watch<K: ToolKey + ?Sized>(&self, key: &K) -> Leaders {
        Leaders {
            place: self.leases.place(key),
            election: self.clone(),
            last: None,
        }
    }

    async fn read(&self, place: &Place) -> Result<Option<Leader>, LockError> {
        let mut get = redis::cmd("GET");
        get.arg(&*place.stem);
        let value = self.leases.store().run(&get).await?;
        let text: Option<Vec<u8>> = redis::from_redis_value(value)
            .map_err(redis::RedisError::from)
            .map_err(StoreError::from)?;
        Ok(text.as_deref().and_then(parse))
    }

    fn pauses(&self) -> Pauses<'_> {
        Pauses::new(self.leases.store().random())
    }
}

/// Whether it passes by waiting: the store is out of reach, or a server that is starting, or not the primary yet.
fn passes(error: &LockError) -> bool {
    let is_away = matches!(error, LockError::Store(error) if is_away(error) && !error.is_closed());
    is_away || error.is_store_down()
}

/// `token16 term ':' name`; `None` for what no leader wrote.
fn parse(text: &[u8]) -> Option<Leader> {
    let text = std::str::from_utf8(text.get(TOKEN_LEN..)?).ok()?;
    let (term, name) = text.split_once(':')?;
    Some(Leader {
        name: name.to_owned(),
        term: Fence::new(term.parse().ok()?),
    })
}

/// A term as leader; a [`Guard`] in all it can do. Dropping it resigns in the background.
#[derive(Debug)]
#[must_use = "dropping it resigns"]
pub struct Leadership {
    guard: Guard,
    term: Fence,
}

impl Leadership {
    fn new(guard: Guard) -> Self {
        let term = guard.fence().expect("a campaign's script numbers every term");
        Self { guard, term }
    }

    /// The number of this term, greater than those of all before: a [fence](Fence).
    #[must_use]
    pub const fn term(&self) -> Fence {
        self.term
    }

    /// Ends the term, so that another can lead at once, and says whether it lasted until then.
    ///
    /// # Errors
    /// As [`Guard::release`].
    ///
    /// # Cancel safety
    /// As [`Guard::release`].
    pub async fn resign(self) -> Result<Released, LockError> {
        self.guard.release().await
    }
}

impl Deref for Leadership {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        &self.guard
    }
}

/// Who leads, as it changes; [`Election::watch`] begins it.
#[derive(Debug)]
pub struct Leaders {
    election: Election,
    place: Place,
    /// What was told last.
    last: Option<Option<Leader>>,
}

/// How often it is looked who leads: often enough for people, seldom enough for a thousand who look.
const LOOK_EVERY: Duration = Duration::from_millis(250);

impl Leaders {
    /// Who leads, at the first call; then waits for a change, and tells what it came to. `None`: nobody. It looks four times a
    /// second, so that a leader of a moment may pass unseen.
    ///
    /// # Errors
    /// [`LockError::Store`]; the next call looks again.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn next(&mut self) -> Result<Option<Leader>, LockError> {
        loop {
            let now = self.election.read(&self.place).await?;
            if self.last.as_ref() != Some(&now) {
                self.last = Some(now.clone());
                return Ok(now);
            }
            self.election.leases.clock().sleep(LOOK_EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_leader_wrote_is_nobody() {
        let of = |text: &str| parse(&[&[0xFF; 16], text.as_bytes()].concat());
        let leader = of("17:host:8080").expect("term and name");
        assert_eq!((leader.name.as_str(), leader.term.get()), ("host:8080", 17));
        assert_eq!([of(""), of("17"), of("x:y"), parse(b"short")], [None, None, None, None]);
    }
}
