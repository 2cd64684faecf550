//! So many holders at a time, by key.

use std::sync::Arc;

use larder_store::Script;

use super::{
    LockBuilder, LockError,
    kind::{Kind, Step},
    leases::{Leases, Own},
    member::member,
};

static ACQUIRE: Script = Script::new("semaphore_acquire", include_str!("semaphore_acquire.lua"));

static PERMITS: Kind = Kind {
    tool: "semaphore",
    acquire: Step {
        script: &ACQUIRE,
        parts: &[""],
    },
    hold: member(&[""]),
};

/// At most so many holders per key, across processes. A cheap clone.
///
/// It is a [`Lock`](super::Lock), whose guards are permits: each is a lease of its own, with its own watchdog and its own loss,
/// and without a [fence](super::Fence), for none of them is alone.
///
/// Take it where work has to be done and can wait for its turn: `acquire` waits, and a store that is away is an error. To answer
/// a caller at once, with how long to stay away, and by a policy where the store is away, take a
/// [`ConcurrencyLimit`](crate::limit::ConcurrencyLimit): the same leases, behind the face of a limit.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use larder_kit::lock::{Lock, Semaphore};
///
/// let store = larder_store::Store::open("embedded:").await?;
/// let exports = Semaphore::builder("exports", 2).store(&store).build()?;
///
/// let (first, _second) = (exports.acquire("eu").await?, exports.acquire("eu").await?);
/// assert!(exports.try_acquire("eu").await?.is_none(), "both permits are taken");
/// first.release().await?;
/// assert!(exports.try_acquire("eu").await?.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Semaphore(pub(super) Arc<Leases>);

impl Semaphore {
    /// Builds the semaphores of `namespace` (`[a-z0-9_.-]+`), of `permits` each; at least one. In the store they are
    /// `semaphore:{exports:eu}`.
    ///
    /// Who asks says how many there may be: while processes disagree, each grants up to its own number.
    pub fn builder(namespace: impl Into<String>, permits: u32) -> LockBuilder<Self> {
        LockBuilder::new(namespace, move |settings| {
            if permits == 0 {
                return Err(LockError::Config("a semaphore has at least one permit".into()));
            }
            let own = Own::Always(permits.to_string().into());
            Leases::new(settings, &PERMITS, own).map(Self)
        })
    }
}
