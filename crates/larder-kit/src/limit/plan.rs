//! The limits that a process goes by, and what it holds under them: all of it changes at once.

use std::{sync::Arc, time::Duration};

use larder_base::Clock;

use super::{OnStoreDown, held::Held, limits::Named, local::Local};

/// What the builder was told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) refresh: Duration,
    pub(super) batch: u64,
    pub(super) believed: Duration,
    pub(super) on_store_down: OnStoreDown,
}

/// The limits in force, and what this process holds under them.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) revision: u64,
    /// When this process put them in force: what was asked before says nothing about them.
    pub(super) since: Duration,
    pub(super) limits: Arc<[Named]>,
    /// `None` where nothing is to be held.
    pub(super) held: Option<Held>,
    pub(super) local: Option<Local>,
}

impl Plan {
    pub(super) fn new(revision: u64, limits: Arc<[Named]>, settings: &Settings, clock: &Clock) -> Self {
        let smallest = limits.iter().map(|named| named.limit.capacity()).min();
        let batch = settings.batch.min(smallest.unwrap_or(0));
        let local = match settings.on_store_down {
            OnStoreDown::Local { share } => Some(Local::new(&limits, share, clock)),
            OnStoreDown::Open | OnStoreDown::Closed => None,
        };
        Self {
            revision,
            since: clock.monotonic(),
            held: Held::new(batch, settings.believed),
            local,
            limits,
        }
    }
}
