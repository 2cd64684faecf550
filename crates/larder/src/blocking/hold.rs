//! A writer's hold.

use std::{fmt, sync::Arc, time::Duration};

use larder_base::CacheKey;
use serde::{Serialize, de::DeserializeOwned};

use super::{ask, on::On};
use crate::{BoxError, Committed, Error};

/// [`Hold`](crate::Hold), blocking: a key held for a commit. Dropped without one, it ends in the background.
#[must_use = "a hold that is dropped ends: call `commit`"]
pub struct Hold<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    pub(super) on: On<crate::Hold<K, V>>,
}

impl<K, V> fmt::Debug for Hold<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.on, f)
    }
}

impl<K, V> Hold<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// For how long the hold lasts by itself.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.on.remaining()
    }

    /// Runs `commit` on this thread, then ends the hold.
    ///
    /// # Errors
    /// As [the async method](crate::Hold::commit).
    #[track_caller]
    pub fn commit<T, E>(self, commit: impl FnOnce() -> Result<T, E>) -> Result<Committed<T>, Error>
    where
        T: Send + 'static,
        E: Into<BoxError>,
    {
        let (hold, runtime) = self.on.take();
        ask::answering(&runtime, |ask| hold.commit(ask.ask(())), once(commit))
    }

    /// As [`commit`](Self::commit), for a commit that returns the new value.
    ///
    /// # Errors
    /// As [the async method](crate::Hold::commit_value).
    #[track_caller]
    pub fn commit_value<E>(self, commit: impl FnOnce() -> Result<V, E>) -> Result<Committed<Arc<V>>, Error>
    where
        E: Into<BoxError>,
    {
        let (hold, runtime) = self.on.take();
        ask::answering(&runtime, |ask| hold.commit_value(ask.ask(())), once(commit))
    }
}

fn once<T, E: Into<BoxError>>(commit: impl FnOnce() -> Result<T, E>) -> impl FnMut(()) -> Result<T, BoxError> {
    let mut commit = Some(commit);
    move |()| (commit.take().expect("a commit runs once"))().map_err(Into::into)
}
