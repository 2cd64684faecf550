//! Where values go: the database behind a cache that writes.

use std::{error::Error as StdError, fmt, future::Future, pin::Pin, sync::Arc};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::source::BoxError;

/// What a cache writes to: a table, a service, anything that keeps values by key.
///
/// `Ok` means that the change is committed and that a [`load`](crate::Source::load) which begins afterwards sees it. Of a
/// change that failed, [`SinkError`] says whether it may have been committed all the same.
///
/// A [`Source`](crate::Source) that can also write says so with [`sink`](crate::Source::sink); a sink of its own is set with
/// [`CacheBuilder::sink`](crate::CacheBuilder::sink).
///
/// ```
/// use std::{collections::HashMap, sync::Mutex};
///
/// use larder_cache::{Sink, SinkError};
///
/// struct Shelf(Mutex<HashMap<u64, String>>);
///
/// impl Sink<u64, String> for Shelf {
///     async fn put(&self, key: &u64, value: &String) -> Result<(), SinkError> {
///         self.0.lock().expect("nobody panics with it").insert(*key, value.clone());
///         Ok(())
///     }
///
///     async fn remove(&self, key: &u64) -> Result<bool, SinkError> {
///         Ok(self.0.lock().expect("nobody panics with it").remove(key).is_some())
///     }
/// }
/// ```
pub trait Sink<K, V>: Send + Sync + 'static
where
    K: Clone + Send + Sync,
    V: Send + Sync,
{
    /// Makes `value` the value of `key`, whether there was one or not.
    ///
    /// # Errors
    /// Whatever kept it from being committed.
    fn put(&self, key: &K, value: &V) -> impl Future<Output = Result<(), SinkError>> + Send;

    /// Removes the value of `key`; whether there was one.
    ///
    /// # Errors
    /// Whatever kept it from being committed.
    fn remove(&self, key: &K) -> impl Future<Output = Result<bool, SinkError>> + Send;

    /// Puts many values, each key at most once. By default one [`put`](Self::put) after another; a sink that can commit them
    /// together should.
    ///
    /// # Errors
    /// As for [`put`](Self::put); some may then have been committed and some not.
    fn put_many(&self, values: &[(K, V)]) -> impl Future<Output = Result<(), SinkError>> + Send {
        async move {
            for (key, value) in values {
                self.put(key, value).await?;
            }
            Ok(())
        }
    }

    /// Removes many values; how many there were. By default one [`remove`](Self::remove) after another.
    ///
    /// # Errors
    /// As for [`remove`](Self::remove); some may then have been removed and some not.
    fn remove_many(&self, keys: &[K]) -> impl Future<Output = Result<u64, SinkError>> + Send {
        async move {
            let mut removed = 0;
            for key in keys {
                removed += u64::from(self.remove(key).await?);
            }
            Ok(removed)
        }
    }

    /// Changes only the fields that `patch` names and returns the whole value after it; `None` if there is no value to change.
    ///
    /// The change is one atomic step of the sink: two patches of different fields at once both stand.
    ///
    /// # Errors
    /// Whatever kept it from being committed; by default [`SinkErrorKind::Unsupported`].
    fn update(&self, key: &K, patch: &Patch) -> impl Future<Output = Result<Option<V>, SinkError>> + Send {
        let _ = (key, patch);
        async { Err(SinkError::unsupported("changes no single fields; put the whole value")) }
    }

    /// Keeps a value whose key the sink draws; that key.
    ///
    /// # Errors
    /// Whatever kept it from being committed; by default [`SinkErrorKind::Unsupported`].
    fn insert(&self, value: &V) -> impl Future<Output = Result<K, SinkError>> + Send {
        let _ = value;
        async { Err(SinkError::unsupported("draws no keys; put the value under a key")) }
    }

    /// An epoch for the writes of `namespace`, higher than every one handed out before (write-behind, protocol 2). It also
    /// makes `namespace` the owner of what this sink writes, for epochs of two namespaces cannot be compared.
    ///
    /// # Errors
    /// Whatever kept it from being committed; [`SinkErrorKind::Permanent`] if another namespace is the owner. By default
    /// [`SinkErrorKind::Unsupported`].
    fn claim_epoch(&self, namespace: &str) -> impl Future<Output = Result<u64, SinkError>> + Send {
        let _ = namespace;
        async { Err(SinkError::unsupported("keeps no versions, which write-behind needs")) }
    }

    /// Notes running totals of counters in one transaction, each counter and epoch at most once: see [`Counted`]. Called with
    /// none to learn whether it is offered.
    ///
    /// # Errors
    /// Whatever kept all of them from being committed; by default [`SinkErrorKind::Unsupported`].
    fn count(&self, namespace: &str, counts: &[Counted<K>]) -> impl Future<Output = Result<(), SinkError>> + Send {
        let _ = (namespace, counts);
        async { Err(SinkError::unsupported("keeps no counters")) }
    }

    /// Commits `changes` in one transaction, each key at most once: a change whose [`Version`] is not above the one that the
    /// sink has for its key does nothing, so that applying it again does no harm.
    ///
    /// # Errors
    /// Whatever kept all of them from being committed; by default [`SinkErrorKind::Unsupported`].
    fn apply(&self, namespace: &str, changes: &[Change<K, V>]) -> impl Future<Output = Result<(), SinkError>> + Send {
        let _ = (namespace, changes);
        async { Err(SinkError::unsupported("keeps no versions, which write-behind needs")) }
    }

    /// Hands over, by numbers of the sink's own, what it has recorded together with its commits of `keys` up to now: that
    /// they are to be invalidated, also if this process dies first. By default nothing is recorded.
    ///
    /// A cache that writes through or around asks for it after a commit and before it invalidates, and hands it to
    /// [`settled`](Self::settled) once the store has acknowledged that. What is not settled, the sink has to see to.
    fn owed(&self, keys: &[K]) -> Vec<i64> {
        let _ = keys;
        Vec::new()
    }

    /// What [`owed`](Self::owed) gave has been invalidated, and need not be any more. Must not wait.
    fn settled(&self, owed: Vec<i64>) {
        let _ = owed;
    }
}

