//! From a record to a typed value: schema, checksum, decoding. Whatever does not decode is as good as absent.

use std::{sync::Arc, time::Duration};

use larder_base::{
    CacheKey,
    codec::{CodecError, Schema},
};
use serde::de::DeserializeOwned;

use crate::{
    core::{Core, Place},
    found::{Lookup, Tier},
    load::Old,
    record::Record,
    stats::Count,
};

/// A record that could be read.
#[derive(Debug)]
pub(crate) struct Opened<V> {
    pub(crate) record: Record,
    /// `None`: there is none.
    pub(crate) value: Option<Arc<V>>,
}

/// Why a record is as good as absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// Damaged, or not of this type: to be dropped.
    Corrupt,
    /// Written by an older version of the type: to be overwritten under an early lease.
    Older,
    /// Written by a newer version of the type: to be left alone.
    Newer,
}

impl<K: CacheKey, V: DeserializeOwned + Send + Sync + 'static> Core<K, V> {
    /// Reads the record at `place`, counting what is wrong with it.
    pub(crate) fn open(&self, place: &Place, bytes: Vec<u8>) -> Result<Opened<V>, Unusable> {
        match Record::parse(bytes) {
            Some(record) => self.decode(place, record),
            None => {
                self.count(Count::DecodeFailures);
                Err(Unusable::Corrupt)
            }
        }
    }

    /// Reads a record whose lengths are known to be right.
    pub(crate) fn decode(&self, place: &Place, record: Record) -> Result<Opened<V>, Unusable> {
        let envelope = record.envelope(place.sealed_key());
        let unusable = match self.settings.codec.decode(record.flags(), record.payload(), &envelope) {
            Err(CodecError::Checksum) => Unusable::Corrupt,
            _ if record.schema() != self.schema => other_schema(record.schema(), self.schema),
            Ok(value) => {
                return Ok(Opened {
                    value: value.map(Arc::new),
                    record,
                });
            }
            Err(error) => {
                tracing::debug!(key = %self.label(place), %error, "a record does not decode");
                Unusable::Corrupt
            }
        };
        self.count(match unusable {
            Unusable::Corrupt => Count::DecodeFailures,
            Unusable::Older | Unusable::Newer => Count::SchemaMismatches,
        });
        Err(unusable)
    }

    /// The TTL that a whole value or a "there is none" begins with.
    pub(crate) fn full_ttl(&self, negative: bool) -> Duration {
        if negative {
            self.settings.negative_ttl
        } else {
            self.settings.ttl.span()
        }
    }

    /// The answer that a fresh record is, `soft_left` before it turns stale.
    pub(crate) fn fresh(&self, opened: &Opened<V>, soft_left: Duration) -> Lookup<V> {
        Lookup::fresh(
            opened.value.clone(),
            Tier::Store,
            soft_left,
            self.full_ttl(opened.value.is_none()),
        )
    }

    /// The answer that a record past its TTL is, or one that was marked stale.
    pub(crate) fn stale(&self, opened: &Opened<V>, now: f64) -> Lookup<V> {
        let negative = opened.value.is_none();
        let soft_at = match opened.record.soft_at() {
            // Marking erases the soft TTL. The hard one stays, and the grace is the time between the two.
            0.0 if negative => opened.record.hard_at(),
            0.0 => opened.record.hard_at() - self.settings.grace.as_secs_f64() * 1000.0,
            soft_at => soft_at,
        };
        let (overdue, early) = (span(now - soft_at), span(soft_at - now));
        Lookup::stale(
            opened.value.clone(),
            Tier::Store,
            self.full_ttl(negative),
            overdue,
            early,
        )
    }

    /// A value that came with a lease, `only_if_failed` for one that was marked stale; the store was asked at `sent`.
    pub(crate) fn old(
        &self,
        opened: &Opened<V>,
        found: Lookup<V>,
        got_at: f64,
        sent: Duration,
        only_if_failed: bool,
    ) -> Old<V> {
        Old {
            found,
            seen: sent,
            hard_left: span(opened.record.hard_at() - got_at),
            only_if_failed,
        }
    }
}

/// Two fingerprints at one revision are ordered too, so that two versions side by side do not overwrite each other in turn.
fn other_schema(theirs: Schema, ours: Schema) -> Unusable {
    if theirs.to_bytes() > ours.to_bytes() {
        Unusable::Newer
    } else {
        Unusable::Older
    }
}

/// Milliseconds as scripts count them; nothing for a negative span.
pub(crate) fn span(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms.max(0.0) / 1000.0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::span;
    use crate::settings::{IMMORTAL, millis};

    proptest! {
        #[test]
        fn any_number_of_a_header_is_a_span(ms: f64) {
            let read = span(ms);
            if ms.is_nan() || ms <= 0.0 {
                prop_assert!(read.is_zero());
            }
        }

        #[test]
        fn any_span_goes_to_a_server_and_back(secs: u64, nanos in 0u32..1_000_000_000) {
            let asked = std::time::Duration::new(secs, nanos);
            let sent = millis(asked);
            prop_assert!(sent <= millis(IMMORTAL) && (sent > 0 || asked.is_zero()));
            prop_assert!(sent < 1 << 53, "a script's numbers are exact up to there");
            if asked < IMMORTAL && sent > 1 {
                prop_assert_eq!(u128::from(sent), asked.as_millis());
                prop_assert!(span(sent as f64).abs_diff(asked) < std::time::Duration::from_micros(1_001));
            }
        }
    }
}
