//! The outcome of a batch.

use std::{collections::HashMap, sync::Arc};

use larder_base::CacheKey;

use crate::{
    Error, Lookup,
    found::{Freshness, Outcome},
};

/// What became of each key of a batch: a value, nothing, or a failure of its own.
#[derive(Debug)]
pub struct Batch<K, V> {
    found: HashMap<K, Lookup<V>, ahash::RandomState>,
    failed: Vec<(K, Error)>,
}

impl<K: CacheKey, V> Batch<K, V> {
    pub(crate) fn with_capacity(keys: usize) -> Self {
        Self {
            found: HashMap::with_capacity_and_hasher(keys, ahash::RandomState::new()),
            failed: Vec::new(),
        }
    }

    pub(crate) fn put(&mut self, key: K, outcome: Outcome<V>) {
        match outcome {
            Ok(found) => _ = self.found.insert(key, found),
            Err(error) => self.failed.push((key, error)),
        }
    }

    /// The value of `key`; `None` if it does not exist, is not cached, failed, or was not asked for.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&Arc<V>> {
        self.found.get(key)?.value()
    }

    /// The answer for `key` with its circumstances; `None` if it failed or was not asked for.
    #[must_use]
    pub fn lookup(&self, key: &K) -> Option<&Lookup<V>> {
        self.found.get(key)
    }

    /// Keys and values, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Arc<V>)> {
        self.found
            .iter()
            .filter_map(|(key, found)| found.value().map(|value| (key, value)))
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The keys that do not exist or are not cached.
    pub fn missing(&self) -> impl Iterator<Item = &K> {
        let is_missing = |found: &Lookup<V>| matches!(found.freshness(), Freshness::Missing | Freshness::Negative);
        self.found
            .iter()
            .filter(move |(_, found)| is_missing(found))
            .map(|(key, _)| key)
    }

    /// The keys that failed, and why.
    #[must_use]
    pub fn failed(&self) -> &[(K, Error)] {
        &self.failed
    }

    /// The values in the order of `keys`.
    #[must_use]
    pub fn in_order(&self, keys: &[K]) -> Vec<Option<Arc<V>>> {
        keys.iter().map(|key| self.get(key).cloned()).collect()
    }

    /// The values by key; what failed is left out.
    #[must_use]
    pub fn into_map(self) -> HashMap<K, Arc<V>> {
        self.found
            .into_iter()
            .filter_map(|(key, found)| found.into_value().map(|value| (key, value)))
            .collect()
    }

    /// All or nothing: this batch, or the first failure.
    ///
    /// # Errors
    /// The failure of one of the keys.
    pub fn all(mut self) -> Result<Self, Error> {
        match self.failed.pop() {
            Some((_, error)) => Err(error),
            None => Ok(self),
        }
    }
}