/// The order of writes behind: by epoch, then by number within it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Drawn from the sink, anew after the store may have lost writes.
    pub epoch: u64,
    /// Counted by the store within the epoch.
    pub seq: u64,
}

/// One versioned change, as [`Sink::apply`] takes it.
#[derive(Clone, Debug)]
pub struct Change<K, V> {
    /// What is changed.
    pub key: K,
    /// Which change it is.
    pub version: Version,
    /// The new value; `None` removes it.
    pub value: Option<V>,
}

/// How far a counter has come, as [`Sink::count`] takes it: a running total, so that being told it twice adds nothing twice.
///
/// A sink keeps, per counter and epoch, the `seq` of the version, the series and the total of what it noted last; in the
/// transaction that changes the counter. Of a change whose `seq` is not above that one it does nothing. Else, by `how`:
///
/// - [`CountAs::Sum`](crate::CountAs::Sum): of the series that it noted last it adds what `total` is above the total that it
///   noted; of another series (or where it noted none) it adds `total` itself.
/// - [`CountAs::Total`](crate::CountAs::Total): the counter becomes `total`, unless a total of a higher epoch was noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted<K> {
    /// Which counter.
    pub key: K,
    /// Which step is the last in it.
    pub version: Version,
    /// The `seq` with which its series began, in the same epoch.
    pub series: u64,
    /// What was added since its series began; or what the counter is.
    pub total: i64,
    /// Which of both.
    pub how: crate::CountAs,
}

/// Some fields of a value with what they become, for [`Cache::update`](crate::Cache::update).
///
/// ```
/// use larder_cache::Patch;
///
/// #[derive(serde::Serialize)]
/// struct Renamed<'a> {
///     name: &'a str,
/// }
///
/// let patch = Patch::of(&Renamed { name: "Ada" })?.set("age", 36)?;
/// assert_eq!(patch.fields().len(), 2);
/// # Ok::<_, larder_cache::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patch(Map<String, Value>);

impl Patch {
    /// The fields of `fields`, which serialises as a map or a struct. A field that is `None` becomes null.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if it does not serialise, or as something without fields.
    pub fn of(fields: &(impl Serialize + ?Sized)) -> Result<Self, crate::Error> {
        match serde_json::to_value(fields) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(crate::Error::config("a patch is made of fields: a struct or a map")),
            Err(error) => Err(crate::Error::config(format!("a patch does not serialise: {error}"))),
        }
    }

    /// The same patch with one more field, which replaces an earlier one of that name.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if `value` does not serialise.
    pub fn set(mut self, field: impl Into<String>, value: impl Serialize) -> Result<Self, crate::Error> {
        let value = serde_json::to_value(value)
            .map_err(|error| crate::Error::config(format!("a patch does not serialise: {error}")))?;
        self.0.insert(field.into(), value);
        Ok(self)
    }

    /// The fields, by name.
    #[must_use]
    pub const fn fields(&self) -> &Map<String, Value> {
        &self.0
    }
}

/// Why a sink did not commit a change, and what follows from that.
#[derive(Debug)]
pub struct SinkError {
    kind: SinkErrorKind,
    source: BoxError,
}

/// What follows from a failed write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SinkErrorKind {
    /// Not committed; the same change may be committed later: a deadlock, a lock, no connection.
    Retryable,
    /// Not committed, and never will be: a constraint, a value that does not fit.
    Permanent,
    /// The connection was lost while it was being committed: it may have been or not.
    InDoubt,
    /// Not committed: the sink has no such operation.
    Unsupported,
}

impl SinkError {
    /// Not committed; trying again may help.
    pub fn retryable(source: impl Into<BoxError>) -> Self {
        Self::new(SinkErrorKind::Retryable, source)
    }

    /// Not committed; trying again cannot help.
    pub fn permanent(source: impl Into<BoxError>) -> Self {
        Self::new(SinkErrorKind::Permanent, source)
    }

