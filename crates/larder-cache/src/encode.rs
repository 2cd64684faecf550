//! From a typed value to a record: its times, its tags, its bytes. The other way is `open`.

use std::time::Duration;

use larder_base::{
    CacheKey,
    codec::{Encoded, Envelope},
};
use serde::Serialize;

use crate::{
    Error, ErrorKind,
    context::Notes,
    core::{Core, Place},
    script::NewValue,
    settings::{MAX_TAGS, TAG_BYTES, millis},
};

impl<K, V> Core<K, V>
where
    K: CacheKey,
    V: Serialize + Send + Sync + 'static,
{
    /// Soft and hard TTL in ms. The soft one lies in [(1 - jitter) * `ttl`, `ttl`], so that what was stored together
    /// does not expire together. The protocol allows a spread to both sides; this one goes downwards only, so that no value
    /// stays fresh for longer than was asked for. A "there is none" has no grace.
    pub(crate) fn spans(&self, ttl: Duration, negative: bool) -> (u64, u64) {
        if ttl >= crate::settings::IMMORTAL {
            return (millis(ttl), millis(ttl));
        }
        let spread = 1.0 - self.settings.jitter * self.random.unit();
        let soft = ttl.mul_f64(spread);
        let hard = if negative {
            soft
        } else {
            soft.saturating_add(self.settings.grace)
        };
        (millis(soft), millis(hard))
    }

    /// `value` as it goes into the store; `None` is "there is none".
    pub(crate) fn new_value(
        &self,
        place: &Place,
        value: Option<&V>,
        notes: &Notes,
        cost: Duration,
    ) -> Result<NewValue, Error> {
        let envelope = Envelope {
            schema: self.schema,
            source_version: notes.version,
            key: place.sealed_key(),
        };
        let encoded: Encoded = match value {
            Some(value) => self.settings.codec.encode(value, &envelope).map_err(|source| {
                Error::from(ErrorKind::Encode {
                    key: self.label(place),
                    source,
                })
            })?,
            None => self.settings.codec.encode_negative(&envelope),
        };
        let tags = self.tags(place, value, notes)?;
        let negative = value.is_none();
        let ttl = if negative {
            self.settings.negative_ttl
        } else {
            notes.ttl.unwrap_or(self.settings.ttl.span())
        };
        let (soft_ms, hard_ms) = self.spans(ttl, negative);
        let schema = self.schema.to_bytes();
        Ok(NewValue {
            soft_ms,
            hard_ms,
            encoded,
            version: notes.version,
            schema,
            cost_ms: cost_ms(cost),
            tags,
        })
    }

    fn tags(&self, place: &Place, value: Option<&V>, notes: &Notes) -> Result<Vec<String>, Error> {
        let mut tags = notes.tags.clone();
        if let (Some(find), Some(value)) = (&self.settings.tags, value) {
            tags.extend(find(value));
        }
        tags.sort_unstable();
        tags.dedup();
        let refuse = |why: String| {
            Err(Error::from(ErrorKind::Tags {
                key: self.label(place),
                why,
            }))
        };
        if tags.len() > MAX_TAGS {
            return refuse(format!("it has {} tags", tags.len()));
        }
        if let Some(bad) = tags.iter().find(|tag| tag.is_empty() || tag.len() > TAG_BYTES) {
            return refuse(format!("one of its tags has {} bytes", bad.len()));
        }
        Ok(tags)
    }
}

pub(crate) fn cost_ms(cost: Duration) -> u32 {
    u32::try_from(cost.as_millis()).unwrap_or(u32::MAX)
}
