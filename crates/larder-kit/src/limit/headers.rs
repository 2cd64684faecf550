//! A decision as the values of HTTP headers.

use std::time::Duration;

use super::{Basis, Decision};

/// The values of the headers in which HTTP services tell of limits: `RateLimit-Limit`, `RateLimit-Remaining`,
/// `RateLimit-Reset` and, for a denied call, `Retry-After`; whole seconds, rounded up.
///
/// What is not known is `None`, and left out by [`pairs`](Self::pairs): where the store was away ([`Basis::Policy`],
/// [`Basis::Share`]), nobody knows what is left.
///
/// ```
/// # use larder_kit::limit::{FixedWindow, Limiter, OnStoreDown};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = larder_store::Store::open("embedded:").await?;
/// # let api = Limiter::builder("api").store(&store).limit(FixedWindow::per_day(1)).on_store_down(OnStoreDown::Open).build()?;
/// api.check("ada").await?;
/// let denied = api.check("ada").await?;
/// let headers = denied.headers();
/// assert_eq!((headers.limit, headers.remaining), (Some(1), Some(0)));
/// for (name, value) in headers.pairs() {
///     println!("{name}: {value}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateHeaders {
    /// `RateLimit-Limit`; `None` if the store was away.
    pub limit: Option<u64>,
    /// `RateLimit-Remaining`; `None` if the store was away.
    pub remaining: Option<u64>,
    /// `RateLimit-Reset`, in seconds from now; `None` if the store was away.
    pub reset: Option<u64>,
    /// `Retry-After`, in seconds from now; `None` for a call that was admitted, and for one that never is.
    pub retry_after: Option<u64>,
}

impl RateHeaders {
    pub(super) fn of(decision: &Decision) -> Self {
        let wait = decision.retry_after.filter(|_| !decision.allowed);
        let is_known = !matches!(decision.basis, Basis::Policy | Basis::Share);
        Self {
            limit: is_known.then_some(decision.capacity),
            remaining: is_known.then_some(decision.remaining),
            reset: is_known.then(|| seconds(decision.reset_after)),
            retry_after: wait.map(seconds),
        }
    }

    /// Names and values, as they are written, of those that are known.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let headers = [
            ("RateLimit-Limit", self.limit),
            ("RateLimit-Remaining", self.remaining),
            ("RateLimit-Reset", self.reset),
            ("Retry-After", self.retry_after),
        ];
        let known = |(name, value): (&'static str, Option<u64>)| Some((name, value?));
        headers.into_iter().filter_map(known)
    }
}

/// Rounded up: who comes back a part of a second early is denied again.
fn seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}
