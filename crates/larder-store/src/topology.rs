//! The servers behind a store. So far there is always one.

use std::sync::Arc;

use crate::{Generation, Store, StoreError};

/// A server behind a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Node {
    /// Its address, without credentials.
    pub address: Arc<str>,
    /// Whether it takes writes.
    pub is_primary: bool,
    /// Which run of it we are connected to; `None` while we are not.
    pub generation: Option<Generation>,
}

impl Store {
    /// The servers behind this store.
    #[must_use]
    pub fn topology(&self) -> Vec<Node> {
        vec![self.node()]
    }

    /// Which run of which server the store is connected to; `None` while it is not, or for an engine in this process,
    /// which lives as long as its data.
    #[must_use]
    pub fn generation(&self) -> Option<Generation> {
        self.node().generation
    }

    /// Runs `work` once per primary, one after another, each time with a store that talks to that primary alone: for
    /// commands that one node answers for itself, such as `SCAN` and `DBSIZE`.
    ///
    /// # Errors
    /// The first error of `work`, which ends it.
    pub async fn each_primary<T, E>(&self, mut work: impl AsyncFnMut(Self) -> Result<T, E>) -> Result<Vec<T>, E>
    where
        E: From<StoreError>,
    {
        Ok(vec![work(self.clone()).await?])
    }
}