    /// It may have been committed. The kind for an error of which nothing is known.
    pub fn in_doubt(source: impl Into<BoxError>) -> Self {
        Self::new(SinkErrorKind::InDoubt, source)
    }

    /// Not committed: the sink has no such operation. `what` completes "the sink …".
    pub fn unsupported(what: &'static str) -> Self {
        Self::new(SinkErrorKind::Unsupported, format!("the sink {what}"))
    }

    fn new(kind: SinkErrorKind, source: impl Into<BoxError>) -> Self {
        Self {
            kind,
            source: source.into(),
        }
    }

    /// What follows from it.
    #[must_use]
    pub const fn kind(&self) -> SinkErrorKind {
        self.kind
    }

    /// Whether the change may have been committed.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.kind == SinkErrorKind::InDoubt
    }

    /// Whether the same change may be committed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind == SinkErrorKind::Retryable
    }
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            SinkErrorKind::Retryable => "not committed, and worth trying again",
            SinkErrorKind::Permanent => "refused for good",
            SinkErrorKind::InDoubt => "it may have been committed or not",
            SinkErrorKind::Unsupported => "not offered",
        };
        f.write_str(what)
    }
}

impl StdError for SinkError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.source.as_ref())
    }
}

type Writing<'a, T> = Pin<Box<dyn Future<Output = Result<T, SinkError>> + Send + 'a>>;

/// [`Sink`] without its type: one allocation a write, which a write can bear.
pub(crate) trait AnySink<K, V>: Send + Sync {
    fn put<'a>(&'a self, key: &'a K, value: &'a V) -> Writing<'a, ()>;
    fn remove<'a>(&'a self, key: &'a K) -> Writing<'a, bool>;
    fn put_many<'a>(&'a self, values: &'a [(K, V)]) -> Writing<'a, ()>;
    fn remove_many<'a>(&'a self, keys: &'a [K]) -> Writing<'a, u64>;
    fn update<'a>(&'a self, key: &'a K, patch: &'a Patch) -> Writing<'a, Option<V>>;
    fn insert<'a>(&'a self, value: &'a V) -> Writing<'a, K>;
    fn claim_epoch<'a>(&'a self, namespace: &'a str) -> Writing<'a, u64>;
    fn apply<'a>(&'a self, namespace: &'a str, changes: &'a [Change<K, V>]) -> Writing<'a, ()>;
    fn count<'a>(&'a self, namespace: &'a str, counts: &'a [Counted<K>]) -> Writing<'a, ()>;
    fn owed(&self, keys: &[K]) -> Vec<i64>;
    fn settled(&self, owed: Vec<i64>);
}

impl<K, V, S> AnySink<K, V> for S
where
    K: Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: Sink<K, V>,
{
    fn put<'a>(&'a self, key: &'a K, value: &'a V) -> Writing<'a, ()> {
        Box::pin(Sink::put(self, key, value))
    }

    fn remove<'a>(&'a self, key: &'a K) -> Writing<'a, bool> {
        Box::pin(Sink::remove(self, key))
    }

    fn put_many<'a>(&'a self, values: &'a [(K, V)]) -> Writing<'a, ()> {
        Box::pin(Sink::put_many(self, values))
    }

    fn remove_many<'a>(&'a self, keys: &'a [K]) -> Writing<'a, u64> {
        Box::pin(Sink::remove_many(self, keys))
    }

    fn update<'a>(&'a self, key: &'a K, patch: &'a Patch) -> Writing<'a, Option<V>> {
        Box::pin(Sink::update(self, key, patch))
    }

    fn insert<'a>(&'a self, value: &'a V) -> Writing<'a, K> {
        Box::pin(Sink::insert(self, value))
    }

    fn claim_epoch<'a>(&'a self, namespace: &'a str) -> Writing<'a, u64> {
        Box::pin(Sink::claim_epoch(self, namespace))
    }

    fn apply<'a>(&'a self, namespace: &'a str, changes: &'a [Change<K, V>]) -> Writing<'a, ()> {
        Box::pin(Sink::apply(self, namespace, changes))
    }

    fn count<'a>(&'a self, namespace: &'a str, counts: &'a [Counted<K>]) -> Writing<'a, ()> {
        Box::pin(Sink::count(self, namespace, counts))
    }

    fn owed(&self, keys: &[K]) -> Vec<i64> {
        Sink::owed(self, keys)
    }

    fn settled(&self, owed: Vec<i64>) {
        Sink::settled(self, owed);
    }
}

/// A [`Sink`] behind a pointer: what [`Source::sink`](crate::Source::sink) returns. Cheap to clone.
pub struct SharedSink<K, V>(pub(crate) Arc<dyn AnySink<K, V>>);

impl<K, V> SharedSink<K, V>
where
    K: Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// Puts `sink` behind a pointer.
    #[must_use]
    pub fn new(sink: impl Sink<K, V>) -> Self {
        Self(Arc::new(sink))
    }
}

impl<K, V> Clone for SharedSink<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> fmt::Debug for SharedSink<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSink")
    }
}
