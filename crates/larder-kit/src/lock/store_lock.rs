//! Mutual exclusion, by key.

use std::sync::Arc;

use larder_store::Script;

use super::{
    Fence, Guard, LockBuilder, LockError, OwnerToken,
    kind::{Hold, Kind, Step},
    leases::{Leases, Own},
};
use crate::ToolKey;

static ACQUIRE: Script = Script::new("lock_acquire", include_str!("acquire.lua"));
pub(super) static EXTEND: Script = Script::new("lock_extend", include_str!("extend.lua"));
pub(super) static RELEASE: Script = Script::new("lock_release", include_str!("release.lua"));
static ADOPT: Script = Script::new("lock_adopt", include_str!("adopt.lua"));
static RAISE: Script = Script::new("lock_raise", include_str!("raise.lua"));

/// The fence of whoever held it last; who holds it has the stem alone.
pub(super) const FENCE: &str = ":fence";
pub(super) const HOLDER: &str = "";

static LOCK: Kind = Kind {
    tool: "lock",
    acquire: Step {
        script: &ACQUIRE,
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
        adopt: Some(Step {
            script: &ADOPT,
            parts: &[HOLDER, FENCE],
        }),
    },
};

static RAISE_FENCE: Step = Step {
    script: &RAISE,
    parts: &[FENCE],
};

/// Scripts count in floats, which are exact up to 2^53: half of it, so that all that follow are, too. In microseconds it is the year 2112.
const FENCE_MAX: Fence = Fence::new(1 << 52);

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

    /// Has every later grant on `key` come with a fence above `seen`, and says which is the highest now.
    ///
    /// Fences grow also where the store has lost its data, by its clock. Only if that is behind as well, they go back; and what
    /// checks fences turns new holders away, until the clock has caught up. Tell the store then what was seen there, such as
    /// in the error of a fenced transaction, and take the lock anew. Once more does no harm, nor does a number from long ago.
    ///
    /// # Errors
    /// [`LockError::Config`] above 2^52, which is a time in the year 2112; [`LockError::Store`].
    ///
    /// # Cancel safety
    /// Dropped, it is done or not.
    pub async fn raise_fence<K: ToolKey + ?Sized>(&self, key: &K, seen: Fence) -> Result<Fence, LockError> {
        if seen > FENCE_MAX {
            return Err(LockError::Config(format!(
                "no store draws a fence as high as {seen}: it is at most {FENCE_MAX}"
            )));
        }
        self.0.raise(&self.0.place(key), &RAISE_FENCE, seen).await
    }
}
