//! The hit of a store without a script, and the near copy that a hit leaves.

use std::time::Duration;

use larder_base::CacheKey;
use redis::Value;
use serde::de::DeserializeOwned;

use crate::{
    Error,
    coherence::{Copied, Marked},
    core::{Core, Place},
    open::{Opened, span},
    record::Record,
};

impl<K, V> Core<K, V>
where
    K: CacheKey,
    V: DeserializeOwned + Send + Sync + 'static,
{
    /// `MGET E M`, taken if it is certain to be fresh: the record, and for how long it stays so.
    pub(crate) async fn fast_read(&self, place: &Place, sent: Duration) -> Result<Option<(Record, Duration)>, Error> {
        let Some(now) = self.server.latest(sent) else {
            return Ok(None);
        };
        let Some((record, meta)) = self.read_raw(place).await? else {
            return Ok(None);
        };
        let valid = record.is_valid_now(&meta, now);
        Ok(valid.then(|| {
            let soft_left = span(record.soft_at() - now);
            (record, soft_left)
        }))
    }

    /// E and M as they stand.
    async fn read_raw(&self, place: &Place) -> Result<Option<(Record, Vec<u8>)>, Error> {
        let mut command = redis::cmd("MGET");
        command.arg(place.keys.e().as_ref()).arg(place.keys.m().as_ref());
        let reply = self.store.run(&command).await;
        let items = match reply.map_err(|error| self.store_error("MGET", error))? {
            Value::Array(items) => items,
            _ => return Ok(None),
        };
        let mut items = items.into_iter();
        match (items.next(), items.next()) {
            (Some(Value::BulkString(e)), Some(Value::BulkString(m))) => Ok(Record::parse(e).map(|record| (record, m))),
            _ => Ok(None),
        }
    }

    /// How long before a value turns stale it is refreshed: a share of the TTL, or by XFetch (Vattani, Chierichetti and
    /// Lowenstein, *Optimal probabilistic cache stampede prevention*, VLDB 2015), whichever is earlier.
    pub(crate) fn early_span(&self, opened: &Opened<V>) -> Duration {
        let by_share = self.settings.refresh_ahead.map_or(Duration::ZERO, |share| {
            self.full_ttl(opened.value.is_none()).mul_f64(1.0 - share)
        });
        let by_cost = self.settings.xfetch.map_or(Duration::ZERO, |beta| {
            let cost = Duration::from_millis(u64::from(opened.record.load_cost_ms()));
            // 1 - U is in (0, 1], whose logarithm is finite.
            cost.mul_f64(beta * -(1.0 - self.random.unit()).ln())
        });
        by_share.max(by_cost)
    }

    /// Keeps a fresh value in the near tier: until it turns stale, or until it is to be looked at for a refresh.
    pub(crate) fn install(
        &self,
        place: &Place,
        marked: &Marked<K, V>,
        opened: &Opened<V>,
        sent: Duration,
        soft_left: Duration,
        look_early: bool,
    ) {
        // A push names a long key by its digest, which nobody can turn back into the key.
        if !self.near.has_near() || !place.address.is_reversible() {
            return;
        }
        let early = if look_early {
            self.early_span(opened)
        } else {
            Duration::ZERO
        };
        marked.install(Copied {
            value: opened.value.clone(),
            uid: opened.record.uid(),
            tagged: opened.record.is_tagged(),
            sent,
            fresh_for: soft_left.saturating_sub(early),
        });
    }
}
