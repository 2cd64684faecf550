//! The limiter: one script, one round trip a call.

use std::{fmt, sync::Arc, time::Duration};

use larder_base::{CacheKey, Clock, WrittenKey};
use larder_store::{Store, StoreError};
use parking_lot::RwLock;
use redis::Value;

use super::{
    Basis, Decision, LimitError, LimiterBuilder, OnStoreDown,
    config::Config,
    held::Asked,
    limits::Named,
    plan::{Plan, Settings},
    together::{self, Mode},
    unavailable::is_away,
};
use crate::{
    figures::Tally,
    metric::{self, limit_series as series},
    names::Namespace,
};

/// Decides how often each subject (a user, an address, a tenant) may do something, for all processes together. A cheap
/// clone.
///
/// Limiters of one namespace share what they count, in whatever process they are; give them the same limits. A subject is
/// whatever can be the key of a cache.
#[derive(Clone, Debug)]
pub struct Limiter {
    pub(super) core: Arc<Core>,
}

pub(super) struct Core {
    pub(super) namespace: Namespace,
    pub(super) store: Store,
    pub(super) clock: Clock,
    /// The limits that the program gave: in force until others are written to the store.
    pub(super) own: Arc<[Named]>,
    pub(super) settings: Settings,
    pub(super) config: Config,
    pub(super) plan: RwLock<Arc<Plan>>,
    pub(super) tally: Arc<Tally>,
}

/// Without the subjects that it holds something of.
impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("namespace", self.namespace.text())
            .field("limits", &self.plan().limits)
            .finish_non_exhaustive()
    }
}

/// For how long a caller is told to stay away who is denied because the store is.
const AWAY: Duration = Duration::from_secs(1);

/// Those who wait for the same room come back up to this share of their wait later, at random, so as not to come all at once.
const LATE: f64 = 0.1;

/// And at most so much later.
const LATE_MAX: Duration = Duration::from_millis(100);

impl Limiter {
    /// Begins one in a namespace (`[a-z0-9_.-]+`): the name of what is limited, such as `api` or `logins`.
    pub fn builder(namespace: &str) -> LimiterBuilder {
        LimiterBuilder::new(namespace)
    }

    pub(super) fn new(namespace: Namespace, store: Store, limits: Arc<[Named]>, settings: Settings) -> Self {
        let (clock, tally) = (
            store.clock().clone(),
            Tally::of("limit", namespace.text(), metric::LIMIT_SERIES),
        );
        let plan = Plan::new(0, limits.clone(), &settings, &clock);
        let config = Config::new(&namespace, settings.refresh);
        let core = Core {
            namespace,
            store,
            clock,
            own: limits,
            settings,
            config,
            plan: RwLock::new(Arc::new(plan)),
            tally,
        };
        Self { core: Arc::new(core) }
    }

    /// Whether `subject` may make one more call; it is charged 1 if so.
    ///
    /// # Errors
    /// [`LimitError::Store`] where the store answered what it never does. A store that is away is no error: the policy
    /// decides.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the answer; the call may have been charged.
    pub async fn check<S>(&self, subject: &S) -> Result<Decision, LimitError>
    where
        S: ToOwned<Owned: CacheKey> + ?Sized,
    {
        self.check_cost(subject, 1).await
    }

    /// As [`check`](Self::check), for a call that costs `cost`, at least 1. All of it is charged, or nothing.
    ///
    /// # Errors
    /// As [`check`](Self::check); [`LimitError::NoCost`] for 0.
    ///
    /// # Cancel safety
    /// As [`check`](Self::check).
    pub async fn check_cost<S>(&self, subject: &S, cost: u64) -> Result<Decision, LimitError>
    where
        S: ToOwned<Owned: CacheKey> + ?Sized,
    {
        self.core.check(&self.core.stem(subject), cost).await
    }

