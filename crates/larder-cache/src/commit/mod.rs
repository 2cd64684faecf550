//! Writes to the source, and what becomes of what is cached: one file per policy.
//!
//! Whatever happens in between, a commit is followed by an acknowledged change of the cached value, or by a pending one that
//! this process keeps sending: when it fails, when nobody knows whether it happened, and when the caller goes away.

mod around;
mod through;

use std::sync::Arc;

use larder_base::CacheKey;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Consistency, Error, ErrorKind, Receipt, SinkError, SinkErrorKind, WriteGate, WritePolicy,
    context::Notes,
    core::Core,
    sink::{AnySink, Patch},
    stats::Count,
};

/// Keys per commit: the holds of a larger one would wait for a longer one, and every commit ends within a hold.
const BATCH: usize = 200;

/// What a write returned, and what became of the cached value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written<T> {
    /// What the source returned.
    pub value: T,
    /// Whether the store has acknowledged that the old value is gone.
    pub receipt: Receipt,
}

/// What the source committed: what it returned, and the value of each key where it is known.
struct Done<T, V> {
    value: T,
    now: Option<Vec<Arc<V>>>,
}

impl<T, V> Done<T, V> {
    /// A commit after which the values have to be loaded.
    const fn unknown(value: T) -> Self {
        Self { value, now: None }
    }
}

/// What is written, on what.
struct Deed<'a, K> {
    operation: &'static str,
    keys: &'a [K],
    notes: &'a Notes,
}

impl<K, V> Core<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Puts a value into the source.
    pub(crate) async fn commit_put(
        self: &Arc<Self>,
        sink: &dyn AnySink<K, V>,
        key: &K,
        value: V,
        notes: &Notes,
    ) -> Result<Receipt, Error> {
        if self.behind.is_some() {
            return Box::pin(self.accept("put", &[(key.clone(), Some(&value))])).await;
        }
        let deed = Deed {
            operation: "put",
            keys: std::slice::from_ref(key),
            notes,
        };
        let put = async {
            sink.put(key, &value).await?;
            Ok(Done {
                value: (),
                now: Some(vec![Arc::new(value)]),
            })
        };
        Ok(self.commit(&deed, put).await?.receipt)
    }

    /// Puts many values, so many at a time in one commit each.
    pub(crate) async fn commit_put_many(
        self: &Arc<Self>,
        sink: &dyn AnySink<K, V>,
        values: Vec<(K, V)>,
    ) -> Result<Receipt, Error> {
        let values = last_of_each(values);
        if self.behind.is_some() {
            let changes: Vec<_> = values.iter().map(|(key, value)| (key.clone(), Some(value))).collect();
            return Box::pin(self.accept("put_many", &changes)).await;
        }
        let mut values = values.into_iter();
        let mut receipt = Receipt::ACKNOWLEDGED;
        loop {
            let chunk: Vec<(K, V)> = values.by_ref().take(BATCH).collect();
            if chunk.is_empty() {
                return Ok(receipt);
            }
            let keys: Vec<K> = chunk.iter().map(|(key, _)| key.clone()).collect();
            let deed = Deed {
                operation: "put_many",
                keys: &keys,
                notes: &Notes::default(),
            };
            let put = async {
                sink.put_many(&chunk).await?;
                Ok(Done {
                    value: (),
                    now: Some(chunk.into_iter().map(|(_, value)| Arc::new(value)).collect()),
                })
            };
            receipt = receipt.and(self.commit(&deed, put).await?.receipt);
        }
    }

    /// Removes a value from the source.
    pub(crate) async fn commit_remove(
        self: &Arc<Self>,
        sink: &dyn AnySink<K, V>,
        keys: &[K],
    ) -> Result<Receipt, Error> {
        let mut receipt = Receipt::ACKNOWLEDGED;
        let mut keys = keys.to_vec();
        let mut seen = std::collections::HashSet::new();
        keys.retain(|key| seen.insert(key.clone()));
        if self.behind.is_some() {
            let changes: Vec<_> = keys.into_iter().map(|key| (key, None)).collect();
            return Box::pin(self.accept("remove", &changes)).await;
        }
        for chunk in keys.chunks(BATCH) {
            let deed = Deed {
                operation: "remove",
                keys: chunk,
                notes: &Notes::default(),
            };
            let remove = async {
                match chunk {
                    [key] => drop(sink.remove(key).await?),
                    keys => drop(sink.remove_many(keys).await?),
                }
                Ok(Done::unknown(()))
            };
            receipt = receipt.and(self.commit(&deed, remove).await?.receipt);
        }
        Ok(receipt)
    }

    /// Changes some fields of a value in the source.
    pub(crate) async fn commit_update(
        self: &Arc<Self>,
        key: &K,
        patch: &Patch,
    ) -> Result<Written<Option<Arc<V>>>, Error> {
        if self.behind.is_some() {
            return Box::pin(self.update_behind(key, patch)).await;
        }
        let sink = self.sink_for("update")?;
        let deed = Deed {
            operation: "update",
            keys: std::slice::from_ref(key),
            notes: &Notes::default(),
        };
        let update = async {
            let value = sink.update(key, patch).await?.map(Arc::new);
            Ok(Done {
                now: value.clone().map(|value| vec![value]),
                value,
            })
        };
        self.commit(&deed, update).await
    }

    /// Has the source keep a value under a key that it draws. That there was none under that key may be cached.
    pub(crate) async fn commit_insert(self: &Arc<Self>, value: &V) -> Result<Written<K>, Error> {
        let sink = self.sink_for("insert")?;
        let inserted = sink.insert(value).await;
        self.count_write(&inserted);
        let key = inserted.map_err(|error| self.sink_error("insert", "a value".to_owned(), error))?;
        let owed = self.owed(std::slice::from_ref(&key));
        let sent = self.invalidate_and_tell(std::slice::from_ref(&key)).await;
        self.settled(owed, &sent);
        let receipt = Receipt::of(sent)?;
        Ok(Written { value: key, receipt })
    }

    /// Runs a commit by the cache's policy.
    async fn commit<T>(
        self: &Arc<Self>,
        deed: &Deed<'_, K>,
        write: impl Future<Output = Result<Done<T, V>, SinkError>> + Send,
    ) -> Result<Written<T>, Error>
    where
        T: Send,
    {
        // A commit holds much for long: it is kept out of the caller's future.
        if self.settings.write == WritePolicy::Through || !self.may_write_past_the_store() {
            Box::pin(self.through(deed, write)).await
        } else {
            Box::pin(self.around(deed, write)).await
        }
    }

    /// Whether a write may go to the source without a hold: with a near tier's bound, and pending while the store is down.
    fn may_write_past_the_store(&self) -> bool {
        self.settings.write_gate == WriteGate::Open && self.settings.consistency == Consistency::Bounded
    }

    /// What the sink has recorded of `keys`: asked for between the commit and the invalidation, so that the invalidation is
    /// of everything that it names.
    fn owed(&self, keys: &[K]) -> Vec<i64> {
        self.any_sink().map_or_else(Vec::new, |sink| sink.owed(keys))
    }

    /// The record goes once the store has acknowledged what it is of.
    fn settled(&self, owed: Vec<i64>, sent: &Result<(), Error>) {
        if let (Some(sink), false, Ok(())) = (self.any_sink(), owed.is_empty(), sent) {
            sink.settled(owed);
        }
    }

    fn count_write<T>(&self, written: &Result<T, SinkError>) {
        self.count(match written {
            Ok(_) => Count::Writes,
            Err(error) if error.is_in_doubt() => Count::WritesInDoubt,
            Err(_) => Count::WritesFailed,
        });
    }

    fn failed(&self, deed: &Deed<'_, K>, error: SinkError) -> Error {
        let what = match deed.keys {
            [key] => format!("`{}`", self.label(&self.place(key))),
            keys => format!("{} keys", keys.len()),
        };
        self.sink_error(deed.operation, what, error)
    }
}

