//! What loads a value for one read: the cache's source, a closure that the cache may keep, or one that borrows.
//!
//! The first two run on a task of the core, so that nobody has to wait for them: a cancelled caller cancels nothing,
//! and a refresh goes on behind an answer. One that borrows from its caller cannot outlive the caller's future.

use std::{error::Error as StdError, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use larder_base::{CacheKey, KeyLabel};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error, ErrorKind,
    context::{LoadContext, Loaded},
    core::Core,
    found::{Lookup, Outcome},
    load::Job,
    loading::Full,
    source::{BoxError, SharedSource},
    stats::Count,
};

/// What loads a value for one read.
pub(crate) trait Loader<K: CacheKey, V: Send + Sync + 'static>: Send + Sized {
    /// The loader for one lead; a source can load again, a closure cannot.
    fn take(slot: &mut Option<Self>) -> Option<Self>;

    /// Loads.
    fn load(self, key: &K, context: LoadContext<V>) -> impl Future<Output = Result<Loaded<V>, BoxError>> + Send;

    /// Does `job`: in the caller's own future, which has its outcome then, or on a task of the core.
    fn run(self, core: &Arc<Core<K, V>>, job: Job<K, V>) -> impl Future<Output = Option<Outcome<V>>> + Send;

    /// Does a job that refreshes what the caller has already.
    fn refresh(
        self,
        core: &Arc<Core<K, V>>,
        job: Job<K, V>,
        present: Lookup<V>,
    ) -> impl Future<Output = Lookup<V>> + Send;
}

/// The source that the cache reads through.
pub(crate) struct FromSource<K, V>(pub(crate) SharedSource<K, V>);

impl<K, V> Loader<K, V> for FromSource<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    fn take(slot: &mut Option<Self>) -> Option<Self> {
        slot.as_ref().map(|source| Self(source.0.clone()))
    }

    async fn load(self, key: &K, _: LoadContext<V>) -> Result<Loaded<V>, BoxError> {
        catching(self.0.load(key)).await.map(Loaded::from)
    }

    async fn run(self, core: &Arc<Core<K, V>>, job: Job<K, V>) -> Option<Outcome<V>> {
        start("load", core, job, self);
        None
    }

    async fn refresh(self, core: &Arc<Core<K, V>>, job: Job<K, V>, present: Lookup<V>) -> Lookup<V> {
        start("refresh", core, job, self);
        present
    }
}

/// A loader given at the call that the cache may keep.
pub(crate) struct FromOwned<F>(pub(crate) F);

impl<K, V, F, Fut, T, E> Loader<K, V> for FromOwned<F>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
    F: FnOnce(LoadContext<V>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    T: Into<Loaded<V>> + 'static,
    E: Into<BoxError> + 'static,
{
    fn take(slot: &mut Option<Self>) -> Option<Self> {
        slot.take()
    }

    async fn load(self, _: &K, context: LoadContext<V>) -> Result<Loaded<V>, BoxError> {
        catching(async move { (self.0)(context).await.map(Into::into).map_err(Into::into) }).await
    }

    async fn run(self, core: &Arc<Core<K, V>>, job: Job<K, V>) -> Option<Outcome<V>> {
        start("load", core, job, self);
        None
    }

    async fn refresh(self, core: &Arc<Core<K, V>>, job: Job<K, V>, present: Lookup<V>) -> Lookup<V> {
        start("refresh", core, job, self);
        present
    }
}

/// A loader given at the call. It runs in the caller's own future, so it may borrow; if the caller goes away, the next
/// member of the flight loads with its own.
pub(crate) struct FromCall<F>(pub(crate) F);

impl<K, V, F, Fut, T, E> Loader<K, V> for FromCall<F>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
    F: FnOnce(LoadContext<V>) -> Fut + Send,
    Fut: Future<Output = Result<T, E>> + Send,
    T: Into<Loaded<V>>,
    E: Into<BoxError>,
{
    fn take(slot: &mut Option<Self>) -> Option<Self> {
        slot.take()
    }

    async fn load(self, _: &K, context: LoadContext<V>) -> Result<Loaded<V>, BoxError> {
        (self.0)(context).await.map(Into::into).map_err(Into::into)
    }

    async fn run(self, core: &Arc<Core<K, V>>, job: Job<K, V>) -> Option<Outcome<V>> {
        Some(Box::pin(core.clone().load(job, self)).await)
    }

    async fn refresh(self, core: &Arc<Core<K, V>>, job: Job<K, V>, present: Lookup<V>) -> Lookup<V> {
        // A refresh that fails leaves the caller with what it has.
        Box::pin(core.clone().load(job, self)).await.unwrap_or(present)
    }
}

/// Does `job` on a task of the core.
fn start<K, V, L>(name: &'static str, core: &Arc<Core<K, V>>, job: Job<K, V>, loader: L)
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
    L: Loader<K, V> + 'static,
{
    drop(core.tasks.spawn(name, core.clone().load(job, loader)));
}

/// On a task of its own a panic would end the task in silence, and the next member would run into it again.
async fn catching<T>(load: impl Future<Output = Result<T, BoxError>>) -> Result<T, BoxError> {
    match AssertUnwindSafe(load).catch_unwind().await {
        Ok(loaded) => loaded,
        Err(_) => Err(Box::new(Panicked)),
    }
}

/// Stands for a panic of a loader until it becomes [`ErrorKind::LoadPanicked`].
#[derive(Debug, thiserror::Error)]
#[error("the loader panicked")]
struct Panicked;

/// Why a load failed; of one key or of many.
pub(crate) enum LoadError {
    Failed(Arc<dyn StdError + Send + Sync>),
    Timeout(Duration),
    Panicked,
    Overloaded(Full),
}

impl LoadError {
    /// What it counts as.
    pub(crate) const fn count(&self) -> Count {
        match self {
            Self::Failed(_) => Count::LoadErrors,
            Self::Timeout(_) => Count::LoadTimeouts,
            Self::Panicked => Count::LoadPanics,
            Self::Overloaded(_) => Count::LoadsRefused,
        }
    }

    /// What a loader said.
    pub(crate) fn of(error: BoxError) -> Self {
        if error.is::<Panicked>() {
            Self::Panicked
        } else {
            Self::Failed(error.into())
        }
    }

    /// As the callers of `key` see it.
    pub(crate) fn to_error(&self, key: KeyLabel) -> Error {
        match self {
            Self::Timeout(limit) => Error::from(ErrorKind::LoadTimeout { key, limit: *limit }),
            Self::Panicked => Error::from(ErrorKind::LoadPanicked { key }),
            Self::Overloaded(Full { running, waiting }) => Error::from(ErrorKind::Overloaded {
                key,
                running: *running,
                waiting: *waiting,
            }),
            Self::Failed(source) => Error::from(ErrorKind::Load {
                key,
                source: source.clone(),
            }),
        }
    }
}
