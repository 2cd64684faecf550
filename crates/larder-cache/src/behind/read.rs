//! What a read makes of a change that waits to be flushed: the truth, whatever the source has.
//!
//! It is never kept in the near tier. A near copy lives until the server says that its entry changed, and a dirty value has
//! no entry: flushing it, or another write of it, would be told to nobody. So a key that waits is read from the store
//! every time, in one round trip, and its first load after the flush is kept as any other.

use std::sync::Arc;

use larder_base::{CacheKey, codec::CodecError};
use redis::Value;
use serde::de::DeserializeOwned;

use super::record::Record;
use crate::{
    Error, ErrorKind,
    acquire::Acquired,
    core::{Core, Place},
    found::{Lookup, Outcome},
};

impl<K, V> Core<K, V>
where
    K: CacheKey,
    V: DeserializeOwned + Send + Sync + 'static,
{
    /// The answer that a record of the dirty map is. One of another type or a damaged one is an error, and no miss: what the
    /// source has is older.
    pub(crate) fn dirty(&self, place: &Place, bytes: &[u8]) -> Outcome<V> {
        let decoded = match Record::parse(bytes) {
            Some(record) => record.value(&self.settings.codec, place.address.written.as_str()),
            None => Err(CodecError::Truncated),
        };
        let value = decoded.map_err(|source| {
            Error::from(ErrorKind::Decode {
                key: self.label(place),
                source,
            })
        })?;
        Ok(Lookup::behind(value.map(Arc::new), self.settings.ttl.span()))
    }

    /// What waits for the key, asked for by itself.
    pub(crate) async fn look_behind(&self, place: &Place) -> Result<Option<Lookup<V>>, Error> {
        let Some(dirty) = &place.dirty else { return Ok(None) };
        let mut command = redis::cmd("HGET");
        command.arg(dirty.d.as_ref()).arg(dirty.field.as_ref());
        match self.store.run(&command).await {
            Ok(Value::BulkString(bytes)) => self.dirty(place, &bytes).map(Some),
            Ok(_) => Ok(None),
            Err(error) => Err(self.store_error("HGET", error)),
        }
    }

    /// For a key of which nothing that is cached may be taken: what waits, else the source. What neither waits nor will has
    /// been committed before.
    pub(crate) async fn past_the_store(&self, place: &Place) -> Result<Acquired<K, V>, Error> {
        Ok(match self.look_behind(place).await? {
            Some(found) => Acquired::Ready(found),
            None => Acquired::past_the_store(),
        })
    }
}
