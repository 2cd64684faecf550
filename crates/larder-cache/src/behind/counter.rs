//! Counters under write-behind: added up in the store at once, and told to the source later, once in effect.
//!
//! What the source is told is a running total, never a step: the sink keeps, per counter and epoch, which total it has
//! applied last, and adds the difference. So telling it twice, late or out of turn adds nothing twice. A running total begins
//! anew (a new *series*) with the first step after the source was told everything, so that nothing has to be remembered of
//! counters that are at rest.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use larder_base::{CacheKey, WrittenKey, failpoint};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Behind, CountAs, Map,
    accept::{Again, OPERATION_KEPT, is_unreplicated},
    record::version,
    settle::{Batch, Failure, Item},
};
use crate::{
    CacheEvent, Counted, Error, ErrorKind, SinkErrorKind,
    core::{Core, Place, is_out_of_memory, is_unknown_outcome},
    script::{BehindCount, BehindCountReply},
    settings::{Ttl, millis},
    sink::AnySink,
    stats::Count,
};

/// A step on its way: every attempt of it is the same operation.
struct Counting {
    place: Place,
    written: WrittenKey,
    /// The counter in the store.
    c: Bytes,
    delta: i64,
    operation: u128,
}

/// What an attempt came to.
enum Attempt {
    /// The value after it.
    Accepted(i64),
    /// It may have been added: its answer was lost.
    Unheard(Error),
    Again(Again),
}

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
        let (written, c) = self.layout.counter(key);
        let counting = Counting {
            place: self.place(key),
            written,
            c,
            delta,
            operation: self.draw_operation(),
        };
        let deadline = self.now().saturating_add(behind.settings.wait);
        let mut unknown = None;
        loop {
            self.check_accepting(behind)?;
            let error = match self.count_once(behind, &*sink, &counting, deadline).await? {
                Attempt::Accepted(value) => return Ok(value),
                Attempt::Again(Again::Now) => continue,
                Attempt::Again(Again::Later(error)) => error,
                Attempt::Unheard(error) => {
                    unknown = Some(error.clone());
                    error
                }
            };
            if self.now() >= deadline {
                return Err(unknown.map_or(error, |lost| self.outcome_unknown("incr", &counting.place, lost)));
            }
            self.pause_briefly().await;
        }
    }

    /// Sends the step once.
    async fn count_once(
        self: &Arc<Self>,
        behind: &Behind,
        sink: &dyn AnySink<K, V>,
        counting: &Counting,
        deadline: Duration,
    ) -> Result<Attempt, Error> {
        let partition = counting.place.address.partition;
        let drawn = behind.epochs.drawn(partition);
        let generation = match self.generation_text(behind).await {
            Ok(generation) => generation,
            Err(error) => return self.uncounted(self.store_error("incr", error)),
        };
        let sent = self
            .ask_as_safe(behind, &self.count_step(behind, counting, &generation))
            .await;
        failpoint::reach("count unheard");
        match sent.map(|(reply, _)| reply) {
            Ok(BehindCountReply::Accepted(value, _)) => {
                self.count(Count::BehindAccepted);
                let due = self.now().saturating_add(behind.settings.delay);
                behind.schedule.note(partition, due);
                Ok(Attempt::Accepted(value))
            }
            Ok(BehindCountReply::NeedEpoch) => {
                let within = deadline.saturating_sub(self.now());
                let drawing = self.draw_epoch(behind, sink, partition, &generation, drawn, within);
                let again = drawing
                    .await
                    .map_or_else(|error| self.again_later(error), |()| Ok(Again::Now));
                again.map(Attempt::Again)
            }
            Ok(BehindCountReply::Full { entries, bytes }) => {
                self.events.tell(|| CacheEvent::BehindFull { entries, bytes });
                let full = Error::from(ErrorKind::Backpressure {
                    key: self.label(&counting.place),
                    entries,
                    bytes,
                    waited: behind.settings.wait,
                });
                Ok(Attempt::Again(Again::Later(full)))
            }
            Err(error) => self.uncounted(error),
        }
    }

    /// Whether a step that failed so may be sent again.
    fn uncounted(&self, error: Error) -> Result<Attempt, Error> {
        if is_unknown_outcome(&error) || is_unreplicated(&error) {
            return Ok(Attempt::Unheard(error));
        }
        // Flushing makes room for more.
        if error.is_store_down() || is_out_of_memory(&error) {
            return Ok(Attempt::Again(Again::Later(error)));
        }
        Err(error)
    }

    fn count_step<'a>(&self, behind: &'a Behind, counting: &'a Counting, generation: &'a str) -> BehindCount<'a> {
        let settings = &behind.settings;
        let expires = settings.count_as == CountAs::Sum && !self.settings.ttl.is_never();
        let (written, full) = (counting.written.as_str(), counting.written.full());
        BehindCount {
            keys: &behind.keys[usize::from(counting.place.address.partition)],
            c: &counting.c,
            written,
            full: if full == written { "" } else { full },
            delta: counting.delta,
            ttl_ms: if expires {
                millis(Ttl::span(self.settings.ttl))
            } else {
                0
            },
            delay_ms: millis(settings.delay),
            generation,
            max_entries: settings.max_entries as u64,
            max_bytes: settings.max_bytes as u64,
            operation: counting.operation,
            operation_ms: millis(OPERATION_KEPT.max(settings.wait.saturating_mul(2))),
            kind: settings.count_as.number(),
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
