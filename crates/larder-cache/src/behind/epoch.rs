//! The epoch in which a partition counts its writes: drawn from the sink, anew for every generation of the store and whenever
//! the count is lost (protocol 2).
//!
//! Without it a store that lost its tail would give numbers out again that the source has already, and the guard would
//! take newer writes for older ones. The same would happen if one was installed that had been drawn before a higher one, which
//! the store has lost since: so the store names what the epoch is drawn for, and takes it only there.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use larder_base::{CacheKey, failpoint};
use tokio::sync::Mutex;

use super::Behind;
use crate::{
    Error, SinkError,
    core::Core,
    layout::PARTITIONS,
    script::{BehindDraw, BehindEpoch, Installed},
    sink::AnySink,
};

/// Who draws an epoch for which partition.
pub(super) struct Epochs(Vec<Turn>);

/// One partition's.
struct Turn {
    /// Held while one caller draws: the others need the same, and have it then.
    drawing: Mutex<()>,
    drawn: AtomicU64,
}

impl Epochs {
    pub(super) fn new() -> Self {
        let turn = |_| Turn {
            drawing: Mutex::new(()),
            drawn: AtomicU64::new(0),
        };
        Self((0..PARTITIONS).map(turn).collect())
    }

    /// How many were drawn for `partition` in this process so far.
    pub(super) fn drawn(&self, partition: u8) -> u64 {
        self.0[usize::from(partition)].drawn.load(Ordering::Acquire)
    }
}

impl<K: CacheKey, V: Send + Sync + 'static> Core<K, V> {
    /// Draws an epoch and installs it for `generation`, unless another caller has since there were `before` of them.
    ///
    /// It is drawn for this partition alone. If the store lost the partition's count meanwhile, it is not installed, and the
    /// caller, who still needs one, draws again.
    pub(super) async fn draw_epoch(
        &self,
        behind: &Behind,
        sink: &dyn AnySink<K, V>,
        partition: u8,
        generation: &str,
        before: u64,
        within: Duration,
    ) -> Result<(), Error> {
        let turn = &behind.epochs.0[usize::from(partition)];
        let _turn = turn.drawing.lock().await;
        if turn.drawn.load(Ordering::Acquire) != before {
            return Ok(());
        }
        let keys = &behind.keys[usize::from(partition)];
        let name = self.random.bytes();
        let name = self.ask(&BehindDraw { keys, name }).await?;
        failpoint::reach("epoch undrawn");
        let claimed = self
            .clock
            .timeout(within, sink.claim_epoch(self.layout.namespace()))
            .await;
        let claimed = claimed.unwrap_or_else(|| Err(SinkError::retryable("it took longer than a write may wait")));
        let epoch = claimed.map_err(|error| self.sink_error("claim_epoch", "the namespace".to_owned(), error))?;
        failpoint::reach("epoch drawn");
        let step = BehindEpoch {
            keys,
            generation,
            epoch,
            name,
        };
        let installed = self.ask(&step).await?;
        failpoint::reach("epoch installed");
        if installed == Installed::Stands {
            turn.drawn.fetch_add(1, Ordering::AcqRel);
        }
        Ok(())
    }
}
