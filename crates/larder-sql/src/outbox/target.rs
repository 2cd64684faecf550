//! A cache as a relay sees it: whatever its types are.

use std::{collections::HashSet, pin::Pin};

use larder_base::{CacheKey, WrittenKey};
use larder_cache::{Cache, Error, TAG_BYTES};
use serde::{Serialize, de::DeserializeOwned};

use super::sql::{Due, Kind};

/// What became of rows.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// The store acknowledged them.
    pub(super) delivered: Vec<i64>,
    /// This cache will never take them, and why.
    pub(super) refused: Vec<(i64, String)>,
    /// The store did not acknowledge them.
    pub(super) failed: Vec<i64>,
    pub(super) failure: Option<Error>,
}

pub(super) trait Target: Send + Sync {
    fn namespace(&self) -> &str;

    /// Makes the invalidations.
    fn deliver<'a>(&'a self, due: &'a [Due]) -> Pin<Box<dyn Future<Output = Judged> + Send + 'a>>;
}

impl<K, V> Target for Cache<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    fn namespace(&self) -> &str {
        self.namespace()
    }

    fn deliver<'a>(&'a self, due: &'a [Due]) -> Pin<Box<dyn Future<Output = Judged> + Send + 'a>> {
        Box::pin(async move {
            let mut judged = Judged::default();
            keys(self, due, &mut judged).await;
            tags(self, due, &mut judged).await;
            let unknown = due.iter().filter(|row| row.kind.is_none());
            judged
                .refused
                .extend(unknown.map(|row| (row.id, "its kind is neither key nor tag".to_owned())));
            judged
        })
    }
}

impl Judged {
    fn note(&mut self, ids: Vec<i64>, done: Result<(), Error>) {
        match done {
            Ok(()) => self.delivered.extend(ids),
            Err(error) => {
                self.failed.extend(ids);
                self.failure.get_or_insert(error);
            }
        }
    }
}

async fn keys<K, V>(cache: &Cache<K, V>, due: &[Due], judged: &mut Judged)
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let (mut ids, mut keys) = (Vec::new(), HashSet::new());
    for row in due.iter().filter(|row| row.kind == Some(Kind::Key)) {
        match WrittenKey::parse::<K>(row.item.as_bytes()) {
            Some(key) => {
                ids.push(row.id);
                keys.insert(key);
            }
            None => judged.refused.push((
                row.id,
                format!("it is no written key of type {}", std::any::type_name::<K>()),
            )),
        }
    }
    if !ids.is_empty() {
        let keys: Vec<K> = keys.into_iter().collect();
        judged.note(ids, cache.invalidate_many(&keys).await);
    }
}

async fn tags<K, V>(cache: &Cache<K, V>, due: &[Due], judged: &mut Judged)
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let (mut ids, mut tags) = (Vec::new(), HashSet::new());
    for row in due.iter().filter(|row| row.kind == Some(Kind::Tag)) {
        match WrittenKey::parse::<String>(row.item.as_bytes()).filter(|tag| (1..=TAG_BYTES).contains(&tag.len())) {
            Some(tag) => {
                ids.push(row.id);
                tags.insert(tag);
            }
            None => judged
                .refused
                .push((row.id, format!("it is no tag of 1 to {TAG_BYTES} bytes"))),
        }
    }
    if !ids.is_empty() {
        judged.note(ids, cache.invalidate_tags(tags).await);
    }
}
