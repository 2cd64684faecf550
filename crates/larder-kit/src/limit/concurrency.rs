//! The concurrency limit: so many at once, whatever their rate.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use larder_base::{CacheKey, KeyLabel};
use larder_store::{Script, Store, StoreError};
use parking_lot::Mutex;

use super::{
    Basis, Decision, LimitError, OnStoreDown, Permit,
    kind::{Kind, window},
    limits::Named,
    unavailable::is_away,
};
use crate::{
    lock::{Claim, Grant, Hold, Keeper, Step, StoreLease, Token, member, wrong_ttl},
    metric::PERMIT_SERIES,
    names::{Namespace, ToolKey as _},
};

/// Its script takes other arguments than the kinds that a `Limiter` checks, and is not among them.
static KIND: Kind = Kind {
    name: "concurrency",
    script: Script::new("limit_concurrency", include_str!("concurrency.lua")),
    wrong: window::wrong,
    capacity: window::capacity,
    span: window::span,
};

/// The leases are members of one sorted set, and kept as those of a semaphore are.
const LEASES: &[&str] = &[":concurrency"];
static HOLD: Hold = member(LEASES);
static ENTER: Step = Step {
    script: &KIND.script,
    parts: LEASES,
};

/// How long a permit lives after its process died, unless said otherwise.
const LEASE: Duration = Duration::from_secs(30);

/// Admits at most N at once for each subject, in all processes together. A cheap clone.
///
/// Each admission is a lease that its [`Permit`] keeps alive; if the process dies, it lapses by itself.
///
/// Take it to answer a caller: it decides at once, says to one who is turned away for how long to stay away, and goes by a policy
/// where the store is away. Work that has to be done and can wait for its turn takes a [`Semaphore`](crate::lock::Semaphore): the
/// same leases, behind the face of a lock, which waits and for which a store that is away is an error.
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

pub(super) struct Core {
    store: Store,
    named: Named,
    lease: Duration,
    on_store_down: OnStoreDown,
    keeper: Keeper,
    /// Live permits of this process, which are what it knows when the store is away.
    live: Mutex<HashMap<Arc<str>, u64>>,
}

/// Without the subjects that are in.
impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("store", &self.store)
            .field("limit", &self.named.limit)
            .finish_non_exhaustive()
    }
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

    /// How long a permit outlives its process; 30 s unless said, in whole milliseconds, from 100 ms to a day. A live one is
    /// renewed three times in that time.
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
        if let Some(text) = wrong_ttl("a concurrency limit's `lease`", self.lease) {
            return Err(LimitError::config(text));
        }
        let named = Named {
            name: KIND.name.into(),
            limit: window::limit(&KIND, self.limit, self.lease)?,
        };
        let core = Core {
            keeper: Keeper::counting("permit", PERMIT_SERIES, namespace, store.clock()),
            store,
            named,
            lease: self.lease,
            on_store_down: self.down.checked()?,
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
    /// Nothing is taken for longer than the lease: a place that was given without being seen, here or where an answer was lost,
    /// is given back in the background.
    pub async fn enter<S>(&self, subject: &S) -> Result<Entry, LimitError>
    where
        S: ToOwned<Owned: CacheKey> + ?Sized,
    {
        let key = subject.to_owned();
        let stem: Arc<str> = self.core.keeper.namespace().stem("limit", &key).into();
        let label = self.core.keeper.label(key.written().as_str());
        match self.core.ask(&stem, label).await {
            Ok(Some(entry)) => Ok(entry),
            Ok(None) => Ok(self.core.without_store(stem)),
            Err(error) => {
                self.core.keeper.count_failed();
                if is_away(&error) {
                    return Ok(self.core.without_store(stem));
                }
                Err(error.into())
            }
        }
    }
}

impl Core {
    /// Asks the store for a place; `None` if its answer came too late to be of use.
    async fn ask(self: &Arc<Self>, stem: &Arc<str>, label: KeyLabel) -> Result<Option<Entry>, StoreError> {
        let [limit, lease_ms] = self
            .named
            .limit
            .args
            .map(|number| i64::try_from(number).unwrap_or(i64::MAX));
        // A new token for every attempt: what is sent twice would be one lease that two believe in.
        let token = Token::draw(self.store.random());
        let lease = StoreLease::new(&self.store, &HOLD, self.lease, stem.clone(), token);
        let claim = Claim::new(lease, self.keeper.tasks());
        let call = ENTER.call(stem).arg("acquire").arg(token.bytes());
        let sent = self.keeper.now();
        let reply = match self.store.call(&call.int(limit).int(lease_ms)).await {
            Ok(reply) => reply,
            Err(error) => {
                if !error.is_unknown_outcome() {
                    claim.settle();
                }
                return Err(error);
            }
        };
        let decision = Decision::read(std::slice::from_ref(&self.named), &reply, KIND.script.name())?;
        if !decision.allowed {
            claim.settle();
            self.keeper.count_busy();
            return Ok(Some(Entry::Full(decision)));
        }
        let grant = Grant {
            sent,
            left: self.lease,
            fence: None,
        };
        let Ok(guard) = self.keeper.guard(label, claim.into_lease(), grant) else {
            self.keeper.count_failed();
            return Ok(None);
        };
        self.count_one_more(stem, u64::MAX);
        Ok(Some(Entry::Admitted(Permit::new(
            self.clone(),
            stem.clone(),
            Some(guard),
        ))))
    }

    fn without_store(self: &Arc<Self>, stem: Arc<str>) -> Entry {
        let limit = self.named.limit.capacity();
        let (room, basis) = match self.on_store_down {
            OnStoreDown::Open => (u64::MAX, Basis::Policy),
            OnStoreDown::Closed => (0, Basis::Policy),
            OnStoreDown::Local { share } => (((limit as f64 * share) as u64).max(1), Basis::Share),
        };
        if self.count_one_more(&stem, room) {
            self.keeper.count_granted();
            return Entry::Admitted(Permit::new(self.clone(), stem, None));
        }
        self.keeper.count_busy();
        let mut decision = Decision::bare(&self.named, false, basis);
        decision.retry_after = Some(Duration::from_secs(1));
        Entry::Full(decision)
    }

    /// Counts one more live permit of this process if there are fewer than `room`, in one step: many ask at once when the store
    /// goes away.
    fn count_one_more(&self, stem: &Arc<str>, room: u64) -> bool {
        let mut live = self.live.lock();
        let here = live.get(stem).copied().unwrap_or(0);
        if here < room {
            live.insert(stem.clone(), here + 1);
        }
        here < room
    }

    /// Counts one live permit less.
    pub(super) fn count_one_less(&self, stem: &Arc<str>) {
        let mut live = self.live.lock();
        if let Some(count) = live.get_mut(stem) {
            *count -= 1;
            if *count == 0 {
                live.remove(stem);
            }
        }
    }
}
