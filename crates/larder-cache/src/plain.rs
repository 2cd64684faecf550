//! Values as everybody reads them: JSON under the bare key, `user:42`.
//!
//! For keys that are shared with services in other languages, or looked at in redis-cli. There is no header, so there is
//! nothing in it to be right by, and this is what is given up:
//!
//! - **no lease**: callers who miss at once all load;
//! - **no protection from stale fills**: a load that began before [`remove`](Plain::remove) may store the old value after
//!   it (a load never replaces a value that somebody put meanwhile);
//! - **no near tier, tags, grace, negative entries or `clear`**: other writers know nothing of them;
//! - **no checksum and no schema**: what is there is taken as it decodes.
//!
//! Where no other program reads the key, a [`Cache`](crate::Cache) gives all of that.

use std::{future::Future, marker::PhantomData, sync::Arc, time::Duration};

use larder_base::{
    CacheKey, KeyLabel, WrittenKey,
    codec::{VALUE_MAX, read_json, write_json},
};
use larder_store::{Store, StoreError};
use redis::AsyncCommands as _;
use serde::{Serialize, de::DeserializeOwned};

use crate::{BoxError, Error, ErrorKind, Ttl, settings::millis};

/// Opens plain views on a store.
pub trait PlainStore {
    /// The values under `name:`, as JSON.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// use larder_cache::PlainStore;
    /// use larder_store::Store;
    ///
    /// let store = Store::open("embedded:").await?;
    /// let names = store.plain::<String>("name");
    /// names.put(&42, &"Ada".to_owned(), Duration::from_secs(60)).await?;
    /// assert_eq!(names.get(&42).await?.as_deref(), Some("Ada"));
    ///
    /// let raw: String = redis::cmd("GET").arg("name:42").query_async(&mut store.clone()).await?;
    /// assert_eq!(raw, "\"Ada\"");
    /// # Ok(())
    /// # }
    /// ```
    fn plain<V>(&self, name: &str) -> Plain<V>;
}

impl PlainStore for Store {
    fn plain<V>(&self, name: &str) -> Plain<V> {
        Plain {
            store: self.clone(),
            name: name.into(),
            value: PhantomData,
        }
    }
}

/// A plain view: JSON under `name:key`. A cheap clone.
///
/// # Cancel safety
/// Dropping the future of a write abandons its answer, not the write: it may have been done.
#[derive(Debug)]
pub struct Plain<V> {
    store: Store,
    name: Arc<str>,
    value: PhantomData<fn() -> V>,
}

// Derived, it would ask for `V: Clone`.
impl<V> Clone for Plain<V> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            name: self.name.clone(),
            value: PhantomData,
        }
    }
}

impl<V: Serialize + DeserializeOwned + Send + Sync> Plain<V> {
    /// The value of `key`; `None` if it is absent or expired.
    ///
    /// # Errors
    /// [`ErrorKind::Store`]; [`ErrorKind::Decode`] if what is there is not JSON of a `V`: it is somebody else's, and stays.
    pub async fn get<K: CacheKey>(&self, key: &K) -> Result<Option<V>, Error> {
        let name = self.name(key);
        let bytes: Option<Vec<u8>> = self
            .store
            .clone()
            .get(&name)
            .await
            .map_err(|error| failed("GET", error))?;
        bytes.map(|bytes| self.decode(key, &bytes)).transpose()
    }

