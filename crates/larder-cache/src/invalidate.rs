//! Invalidations: `Ok` means that the store acknowledged them (protocol 0, rule 7).

use std::{sync::Arc, time::Duration};

use larder_base::CacheKey;
use larder_store::{ScriptCall, Store, StoreError};
use redis::{ErrorKind, RedisError, Value};

use crate::{
    Error,
    core::Core,
    layout::PARTITIONS,
    script::{Invalidate, InvalidateTags, MarkStale, Rotate, Step},
    settings::{MAX_TAGS, TAG_BYTES},
    stats::Count,
};

/// How often an invalidation is sent: all of them are as good twice as once.
const ATTEMPTS: u32 = 3;

/// Between two attempts, so that a connection may come back; jittered up to twice that.
const BACKOFF: Duration = Duration::from_millis(50);

/// Keys per pipeline: each takes a few microseconds of the server, and no other client should wait longer than a few
/// milliseconds.
const BATCH: usize = 500;

impl<K: CacheKey, V: Send + Sync + 'static> Core<K, V> {
    /// Hard invalidation of `keys`, pipelined.
    pub(crate) async fn invalidate(&self, keys: &[K]) -> Result<(), Error> {
        self.forget(keys);
        let calls: Vec<ScriptCall> = keys
            .iter()
            .map(|key| {
                Invalidate {
                    e: self.layout.address(key).e,
                }
                .call()
            })
            .collect();
        let sent = self.deliver(calls, || described(keys.len())).await;
        // Again: what this process read in between may have been read before the store did it.
        self.forget(keys);
        sent
    }

    /// Soft expiry of `keys`.
    pub(crate) async fn mark_stale(&self, keys: &[K]) -> Result<(), Error> {
        self.forget(keys);
        let calls: Vec<ScriptCall> = keys
            .iter()
            .map(|key| {
                MarkStale {
                    e: self.layout.address(key).e,
                }
                .call()
            })
            .collect();
        let sent = self.deliver(calls, || described(keys.len())).await;
        self.forget(keys);
        sent
    }

    /// Drops near copies and detaches flights: whoever asks from now on asks the store.
    pub(crate) fn forget(&self, keys: &[K]) {
        for key in keys {
            self.loads.detach(key);
            self.peeks.detach(key);
            self.near.own_write(key, None);
        }
    }

    pub(crate) fn forget_all(&self) {
        self.loads.detach_all();
        self.peeks.detach_all();
        self.near.own_meta_write();
    }

    /// Invalidates every value with one of `tags`.
    pub(crate) async fn invalidate_tags(&self, tags: &[String]) -> Result<(), Error> {
        if let Some(bad) = tags.iter().find(|tag| tag.is_empty() || tag.len() > TAG_BYTES) {
            return Err(Error::config(format!(
                "a tag has 1 to {TAG_BYTES} bytes, not {}",
                bad.len()
            )));
        }
        self.forget_all();
        let mut sent = Ok(());
        for tags in tags.chunks(MAX_TAGS) {
            let calls = self.layout.partitions().iter().map(|partition| {
                InvalidateTags {
                    partition,
                    random: self.random.bytes(),
                    tags,
                }
                .call()
            });
            sent = self.deliver(calls.collect(), || format!("{} tags", tags.len())).await;
            if sent.is_err() {
                break;
            }
        }
        self.forget_all();
        sent
    }

    /// A new incarnation for every partition: nothing stored or leased before is valid.
    pub(crate) async fn clear(&self) -> Result<(), Error> {
        self.forget_all();
        let sent = self.rotate_all().await;
        self.forget_all();
        self.near.clear();
        sent
    }

    async fn rotate_all(&self) -> Result<(), Error> {
        let mut failure = None;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                self.back_off().await;
            }
            match self.rotate_once().await {
                Ok(()) => {
                    self.count(Count::Invalidations);
                    return Ok(());
                }
                Err(error) => failure = Some(error),
            }
        }
        self.count(Count::InvalidationsPending);
        let source = Arc::new(failure.expect("ATTEMPTS is not zero"));
        Err(Error::Pending {
            what: "the whole namespace".to_owned(),
            source,
        })
    }

    /// Reads each incarnation and replaces exactly that one: a late copy of the request changes nothing.
    async fn rotate_once(&self) -> Result<(), StoreError> {
        let mut command = redis::cmd("MGET");
        for partition in self.layout.partitions() {
            command.arg(partition.m.as_ref());
        }
        let metas = match self.store.run(&command).await? {
            Value::Array(metas) if metas.len() == PARTITIONS => metas,
            // Taken for "nothing to clear", any other answer would be a clear that did not happen.
            _ => return Err(RedisError::from((ErrorKind::UnexpectedReturnType, "MGET answered with no list")).into()),
        };
        let calls = self
            .layout
            .partitions()
            .iter()
            .zip(metas)
            .filter_map(|(partition, meta)| match meta {
                Value::BulkString(meta) => {
                    let expected = *meta.first_chunk::<8>()?;
                    Some(
                        Rotate {
                            partition,
                            expected,
                            new: self.random.bytes(),
                        }
                        .call(),
                    )
                }
                // Nothing is valid without an incarnation.
                _ => None,
            });
        run_all(&self.store, &calls.collect::<Vec<_>>())
            .await
            .map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Sends invalidations until all are acknowledged or the attempts are used up.
    pub(crate) async fn deliver(&self, mut calls: Vec<ScriptCall>, what: impl Fn() -> String) -> Result<(), Error> {
        let all = calls.len() as u64;
        let mut failure = None;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                self.back_off().await;
            }
            let Some((unsent, error)) = self.deliver_once(&calls).await else {
                self.counters.add_many(Count::Invalidations, all);
                return Ok(());
            };
            calls = unsent;
            let may_pass = error.is_connection();
            failure = Some(error);
            if !may_pass {
                break;
            }
        }
        self.counters.add_many(Count::InvalidationsPending, calls.len() as u64);
        let source = Arc::new(failure.expect("ATTEMPTS is not zero"));
        Err(Error::Pending { what: what(), source })
    }

    /// Those calls that were not acknowledged, and why.
    async fn deliver_once(&self, calls: &[ScriptCall]) -> Option<(Vec<ScriptCall>, StoreError)> {
        let mut unsent: Option<(Vec<ScriptCall>, StoreError)> = None;
        for batch in calls.chunks(BATCH) {
            let Some((failed, error)) = run_all(&self.store, batch).await else {
                continue;
            };
            match &mut unsent {
                Some((all, _)) => all.extend(failed),
                None => unsent = Some((failed, error)),
            }
        }
        unsent
    }

    async fn back_off(&self) {
        let jitter = self.random.below(BACKOFF.as_micros() as u64);
        self.clock.sleep(BACKOFF + Duration::from_micros(jitter)).await;
    }
}

/// Runs `calls` in one round trip; those that failed, and the first failure.
async fn run_all(store: &Store, calls: &[ScriptCall]) -> Option<(Vec<ScriptCall>, StoreError)> {
    let replies = match calls {
        [] => return None,
        [call] => vec![store.call(call).await],
        calls => store.call_many(calls).await,
    };
    let mut failure = None;
    let mut failed = Vec::new();
    for (call, reply) in calls.iter().zip(replies) {
        if let Err(error) = reply {
            failed.push(call.clone());
            failure.get_or_insert(error);
        }
    }
    failure.map(|error| (failed, error))
}

fn described(keys: usize) -> String {
    if keys == 1 {
        "one key".to_owned()
    } else {
        format!("{keys} keys")
    }
}
