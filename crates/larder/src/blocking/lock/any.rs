//! Locks of others.

use std::{fmt, sync::Arc, time::Duration};

use larder_base::Clock;

use super::{Guard, Lock, contract::locks};
use crate::{
    blocking::{Runtime, on::On},
    lock::LockError,
};

/// The blocking form of whatever is a [`larder::lock::Lock`](crate::lock::Lock): one on PostgreSQL, or a
/// `dyn Lock<InvoiceId>`. A cheap clone.
///
/// ```
/// use std::sync::Arc;
///
/// use larder::{blocking::{Runtime, Store, lock::{AnyLock, Lock as _}}, lock};
///
/// # fn main() -> Result<(), larder::BoxError> {
/// # let store = Store::open("embedded:")?;
/// # let store_lock = lock::StoreLock::builder("invoices").store(store.as_async()).build()?;
/// let runtime = Runtime::shared()?;
/// // Such as a `PgLock`, whose pool was made by `runtime.block_on(..)`.
/// let invoices: Arc<dyn lock::Lock<u64>> = Arc::new(store_lock);
/// let invoices = AnyLock::wrap(invoices, &runtime);
/// let guard = invoices.acquire(&42)?;
/// assert!(guard.release()?.was_held());
/// # Ok(())
/// # }
/// ```
pub struct AnyLock<L: ?Sized> {
    on: On<Arc<L>>,
}

impl<L: ?Sized> AnyLock<L> {
    /// The blocking face of `lock`, whose tasks live on `runtime`.
    #[must_use]
    pub fn wrap(lock: Arc<L>, runtime: &Runtime) -> Self {
        let on = On::new(lock, runtime.clone());
        Self { on }
    }

    /// The async face, for futures that the runtime runs.
    #[must_use]
    pub fn as_async(&self) -> &L {
        &self.on
    }

    fn granted(&self, guard: crate::lock::Guard) -> Guard {
        Guard::of(self.on.beside(guard.into()), &Clock::system())
    }
}

impl<L: ?Sized> Clone for AnyLock<L> {
    fn clone(&self) -> Self {
        let on = self.on.clone();
        Self { on }
    }
}

impl<L: fmt::Debug + ?Sized> fmt::Debug for AnyLock<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self.on, f)
    }
}

locks!([L: crate::lock::Lock<K> + ?Sized] AnyLock<L>);
