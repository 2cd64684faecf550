//! The concurrency limit: so many at once, whatever their rate.

use std::{collections::HashMap, sync::Arc, time::Duration};

use larder_base::{CacheKey, Clock, Tasks};
use larder_store::{Script, ScriptCall, Store};
use parking_lot::Mutex;

use super::{
    Basis, Decision, LimitError, OnStoreDown, Permit,
    kind::{Kind, window},
    limits::Named,
    permit,
    unavailable::is_away,
};
use crate::{
    figures::Tally,
    metric::{self, permit_series as series},
    names::Namespace,
    reply,
};

/// Its script takes other arguments than the kinds that a `Limiter` checks, and is not among them.
static KIND: Kind = Kind {
    name: "concurrency",
    script: Script::new("limit_concurrency", include_str!("concurrency.lua")),
    wrong: window::wrong,
    capacity: window::capacity,
    span: window::span,
};

/// How long a permit lives after its process died, unless said otherwise.
const LEASE: Duration = Duration::from_secs(30);

/// Admits at most N at once for each subject, in all processes together. A cheap clone.
///
/// Each admission is a lease that its [`Permit`] keeps alive; if the process dies, it lapses by itself. It answers at once, and
/// has a policy for a store that is away; to wait for a place, or to stop work whose place is lost, take a
/// [`Semaphore`](crate::lock::Semaphore).
///
/// ```
/// use larder_kit::limit::{ConcurrencyLimit, Entry, OnStoreDown};
/// # use larder_store::Store;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = Store::open("embedded:").await?;
/// let exports = ConcurrencyLimit::builder("exports")
///     .store(&store)
///     .limit(1)
///     .on_store_down(OnStoreDown::Closed)
///     .build()?;
///
/// let Entry::Admitted(permit) = exports.enter("ada").await? else { panic!("nobody else exports") };
/// assert!(matches!(exports.enter("ada").await?, Entry::Full(_)));
/// permit.release().await;
/// assert!(matches!(exports.enter("ada").await?, Entry::Admitted(_)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit {
    core: Arc<Core>,
}

/// What came of asking to enter.
#[derive(Debug)]
#[must_use = "a permit that is dropped is given back"]
pub enum Entry {
    /// There was room: it is taken until the permit is dropped.
    Admitted(Permit),
    /// There is none. [`retry_after`](Decision::retry_after) says when the first lease lapses; a permit that is given back
    /// makes room before.
    Full(Decision),
}

/// Makes a [`ConcurrencyLimit`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ConcurrencyBuilder<Down = ()> {
    namespace: String,
    store: Option<Store>,
    limit: u64,
    lease: Duration,
    down: Down,
}

#[derive(Debug)]
pub(super) struct Core {
    namespace: Namespace,
    store: Store,
    pub(super) clock: Clock,
    named: Named,
    pub(super) lease: Duration,
    on_store_down: OnStoreDown,
    pub(super) tasks: Tasks,
    /// Live permits of this process, which are what it knows when the store is away.
    live: Mutex<HashMap<String, u64>>,
    pub(super) tally: Arc<Tally>,
}

impl<Down> ConcurrencyBuilder<Down> {
    /// Where it is counted. Required.
    pub fn store(mut self, store: &Store) -> Self {
        self.store = Some(store.clone());
        self
    }

    /// How many at once. Required.
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }

    /// How long a permit outlives its process; 30 s unless said, in whole milliseconds. A live one is renewed three times in
    /// that time.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// What becomes of callers while the store does not answer. Required.
    pub fn on_store_down(self, policy: OnStoreDown) -> ConcurrencyBuilder<OnStoreDown> {
        ConcurrencyBuilder {
            namespace: self.namespace,
            store: self.store,
            limit: self.limit,
            lease: self.lease,
            down: policy,
        }
    }
}

impl ConcurrencyBuilder<OnStoreDown> {
    /// The limit. Nothing is sent yet.
    ///
    /// # Errors
    /// [`LimitError::Config`] if a setting is missing or cannot be meant.
    pub fn build(self) -> Result<ConcurrencyLimit, LimitError> {
        let namespace = Namespace::new(&self.namespace)?;
        let missing = || LimitError::config("a concurrency limit has no store; add `.store(&store)`");
        let store = self.store.ok_or_else(missing)?;
        let named = Named {
            name: KIND.name.into(),
            limit: window::limit(&KIND, self.limit, self.lease)?,
        };
        let core = Core {
            clock: store.clock().clone(),
            tally: Tally::of("permit", namespace.text(), metric::PERMIT_SERIES),
            namespace,
            store,
            named,
            lease: self.lease,
            on_store_down: self.down.checked()?,
            tasks: Tasks::new(),
            live: Mutex::default(),
        };
        Ok(ConcurrencyLimit { core: Arc::new(core) })
    }
}

