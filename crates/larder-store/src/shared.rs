//! One store per URL and process.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Weak},
};

use parking_lot::Mutex;

use crate::{Store, StoreError, store::Inner};

/// By URL, secrets included: stores for two users are two stores. The map never leaves this file.
static STORES: LazyLock<Mutex<HashMap<String, Weak<Inner>>>> = LazyLock::new(Mutex::default);

impl Store {
    /// The store of this process for `url`: opened by the first caller, shared by all others for as long as anyone holds it.
    ///
    /// Two spellings of one address are two stores. `embedded:` is one engine for the whole process here, where
    /// [`open`](Self::open) makes a new one each time.
    ///
    /// # Errors
    /// As [`open`](Self::open). A store that could not be reached stays the shared one, and goes on trying.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the wait.
    pub async fn shared(url: &str) -> Result<Self, StoreError> {
        let store = Self::shared_lazy(url)?;
        store.ping().await?;
        Ok(store)
    }

    fn shared_lazy(url: &str) -> Result<Self, StoreError> {
        let mut stores = STORES.lock();
        if let Some(inner) = stores.get(url).and_then(Weak::upgrade) {
            return Ok(Self::from_inner(inner));
        }
        stores.retain(|_, store| store.strong_count() > 0);
        let store = Self::lazy(url)?;
        stores.insert(url.to_owned(), Arc::downgrade(&store.inner));
        Ok(store)
    }
}
