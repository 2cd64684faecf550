//! Mutual exclusion, by key.

use std::sync::Arc;

use larder_store::Script;

use super::{
    Guard, LockBuilder, LockError, OwnerToken,
    kind::{Kind, Step},
    leases::{Leases, Own},
};
use crate::ToolKey;

static ACQUIRE: Script = Script::new("lock_acquire", include_str!("acquire.lua"));
pub(super) static EXTEND: Script = Script::new("lock_extend", include_str!("extend.lua"));
pub(super) static RELEASE: Script = Script::new("lock_release", include_str!("release.lua"));
static ADOPT: Script = Script::new("lock_adopt", include_str!("adopt.lua"));

/// The fence of whoever held it last; who holds it has the stem alone.
pub(super) const FENCE: &str = ":fence";
pub(super) const HOLDER: &str = "";

static LOCK: Kind = Kind {
    tool: "lock",
    acquire: Step {
        script: &ACQUIRE,
        parts: &[HOLDER, FENCE],
    },
    extend: Step {
        script: &EXTEND,
        parts: &[HOLDER, FENCE],
    },
    release: Step {
        script: &RELEASE,
        parts: &[HOLDER],
    },
    adopt: Some(Step {
        script: &ADOPT,
        parts: &[HOLDER, FENCE],
    }),
};

/// A lock per key, in a store: one holder at a time, across threads, tasks and processes. A cheap clone.
///
/// Each grant is a lease with a [fence](super::Fence), which its [`Guard`] renews. See the [module](super) for what that promises.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use larder_kit::lock::{Lock, StoreLock};
///
/// let store = larder_store::Store::open("embedded:").await?; // or redis://localhost
/// let invoices = StoreLock::builder("invoices").store(&store).ttl(Duration::from_secs(10)).build()?;
///
/// let guard = invoices.acquire(&42).await?;
/// assert!(invoices.try_acquire(&42).await?.is_none(), "one holder at a time");
/// guard.release().await?;
/// assert!(invoices.try_acquire(&42).await?.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StoreLock(pub(super) Arc<Leases>);

impl StoreLock {
    /// Builds the locks of `namespace` (`[a-z0-9_.-]+`), such as all those on invoices. In the store they are `lock:{invoices:42}`.
    pub fn builder(namespace: impl Into<String>) -> LockBuilder<Self> {
        LockBuilder::new(namespace, |settings| {
            Leases::new(settings, &LOCK, Own::Nothing).map(Self)
        })
    }

    /// Takes over the lock on `key` that another process [handed on](Guard::into_token), under a token of its own and with its
    /// full `ttl`; the fence stays. A token can be adopted once.
    ///
    /// # Errors
    /// [`LockError::NotHeld`]; [`LockError::Store`]; [`LockError::TooSlow`].
    ///
    /// # Cancel safety
    /// What was taken over without being seen is given back in the background.
    pub async fn adopt<K: ToolKey + ?Sized>(&self, key: &K, token: OwnerToken) -> Result<Guard, LockError> {
        let place = self.0.place(key);
        self.0.adopt(place, &token).await
    }
}
