//! The settings of timelines.

use std::{marker::PhantomData, sync::Arc};

use larder_base::CacheKey;
use larder_store::Store;

use super::{CAPACITY_MAX, SERIES, Timeline, TimelineError, timeline::Inner};
use crate::{Retention, figures::Tally, names::Namespace};

/// The items a timeline keeps unless said: more pages than people turn.
const CAPACITY: usize = 1_000;

/// Builds a [`Timeline`].
#[derive(Debug)]
#[must_use]
pub struct TimelineBuilder<O, I> {
    namespace: String,
    store: Option<Store>,
    capacity: usize,
    retention: Option<Retention>,
    kinds: PhantomData<fn() -> (O, I)>,
}

impl<O: CacheKey, I: CacheKey> TimelineBuilder<O, I> {
    pub(super) fn new(namespace: String) -> Self {
        Self {
            namespace,
            store: None,
            capacity: CAPACITY,
            retention: None,
            kinds: PhantomData,
        }
    }

    /// Where the timelines are kept. Required.
    pub fn store(mut self, store: &Store) -> Self {
        self.store = Some(store.clone());
        self
    }

    /// How many items each timeline keeps, the newest: 1,000 unless said, 10,000 at most.
    pub const fn capacity(mut self, items: usize) -> Self {
        self.capacity = items;
        self
    }

    /// How long a timeline is kept after its last write. Required.
    pub const fn retention(mut self, retention: Retention) -> Self {
        self.retention = Some(retention);
        self
    }

    /// The timelines. Nothing is sent.
    ///
    /// # Errors
    /// [`TimelineError::Config`] for a setting that is missing or cannot be meant.
    pub fn build(self) -> Result<Timeline<O, I>, TimelineError> {
        let missing = |what| TimelineError::config(format!("the timeline {:?} has no {what}", self.namespace));
        let namespace = Namespace::new(&self.namespace)?;
        let store = self
            .store
            .clone()
            .ok_or_else(|| missing("store; say `.store(&store)`"))?;
        let retention = self.retention.ok_or_else(|| {
            missing("retention; say `.retention(Retention::For(..))`, after which a source rebuilds it")
        })?;
        if !(1..=CAPACITY_MAX).contains(&self.capacity) {
            return Err(TimelineError::config(format!(
                "a capacity of {} is not between 1 and {CAPACITY_MAX}",
                self.capacity
            )));
        }
        Ok(Timeline::of(Arc::new(Inner {
            tally: Tally::of("timeline", namespace.text(), SERIES),
            namespace,
            store,
            capacity: self.capacity,
            keep: retention.millis().map_err(TimelineError::config)?,
        })))
    }
}