    /// As [`check_cost`](Self::check_cost), for a call that may come more than once: under the same `request` (the id of a
    /// message, an idempotency key) it is charged once, for as long as that charge lasts.
    ///
    /// It always asks the store.
    ///
    /// # Errors
    /// As [`check_cost`](Self::check_cost).
    ///
    /// # Cancel safety
    /// As [`check`](Self::check), and the same request may simply be made again.
    pub async fn check_once<S>(&self, subject: &S, cost: u64, request: &str) -> Result<Decision, LimitError>
    where
        S: ToOwned<Owned: CacheKey> + ?Sized,
    {
        let written = WrittenKey::of(&request.to_owned());
        // A brace would let a request be named so that its key is another subject's.
        let request = written.as_str().replace('}', "%7D");
        self.core
            .ask_store(&self.core.stem(subject), cost, Some(&request))
            .await
    }

    /// Waits until `subject` may make a call that costs `cost`, for `deadline` at most, and charges it.
    ///
    /// Waiters are not served in order: each comes back when the store said that there is room, and may find that another
    /// took it.
    ///
    /// # Errors
    /// As [`check_cost`](Self::check_cost); [`LimitError::TooLate`] as soon as it is clear that there is no room before the
    /// deadline, [`LimitError::Never`] for more than there ever is.
    ///
    /// # Cancel safety
    /// As [`check`](Self::check).
    pub async fn acquire<S>(&self, subject: &S, cost: u64, deadline: Duration) -> Result<Decision, LimitError>
    where
        S: ToOwned<Owned: CacheKey> + ?Sized,
    {
        let (stem, core) = (self.core.stem(subject), &self.core);
        let until = core.clock.monotonic().saturating_add(deadline);
        loop {
            let decision = core.check(&stem, cost).await?;
            if decision.allowed {
                return Ok(decision);
            }
            let limit = decision.limit;
            let Some(wait) = decision.retry_after else {
                return Err(LimitError::Never { limit, cost });
            };
            let left = until.saturating_sub(core.clock.monotonic());
            if wait > left {
                return Err(LimitError::TooLate {
                    limit,
                    retry_after: wait,
                    deadline,
                });
            }
            core.clock.sleep((wait + core.late(wait)).min(left)).await;
        }
    }

    /// What a call that costs 1 would be told, `remaining` without it. Nothing is charged.
    ///
    /// # Errors
    /// [`LimitError::Store`] if the store does not answer.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the answer.
    pub async fn peek<S>(&self, subject: &S) -> Result<Decision, LimitError>
    where
        S: ToOwned<Owned: CacheKey> + ?Sized,
    {
        let (plan, stem) = (self.core.plan(), self.core.stem(subject));
        let call = together::call(Mode::Peek, &stem, &plan.limits, 1, None);
        let reply = self.core.call_beside_look(&call).await?;
        let mut decision = Decision::read(&plan.limits, &reply, call.script().name())?;
        decision.remaining += u64::from(decision.allowed);
        Ok(decision)
    }

    /// Forgets what `subject` was charged, though not which requests [`check_once`](Self::check_once) has seen. Other processes may know of a denial for as long as
    /// [`remember_denials`](LimiterBuilder::remember_denials) says, and hold permits that they borrowed.
    ///
    /// # Errors
    /// [`LimitError::Store`] if the store does not answer; do it again, which is as good as once.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the answer; it may be done.
    pub async fn reset<S>(&self, subject: &S) -> Result<(), LimitError>
    where
        S: ToOwned<Owned: CacheKey> + ?Sized,
    {
        let (plan, stem) = (self.core.plan(), self.core.stem(subject));
        let mut unlink = redis::cmd("UNLINK");
        plan.limits
            .iter()
            .for_each(|named| _ = unlink.arg(format!("{stem}:{}", named.name)));
        self.core.store.run(&unlink).await?;
        if let Some(held) = &plan.held {
            held.forget(&stem);
        }
        Ok(())
    }
}

impl Core {
    fn stem<S>(&self, subject: &S) -> String
    where
        S: ToOwned<Owned: CacheKey> + ?Sized,
    {
        self.namespace.stem("limit", &subject.to_owned())
    }

    pub(super) fn plan(&self) -> Arc<Plan> {
        self.plan.read().clone()
    }