    /// The values of `keys`, in their order, in one round trip.
    ///
    /// # Errors
    /// As for [`get`](Self::get), for the first that does not decode.
    pub async fn get_many<K: CacheKey>(&self, keys: &[K]) -> Result<Vec<Option<V>>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<String> = keys.iter().map(|key| self.name(key)).collect();
        let found: Vec<Option<Vec<u8>>> = self
            .store
            .clone()
            .mget(&names)
            .await
            .map_err(|error| failed("MGET", error))?;
        let decode = |(key, bytes): (&K, Option<Vec<u8>>)| bytes.map(|bytes| self.decode(key, &bytes)).transpose();
        keys.iter().zip(found).map(decode).collect()
    }

    /// Stores `value` for `ttl`, whatever was there: the last writer wins.
    ///
    /// # Errors
    /// [`ErrorKind::Encode`] if it does not encode or is over 8 MiB; [`ErrorKind::Store`].
    pub async fn put<K: CacheKey>(&self, key: &K, value: &V, ttl: impl Into<Ttl> + Send) -> Result<(), Error> {
        self.set(key, value, ttl.into(), false).await.map(|_| ())
    }

    /// Stores `value` for `ttl` unless there is one; whether it was stored.
    ///
    /// # Errors
    /// As for [`put`](Self::put).
    pub async fn put_if_absent<K: CacheKey>(
        &self,
        key: &K,
        value: &V,
        ttl: impl Into<Ttl> + Send,
    ) -> Result<bool, Error> {
        self.set(key, value, ttl.into(), true).await
    }

    /// The value of `key`, or what `load` gives, stored for `ttl` unless somebody put a value meanwhile.
    ///
    /// # Errors
    /// As for [`get`](Self::get) and [`put`](Self::put); [`ErrorKind::Load`] if `load` fails.
    pub async fn get_or_load<K, F, L, E>(&self, key: &K, ttl: impl Into<Ttl> + Send, load: L) -> Result<V, Error>
    where
        K: CacheKey,
        L: FnOnce() -> F + Send,
        F: Future<Output = Result<V, E>> + Send,
        E: Into<BoxError>,
    {
        if let Some(value) = self.get(key).await? {
            return Ok(value);
        }
        let value = load()
            .await
            .map_err(|error| Error::load(self.label(key), error.into()))?;
        self.set(key, &value, ttl.into(), true).await?;
        Ok(value)
    }

    /// Removes `key`; whether it was there.
    ///
    /// # Errors
    /// [`ErrorKind::Store`].
    pub async fn remove<K: CacheKey>(&self, key: &K) -> Result<bool, Error> {
        self.store
            .clone()
            .del(self.name(key))
            .await
            .map_err(|error| failed("DEL", error))
    }

    /// Whether there is a value under `key`.
    ///
    /// # Errors
    /// [`ErrorKind::Store`].
    pub async fn contains<K: CacheKey>(&self, key: &K) -> Result<bool, Error> {
        self.store
            .clone()
            .exists(self.name(key))
            .await
            .map_err(|error| failed("EXISTS", error))
    }

    /// What remains of the time to live of `key`: `None` if it is absent, [`Ttl::never`] if it does not expire.
    ///
    /// # Errors
    /// [`ErrorKind::Store`].
    pub async fn ttl<K: CacheKey>(&self, key: &K) -> Result<Option<Ttl>, Error> {
        let ms: i64 = self
            .store
            .clone()
            .pttl(self.name(key))
            .await
            .map_err(|error| failed("PTTL", error))?;
        Ok(match ms {
            -1 => Some(Ttl::never()),
            ms => u64::try_from(ms).ok().map(|ms| Ttl::of(Duration::from_millis(ms))),
        })
    }

    /// Gives `key` a new time to live; whether it was there.
    ///
    /// # Errors
    /// [`ErrorKind::Store`].
    pub async fn touch<K: CacheKey>(&self, key: &K, ttl: impl Into<Ttl> + Send) -> Result<bool, Error> {
        let (name, ttl) = (self.name(key), ttl.into());
        let mut store = self.store.clone();
        if ttl.is_never() {
            let existed: bool = store.exists(&name).await.map_err(|error| failed("EXISTS", error))?;
            let _had_a_ttl: bool = store.persist(&name).await.map_err(|error| failed("PERSIST", error))?;
            return Ok(existed);
        }
        let ms = i64::try_from(millis(ttl.span())).unwrap_or(i64::MAX);
        store.pexpire(&name, ms).await.map_err(|error| failed("PEXPIRE", error))
    }

    async fn set<K: CacheKey>(&self, key: &K, value: &V, ttl: Ttl, if_absent: bool) -> Result<bool, Error> {
        let bytes = self.encode(key, value)?;
        let mut command = redis::cmd("SET");
        command.arg(self.name(key)).arg(bytes);
        if !ttl.is_never() {
            command.arg("PX").arg(millis(ttl.span()).max(1));
        }
        if if_absent {
            command.arg("NX");
        }
        let stored: Option<String> = command
            .query_async(&mut self.store.clone())
            .await
            .map_err(|error| failed("SET", error))?;
        Ok(stored.is_some())
    }

    fn name<K: CacheKey>(&self, key: &K) -> String {
        format!("{}:{}", self.name, WrittenKey::of(key).as_str())
    }

    fn label<K: CacheKey>(&self, key: &K) -> KeyLabel {
        KeyLabel::new(&self.name, WrittenKey::of(key).as_str())
    }

    fn encode<K: CacheKey>(&self, key: &K, value: &V) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        write_json(value, &mut bytes, VALUE_MAX).map_err(|source| {
            Error::from(ErrorKind::Encode {
                key: self.label(key),
                source,
            })
        })?;
        Ok(bytes)
    }

    fn decode<K: CacheKey>(&self, key: &K, bytes: &[u8]) -> Result<V, Error> {
        read_json(bytes).map_err(|source| {
            Error::from(ErrorKind::Decode {
                key: self.label(key),
                source,
            })
        })
    }
}

fn failed(operation: &'static str, error: redis::RedisError) -> Error {
    Error::from(ErrorKind::Store {
        operation,
        source: Arc::new(StoreError::from(error)),
    })
}
