//! How a queue is made, and whether its store may hold one.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use larder_base::codec::VALUE_MAX_LIMIT;
use larder_store::Store;
use redis::Value;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Queue, QueueError,
    core::{Core, Settings, text},
    figures::SERIES,
    options::ATTEMPTS_MAX,
};
use crate::{
    figures::Tally,
    metric::{QUEUE_RUN, QUEUE_WAIT},
    names::Namespace,
};

/// Below it a worker on a busy machine cannot renew in time.
const VISIBILITY_MIN: Duration = Duration::from_millis(100);

/// The longest span of a queue's settings: what is meant by more is not a span.
const SPAN_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Makes a [`Queue`]. Every process that uses a queue builds it with the same settings.
#[must_use]
pub struct QueueBuilder<J> {
    namespace: String,
    store: Option<Store>,
    settings: Settings,
    job: PhantomData<fn(J) -> J>,
}

impl<J> fmt::Debug for QueueBuilder<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueBuilder")
            .field("namespace", &self.namespace)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl<J: Serialize + DeserializeOwned + Send + 'static> QueueBuilder<J> {
    pub(super) fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            store: None,
            settings: Settings {
                visibility: Duration::from_secs(30),
                attempts: 5,
                backoff_first: Duration::from_secs(1),
                backoff_max: Duration::from_secs(3_600),
                payload_max: 256 * 1024,
                capacity: 1_000_000,
                keep_for: Duration::from_secs(3_600),
                keep_count: 10_000,
                running_max: 0,
            },
            job: PhantomData,
        }
    }

    /// Where the jobs are. Required.
    pub fn store(mut self, store: &Store) -> Self {
        self.store = Some(store.clone());
        self
    }

    /// How long a job stays with a worker that says nothing, 30 s unless said; at least 100 ms. Workers renew it by themselves
    /// each third of it, so it bounds how late the jobs of a killed worker begin again, not how long a job may take.
    pub fn visibility(mut self, timeout: Duration) -> Self {
        self.settings.visibility = timeout;
        self
    }

    /// How many attempts a job has that says nothing else: 5 unless said, 1 to 1,000.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.settings.attempts = attempts;
        self
    }

    /// How long after a failed attempt the next begins: `first` after the first, then doubled, up to `max`; of each half to all,
    /// at random. 1 s and 1 h unless said.
    pub fn backoff(mut self, first: Duration, max: Duration) -> Self {
        (self.settings.backoff_first, self.settings.backoff_max) = (first, max);
        self
    }

    /// The largest job, as JSON, in bytes: 256 KiB unless said.
    pub fn payload_max(mut self, bytes: usize) -> Self {
        self.settings.payload_max = bytes;
        self
    }

    /// How many jobs there may be that are not done, dead ones included: 1,000,000 unless said. A push beyond it is refused
    /// with [`QueueError::Full`]; nothing is dropped. What ran and is tried again always has room.
    pub fn capacity(mut self, jobs: u64) -> Self {
        self.settings.capacity = jobs;
        self
    }

    /// For how long the id of a done job stays known, and of how many: 1 h and 10,000 unless said, whichever ends first. As long
    /// as it is known, another push under the same id changes nothing. Zero of either keeps none.
    pub fn keep_done(mut self, age: Duration, count: u64) -> Self {
        (self.settings.keep_for, self.settings.keep_count) = (age, count);
        self
    }

    /// How many jobs of this queue may run at once in all processes; as many as workers take unless said.
    pub fn running_max(mut self, jobs: u32) -> Self {
        self.settings.running_max = jobs;
        self
    }

    /// The queue. Asks the store whether it keeps what it is given.
    ///
    /// # Errors
    /// [`QueueError::Config`] if a setting is missing or cannot be meant, or the store's `maxmemory-policy` is one of `allkeys-*`,
    /// which evicts jobs. A store that does not tell is taken with a warning in the log. [`QueueError::Store`] if it does not
    /// answer.
    ///
    /// # Cancel safety
    /// Nothing is written.
    pub async fn build(self) -> Result<Queue<J>, QueueError> {
        let name = Namespace::new(&self.namespace)?;
        let missing = || QueueError::config("a queue has no store; add `.store(&store)`");
        let store = self.store.ok_or_else(missing)?;
        self.settings.check()?;
        refuse_eviction(&store, name.text()).await?;
        QUEUE_WAIT.describe();
        QUEUE_RUN.describe();
        let core = Core {
            stem: name.stem("queue", &String::new()),
            tally: Tally::of("queue", name.text(), SERIES),
            store,
            name,
            settings: self.settings,
        };
        Ok(Queue::of(Arc::new(core)))
    }
}

impl Settings {
    fn check(&self) -> Result<(), QueueError> {
        let wrong = |what: String| Err(QueueError::config(what));
        match self {
            Self { visibility, .. } if !(VISIBILITY_MIN..=SPAN_MAX).contains(visibility) => wrong(format!(
                "`visibility` is {visibility:?}; say {VISIBILITY_MIN:?} to ten years"
            )),
            Self { attempts, .. } if !(1..=ATTEMPTS_MAX).contains(attempts) => {
                wrong(format!("`attempts` is {attempts}; say 1 to {ATTEMPTS_MAX}"))
            }
            Self {
                backoff_first,
                backoff_max,
                ..
            } if backoff_first > backoff_max || *backoff_max > SPAN_MAX => wrong(format!(
                "`backoff` begins with {backoff_first:?} and ends with {backoff_max:?}; say at most ten years, the longer one last"
            )),
            Self { payload_max, .. } if !(1..=VALUE_MAX_LIMIT).contains(payload_max) => wrong(format!(
                "`payload_max` is {payload_max}; say 1 to {VALUE_MAX_LIMIT} bytes"
            )),
            Self { capacity: 0, .. } => wrong("`capacity(0)` takes no job; say at least 1".to_owned()),
            Self { keep_for, .. } if *keep_for > SPAN_MAX => {
                wrong(format!("`keep_done` is for {keep_for:?}; say at most ten years"))
            }
            _ => Ok(()),
        }
    }
}

/// Jobs are data: a store that evicts whatever it likes loses them.
async fn refuse_eviction(store: &Store, queue: &Arc<str>) -> Result<(), QueueError> {
    let mut ask = redis::cmd("CONFIG");
    ask.arg("GET").arg("maxmemory-policy");
    let policy = match store.run(&ask).await {
        Ok(Value::Map(pairs)) => pairs.into_iter().next().map(|(_, policy)| policy),
        Ok(Value::Array(items)) => items.into_iter().nth(1),
        Ok(_) => None,
        Err(error) if error.is_connection() || error.is_closed() => return Err(error.into()),
        Err(_) => None,
    };
    match policy.as_ref().and_then(text) {
        Some(policy) if policy.starts_with("allkeys-") => Err(QueueError::config(format!(
            "queue `{queue}` cannot be on {store}: its `maxmemory-policy` is {policy}, which evicts jobs; use `noeviction` or a \
             `volatile-` policy, or another store"
        ))),
        Some(_) => Ok(()),
        None => {
            tracing::warn!(queue = &**queue, %store, "the store does not tell its `maxmemory-policy`: under `allkeys-*` it evicts jobs");
            Ok(())
        }
    }
}