impl ConcurrencyLimit {
    /// Begins one in a namespace (`[a-z0-9_.-]+`), such as `exports`.
    pub fn builder(namespace: &str) -> ConcurrencyBuilder {
        ConcurrencyBuilder {
            namespace: namespace.to_owned(),
            store: None,
            limit: 0,
            lease: LEASE,
            down: (),
        }
    }

    /// Takes a place of `subject`, if there is one.
    ///
    /// # Errors
    /// [`LimitError::Store`] where the store answered what it never does. A store that is away is no error: the policy
    /// decides.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the answer; a place may be taken until its lease lapses, as where an answer was lost.
    pub async fn enter<S>(&self, subject: &S) -> Result<Entry, LimitError>
    where
        S: ToOwned<Owned: CacheKey> + ?Sized,
    {
        let key = format!("{}:concurrency", self.core.namespace.stem("limit", &subject.to_owned()));
        // A new one for every attempt: what is sent twice would be one lease that two believe in.
        let id = format!("{:032x}", u128::from_be_bytes(self.core.store.random().bytes()));
        let sent = self.core.clock.monotonic();
        let entry = match self.core.take(&key, &id).await {
            Ok(decision) if decision.allowed => Entry::Admitted(permit::kept(self.core.clone(), key, id, sent)),
            Ok(decision) => Entry::Full(decision),
            Err(LimitError::Store(error)) if is_away(&error) => {
                self.core.tally.count(series::FAILED);
                self.core.without_store(key)
            }
            Err(error) => {
                self.core.tally.count(series::FAILED);
                return Err(error);
            }
        };
        self.core.tally.count(match entry {
            Entry::Admitted(_) => series::GRANTED,
            Entry::Full(_) => series::FULL,
        });
        Ok(entry)
    }
}

impl Core {
    /// Takes a place under `id`, or renews the one that it has.
    pub(super) async fn take(&self, key: &str, id: &str) -> Result<Decision, LimitError> {
        let [limit, lease_ms] = self
            .named
            .limit
            .args
            .map(|number| i64::try_from(number).unwrap_or(i64::MAX));
        let call = ScriptCall::new(&KIND.script).key(key).arg("acquire").arg(id);
        let reply = self.store.call(&call.int(limit).int(lease_ms)).await?;
        Ok(Decision::read(
            std::slice::from_ref(&self.named),
            &reply,
            KIND.script.name(),
        )?)
    }

    /// Gives the place back; `false` if it had lapsed.
    pub(super) async fn give_back(&self, key: &str, id: &str) -> Result<bool, LimitError> {
        let call = ScriptCall::new(&KIND.script).key(key).arg("release").arg(id);
        Ok(reply::integer(&self.store.call(&call).await?)? == 1)
    }

    fn without_store(self: &Arc<Self>, key: String) -> Entry {
        let limit = self.named.limit.capacity();
        let (room, basis) = match self.on_store_down {
            OnStoreDown::Open => (u64::MAX, Basis::Policy),
            OnStoreDown::Closed => (0, Basis::Policy),
            OnStoreDown::Local { share } => (((limit as f64 * share) as u64).max(1), Basis::Share),
        };
        if self.count_one_more(&key, room) {
            return Entry::Admitted(permit::unkept(self.clone(), key));
        }
        let mut decision = Decision::bare(&self.named, false, basis);
        decision.retry_after = Some(Duration::from_secs(1));
        Entry::Full(decision)
    }

    /// Counts one more live permit of this process if there are fewer than `room`, in one step: many ask at once when the store
    /// goes away.
    pub(super) fn count_one_more(&self, key: &str, room: u64) -> bool {
        let mut live = self.live.lock();
        let here = live.get(key).copied().unwrap_or(0);
        if here < room {
            live.insert(key.to_owned(), here + 1);
        }
        here < room
    }

    /// Counts one live permit less.
    pub(super) fn count_one_less(&self, key: &str) {
        let mut live = self.live.lock();
        if let Some(count) = live.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                live.remove(key);
            }
        }
    }
}