impl<K: CacheKey, V: Send + Sync + 'static> Core<K, V> {
    /// The sink, if there is one.
    pub(crate) fn any_sink(&self) -> Option<Arc<dyn AnySink<K, V>>> {
        self.sink.as_ref().map(|sink| Arc::clone(&sink.0))
    }

    /// The sink; refused on a cache without.
    pub(crate) fn sink_for(&self, operation: &'static str) -> Result<Arc<dyn AnySink<K, V>>, Error> {
        self.any_sink().ok_or_else(|| {
            Error::from(ErrorKind::Refused {
                operation,
                why: "the cache has no sink to write to",
                instead: "CacheBuilder::sink",
            })
        })
    }

    pub(crate) fn sink_error(&self, operation: &'static str, what: String, error: SinkError) -> Error {
        if error.kind() == SinkErrorKind::InDoubt {
            tracing::warn!(namespace = %self.layout.namespace(), operation, "a write may have been committed or not");
        }
        Error::from(ErrorKind::Sink {
            operation,
            what,
            source: Arc::new(error),
        })
    }
}

/// The last value of each key, in the order of those.
fn last_of_each<K: CacheKey, V>(values: Vec<(K, V)>) -> Vec<(K, V)> {
    let mut seen = std::collections::HashSet::with_capacity(values.len());
    let mut last: Vec<(K, V)> = values
        .into_iter()
        .rev()
        .filter(|(key, _)| seen.insert(key.clone()))
        .collect();
    last.reverse();
    last
}
