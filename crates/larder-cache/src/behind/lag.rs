//! How far the source is behind.

use std::time::Duration;

use larder_base::CacheKey;
use larder_store::ScriptCall;

use super::Behind;
use crate::{
    Error,
    core::Core,
    open::span,
    script::{BehindLag, Step},
};

/// What waits to be flushed, of all processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lag {
    /// Keys and counters whose last change the source does not have.
    pub entries: u64,
    /// Their bytes, keys included.
    pub bytes: u64,
    /// For how long at least the oldest of them has been waiting; zero if none does.
    pub oldest: Duration,
    /// Changes that the source refused for good.
    pub dead_letters: u64,
}

impl<K: CacheKey, V: Send + Sync + 'static> Core<K, V> {
    pub(crate) async fn lag(&self, behind: &Behind) -> Result<Lag, Error> {
        let calls: Vec<ScriptCall> = behind.keys.iter().map(|keys| BehindLag { keys }.call()).collect();
        let sent = self.now();
        let mut lag = Lag::default();
        for reply in self.store.call_many(&calls).await {
            let reply = reply.map_err(|error| self.store_error("wblag", error))?;
            let partition = self.parse::<BehindLag<'_>>("wblag", reply, sent)?;
            lag.entries += partition.entries;
            lag.bytes += partition.bytes;
            lag.dead_letters += partition.dead;
            lag.oldest = lag.oldest.max(span(partition.age_ms));
        }
        *behind.lag.lock() = Some(lag);
        Ok(lag)
    }

    /// For the metrics, which show the last one that there was an answer to.
    pub(super) async fn measure_lag(&self, behind: &Behind) {
        if let Err(error) = self.lag(behind).await {
            tracing::debug!(%error, "how much waits to be flushed is not known");
        }
    }

    /// How many changes wait.
    pub(super) async fn waiting(&self, behind: &Behind) -> Option<u64> {
        self.lag(behind).await.ok().map(|lag| lag.entries)
    }
}