    async fn check(&self, stem: &str, cost: u64) -> Result<Decision, LimitError> {
        let plan = self.plan();
        let now = self.clock.monotonic();
        let held = plan.held.as_ref().filter(|_| cost > 0);
        if let Some(decision) = held.and_then(|held| held.decide(stem, cost, now)) {
            self.tally.count(series::LOCAL);
            self.count(&decision);
            return Ok(decision);
        }
        self.ask_store(stem, cost, None).await
    }

    /// Asks the store, or the policy if it is away.
    async fn ask_store(&self, stem: &str, cost: u64, request: Option<&str>) -> Result<Decision, LimitError> {
        if cost == 0 {
            return Err(LimitError::NoCost);
        }
        let asked = match self.look_first().await {
            Ok(()) => self.ask(&self.plan(), stem, cost, request).await,
            Err(error) => Err(error),
        };
        let decision = match asked {
            Ok(decision) => decision,
            Err(error) if is_away(&error) => {
                self.tally.count(series::FAILED);
                self.without_store(stem, cost)
            }
            Err(error) => {
                self.tally.count(series::FAILED);
                return Err(error.into());
            }
        };
        self.count(&decision);
        Ok(decision)
    }

    /// Asks for a batch where that is wanted, and for the call alone if there is no room for one.
    async fn ask(&self, plan: &Plan, stem: &str, cost: u64, request: Option<&str>) -> Result<Decision, StoreError> {
        let batch = match &plan.held {
            Some(held) if request.is_none() => held.ask_for(stem, cost, self.clock.monotonic()),
            _ => cost,
        };
        let decision = self.ask_for(plan, stem, cost, batch, request).await?;
        if decision.allowed || batch == cost {
            return Ok(decision);
        }
        self.ask_for(plan, stem, cost, cost, request).await
    }

    async fn ask_for(
        &self,
        plan: &Plan,
        stem: &str,
        cost: u64,
        batch: u64,
        request: Option<&str>,
    ) -> Result<Decision, StoreError> {
        let most = plan.limits.iter().map(|named| named.limit.capacity()).max();
        // One more than there ever is says as much as any number beyond, and stays exact in the script.
        let sent_cost = batch.min(most.unwrap_or(0) + 1);
        let call = together::call(Mode::Check, stem, &plan.limits, sent_cost, request);
        let sent = self.clock.monotonic();
        let reply = self.call_beside_look(&call).await?;
        let decision = Decision::read(&plan.limits, &reply, call.script().name())?;
        let answered = self.clock.monotonic();
        // A repeated request is told that it is allowed, and says nothing of others.
        if let Some(held) = plan.held.as_ref().filter(|_| request.is_none()) {
            held.learn(stem, cost, batch, &decision, Asked { sent, answered });
        }
        Ok(decision)
    }

    fn without_store(&self, stem: &str, cost: u64) -> Decision {
        let plan = self.plan();
        if let Some(local) = &plan.local {
            return local.decide(stem, cost);
        }
        let allowed = self.settings.on_store_down == OnStoreDown::Open;
        let mut decision = Decision::bare(&plan.limits[0], allowed, Basis::Policy);
        if !allowed {
            decision.retry_after = Some(AWAY);
        }
        decision
    }

    /// Runs `call`; where a look is due, both in one round trip.
    async fn call_beside_look(&self, call: &larder_store::ScriptCall) -> Result<Value, StoreError> {
        if !self.config.is_due(&self.clock) {
            return self.store.call(call).await;
        }
        let sent = self.clock.monotonic();
        let mut replies = self.store.call_many(&[call.clone(), self.config.look()]).await;
        if let Some(Ok(looked)) = replies.pop() {
            self.learn(&looked, sent);
        }
        replies.swap_remove(0)
    }

    /// How much later than told a waiter comes back.
    fn late(&self, wait: Duration) -> Duration {
        let share = self.store.random().unit() * LATE;
        wait.mul_f64(share).min(LATE_MAX)
    }

    fn count(&self, decision: &Decision) {
        let outcome = if decision.allowed {
            series::ALLOWED
        } else {
            series::DENIED
        };
        self.tally.count(outcome);
    }
}
