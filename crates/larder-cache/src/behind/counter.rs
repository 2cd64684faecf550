//! Counters under write-behind: added up in the store at once, and told to the source later, once in effect.
//!
//! What the source is told is a running total, never a step: the sink keeps, per counter and epoch, which total it has
//! applied last, and adds the difference. So telling it twice, late or out of turn adds nothing twice. A running total begins
//! anew (a new *series*) with the first step after the source was told everything, so that nothing has to be remembered of
//! counters that are at rest.

use std::sync::Arc;

use larder_base::{CacheKey, WrittenKey};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Behind, CountAs, Map,
    accept::{Again, OPERATION_KEPT},
    record::version,
    settle::{Batch, Failure, Item},
};
use crate::{
    CacheEvent, Counted, Error, ErrorKind, SinkErrorKind,
    core::{Core, is_out_of_memory, is_unknown_outcome},
    script::{BehindCount, BehindCountReply},
    settings::{Ttl, millis},
    sink::AnySink,
    stats::Count,
};

/// Version, since, kind, series, length of the full key.
const HEAD: usize = 37;

impl CountAs {
    /// As the scripts know it.
    const fn number(self) -> u64 {
        match self {
            Self::Sum => 3,
            Self::Total => 4,
        }
    }
}

impl<K, V> Core<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Adds `delta`; the value after it.
    pub(crate) async fn count_behind(self: &Arc<Self>, key: &K, delta: i64) -> Result<i64, Error> {
        let behind = self.behind_for("incr")?;
        let sink = self.sink_for("incr")?;
        self.check_counting(behind, &*sink).await?;
        let settings = &behind.settings;
        let place = self.place(key);
        let partition = place.address.partition;
        let (written, c) = self.layout.counter(key);
        let full = if written.full() == written.as_str() {
            ""
        } else {
            written.full()
        };
        let deadline = self.now().saturating_add(settings.wait);
        let expires = settings.count_as == CountAs::Sum && !self.settings.ttl.is_never();
        let operation = self.draw_operation();
        let mut unknown = None;
        loop {
            self.check_accepting(behind)?;
            let drawn = behind.epochs.drawn(partition);
            let generation = self.generation_text(behind).await;
            let reply = match &generation {
                Ok(generation) => {
                    let step = BehindCount {
                        keys: &behind.keys[usize::from(partition)],
                        c: &c,
                        written: written.as_str(),
                        full,
                        delta,
                        ttl_ms: if expires {
                            millis(Ttl::span(self.settings.ttl))
                        } else {
                            0
                        },
                        delay_ms: millis(settings.delay),
                        generation,
                        max_entries: settings.max_entries as u64,
                        max_bytes: settings.max_bytes as u64,
                        operation,
                        operation_ms: millis(OPERATION_KEPT.max(settings.wait.saturating_mul(2))),
                        kind: settings.count_as.number(),
                    };
                    self.ask_as_safe(behind, &step).await
                }
                Err(error) => Err(self.store_error("incr", error.clone())),
            };
            let error = match reply {
                Ok((BehindCountReply::Accepted(value, _), _)) => {
                    self.count(Count::BehindAccepted);
                    behind
                        .schedule
                        .note(partition, self.now().saturating_add(settings.delay));
                    return Ok(value);
                }
                Ok((BehindCountReply::NeedEpoch, _)) => {
                    let generation = generation.unwrap_or_default();
                    let within = deadline.saturating_sub(self.now());
                    let drawing = self
                        .draw_epoch(behind, &*sink, partition, &generation, drawn, within)
                        .await;
                    match drawing.map_or_else(|error| self.again_later(error), |()| Ok(Again::Now))? {
                        Again::Now => continue,
                        Again::Later(error) => error,
                    }
                }
                Ok((BehindCountReply::Full { entries, bytes }, _)) => {
                    self.events.tell(|| CacheEvent::BehindFull { entries, bytes });
                    Error::from(ErrorKind::Backpressure {
                        key: self.label(&place),
                        entries,
                        bytes,
                        waited: settings.wait,
                    })
                }
                Err(error) if is_unknown_outcome(&error) || super::accept::is_unreplicated(&error) => {
                    unknown = Some(error.clone());
                    error
                }
                Err(error) if error.is_store_down() || is_out_of_memory(&error) => error,
                Err(error) => return Err(error),
            };
            if self.now() >= deadline {
                return Err(unknown.map_or(error, |lost| self.outcome_unknown("incr", &place, lost)));
            }
            self.pause_briefly().await;
        }
    }

    /// Refuses to count what the sink would never take: asked to note nothing, it says so.
    async fn check_counting(&self, behind: &Behind, sink: &dyn AnySink<K, V>) -> Result<(), Error> {
        let ask = async || match sink.count(self.layout.namespace(), &[]).await {
            Err(error) if error.kind() == SinkErrorKind::Unsupported => {
                Err(self.sink_error("incr", "counters".to_owned(), error))
            }
            // Whatever else it says is for the flusher.
            _ => Ok(()),
        };
        behind.counts.get_or_try_init(ask).await.map(|_known| ())
    }

    /// Has the source told of `items`; what is left of them, if anything is.
    pub(super) async fn settle_counts(self: &Arc<Self>, behind: &Behind, items: Vec<Item>) -> Option<Failure> {
        let (mut readable, mut counts) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
        for item in items {
            match counted(&item) {
                Some(count) => {
                    counts.push(count);
                    readable.push(item);
                }
                // It stays where it is: another process may know its type.
                None => tracing::error!(
                    namespace = %self.layout.namespace(), counter = self.label_of_field(&item.field),
                    "a counter that waits cannot be read by this process"
                ),
            }
        }
        self.bisect(behind, Map::Counts, &readable, Batch::Counts(&counts))
            .await
    }
}

/// What a record asks the source to note.
fn counted<K: CacheKey>(item: &Item) -> Option<Counted<K>> {
    let (head, rest) = item.record.split_at_checked(HEAD)?;
    let how = match head[24] {
        3 => CountAs::Sum,
        4 => CountAs::Total,
        _ => return None,
    };
    let full_len = u32::from_be_bytes([head[33], head[34], head[35], head[36]]) as usize;
    let (full, total) = rest.split_at_checked(full_len)?;
    let written = item.field.splitn(2, |byte| *byte == b':').nth(1)?;
    let key = WrittenKey::parse(if full.is_empty() { written } else { full })?;
    Some(Counted {
        key,
        version: version(head.first_chunk()?),
        series: f64::from_be_bytes(std::array::from_fn(|i| head[25 + i])) as u64,
        total: std::str::from_utf8(total).ok()?.parse().ok()?,
        how,
    })
}
