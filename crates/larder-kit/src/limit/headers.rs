//! A decision as the values of HTTP headers.

use std::time::Duration;

use super::Decision;

/// The values of the headers in which HTTP services tell of limits: `RateLimit-Limit`, `RateLimit-Remaining`,
/// `RateLimit-Reset` and, for a denied call, `Retry-After`; whole seconds, rounded up.
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
/// assert_eq!((headers.limit, headers.remaining), (1, 0));
/// for (name, value) in headers.pairs() {
///     println!("{name}: {value}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateHeaders {
    /// `RateLimit-Limit`.
    pub limit: u64,
    /// `RateLimit-Remaining`.
    pub remaining: u64,
    /// `RateLimit-Reset`, in seconds from now.
    pub reset: u64,
    /// `Retry-After`, in seconds from now; `None` for a call that was admitted, and for one that never is.
    pub retry_after: Option<u64>,
}

impl RateHeaders {
    pub(super) fn of(decision: &Decision) -> Self {
        let wait = decision.retry_after.filter(|_| !decision.allowed);
        Self {
            limit: decision.capacity,
            remaining: decision.remaining,
            reset: seconds(decision.reset_after),
            retry_after: wait.map(seconds),
        }
    }

    /// Names and values, as they are written.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let always = [
            ("RateLimit-Limit", self.limit),
            ("RateLimit-Remaining", self.remaining),
            ("RateLimit-Reset", self.reset),
        ];
        let denied = self.retry_after.map(|seconds| ("Retry-After", seconds));
        always.into_iter().chain(denied)
    }
}

/// Rounded up: who comes back a part of a second early is denied again.
fn seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}
