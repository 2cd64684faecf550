//! Counters: a plain integer beside the entries, added to by the store itself.
//!
//! A counter is not a cached copy of anything: it is the value. So it stands under a key of its own
//! (`ns:{ns.p}:c:<key>`), as `INCRBY` keeps it and redis-cli shows it, and adding costs one step of the store
//! whatever the number of callers. An entry's record would need to be read, decoded, checked and written back for each
//! step. What follows from it: `get`, `put`, `invalidate` and `clear` are about entries and do not touch counters, and the other
//! way round.

use larder_base::{CacheKey, WrittenKey};
use larder_store::StoreError;
use redis::Value;

use crate::{
    Error, ErrorKind,
    core::{Core, is_unknown_outcome},
    script::Incr,
    settings::{Ttl, millis},
};

impl<K: CacheKey, V: Send + Sync + 'static> Core<K, V> {
    /// Adds `delta`; the value after it.
    pub(crate) async fn incr(&self, key: &K, delta: i64) -> Result<i64, Error> {
        let (written, c) = self.layout.counter(key);
        let ttl_ms = if self.settings.ttl.is_never() {
            0
        } else {
            millis(Ttl::span(self.settings.ttl))
        };
        match self.ask(&Incr { c, delta, ttl_ms }).await {
            Err(error) if is_unknown_outcome(&error) => Err(self.count_unknown(&written, error)),
            reply => reply,
        }
    }

    fn count_unknown(&self, written: &WrittenKey, error: Error) -> Error {
        // Adding twice is not as good as once: the caller decides.
        error.map_store(|source| ErrorKind::OutcomeUnknown {
            operation: "incr",
            key: self.layout.label(written),
            source,
        })
    }

    /// The value of a counter; `None` if it does not exist.
    pub(crate) async fn counter(&self, key: &K) -> Result<Option<i64>, Error> {
        let (_, c) = self.layout.counter(key);
        let mut command = redis::cmd("GET");
        command.arg(c.as_ref());
        let reply = command.query_async(&mut self.store.clone()).await;
        reply.map_err(|error| self.store_error("counter", StoreError::from(error)))
    }

    /// Drops a counter; whether there was one.
    pub(crate) async fn reset_counter(&self, key: &K) -> Result<bool, Error> {
        let (_, c) = self.layout.counter(key);
        let mut command = redis::cmd("DEL");
        command.arg(c.as_ref());
        let reply = self.store.run(&command).await;
        let dropped = reply.map_err(|error| self.store_error("reset_counter", error))?;
        Ok(dropped == Value::Int(1))
    }
}
