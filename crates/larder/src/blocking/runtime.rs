//! The threads behind the blocking face.

use std::{
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak},
    time::Duration,
};

use larder_base::Tasks;
use parking_lot::Mutex;
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::JoinHandle,
};

/// Threads that drive connections and what caches do in the background. One would do; with two, a large value that is decoded on
/// one does not keep the other from hearing of invalidations.
const WORKERS: usize = 2;

/// Threads at most that run owned loaders and other work that blocks: twice the loads that a cache begins at a time. They are
/// started when needed, and end when idle.
const BLOCKING_MAX: usize = 128;

/// How long the last owner waits for the threads to end. Workers end at once; a loader that still runs is left to itself.
const END_WAIT: Duration = Duration::from_secs(1);

/// Long names are cut off at 15 bytes.
const THREAD_NAME: &str = "larder-blocking";

const IN_ASYNC: &str = "larder::blocking was called on a thread that drives async tasks, which would all stand still: use the \
                        async face (`larder::Cache`, `larder::Store`) here, or call from `tokio::task::spawn_blocking`";

/// The runtime of the process, while anyone uses it.
static SHARED: Mutex<Weak<Inner>> = Mutex::new(Weak::new());

/// Threads on which the blocking face lets the async one run. A cheap clone; with the last one, and the last store and cache
/// that use it, the threads end.
///
/// [`Store::open`](super::Store::open) takes the one that the process shares. Own ones are for programs that want more
/// threads, or that have a Tokio runtime already.
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<Inner>,
}

struct Inner {
    /// `None` of a runtime that belongs to someone else.
    own: Option<tokio::runtime::Runtime>,
    handle: Handle,
    tasks: Tasks,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let Some(own) = self.own.take() else { return };
        // Where tasks are driven nobody may wait; neither on a thread of its own.
        if Handle::try_current().is_ok() {
            own.shutdown_background();
        } else {
            own.shutdown_timeout(END_WAIT);
        }
    }
}

impl Runtime {
    /// The runtime that this process shares: made by the first who asks, with two threads.
    ///
    /// # Errors
    /// What the operating system says if it starts no thread.
    pub fn shared() -> io::Result<Self> {
        let mut shared = SHARED.lock();
        if let Some(inner) = shared.upgrade() {
            return Ok(Self { inner });
        }
        let made = Self::with_threads(WORKERS)?;
        *shared = Arc::downgrade(&made.inner);
        Ok(made)
    }

    /// A runtime of its own with so many threads, at least one. Up to 128 more are started for
    /// [owned loaders](super::Cache::get_or_load_owned), as they are needed.
    ///
    /// # Errors
    /// What the operating system says if it starts no thread.
    pub fn with_threads(threads: usize) -> io::Result<Self> {
        let own = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .max_blocking_threads(BLOCKING_MAX)
            .thread_name(THREAD_NAME)
            .enable_all()
            .build()?;
        let handle = own.handle().clone();
        Ok(Self::of(Some(own), handle))
    }

    /// The Tokio runtime that this is called in, which has to outlive all use of it: for programs that are async in one part
    /// and block in another.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    #[must_use]
    pub fn current() -> Self {
        Self::of(None, Handle::current())
    }

    fn of(own: Option<tokio::runtime::Runtime>, handle: Handle) -> Self {
        let tasks = Tasks::new();
        let inner = Inner { own, handle, tasks };
        Self { inner: Arc::new(inner) }
    }

    /// Waits for `future` on this thread, and has this runtime do what it starts: for what has no blocking form here.
    ///
    /// # Panics
    /// On a thread that drives async tasks.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        if Handle::try_current().is_ok() {
            self.refuse_async();
        }
        self.inner.handle.block_on(future)
    }

    /// A thread of `spawn_blocking` may wait, one that drives tasks may not, and nothing but trying tells them apart.
    #[cold]
    #[track_caller]
    fn refuse_async(&self) {
        let may_wait = catch_unwind(AssertUnwindSafe(|| self.inner.handle.block_on(std::future::ready(()))));
        assert!(may_wait.is_ok(), "{IN_ASYNC}");
    }

    /// Runs `work`, which does not wait, where it may start tasks.
    pub(super) fn inside<T>(&self, work: impl FnOnce() -> T) -> T {
        let _inside = self.inner.handle.enter();
        work()
    }

    /// Has a worker go on with `job`.
    pub(super) fn start<T: Send + 'static>(
        &self,
        job: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<Option<T>> {
        self.inside(|| self.inner.tasks.spawn("blocking call", job))
    }
}

/// Runs a closure of the user's that a future calls, on the thread that waits for it: as outside, so that it may block, too.
pub(super) fn outside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        // One that belongs to someone else, on one thread: of that nobody can leave a future.
        RuntimeFlavor::CurrentThread => work(),
        _ => tokio::task::block_in_place(work),
    }
}
