//! A read on its way: registered before it is sent, and installed only if nothing happened to its key meanwhile (R1, R3).

use std::{hash::Hash, sync::Arc, time::Duration};

use larder_base::CacheKey;
use larder_near::{Entry, Stamp};

use super::NearTier;
use crate::{
    marker::Marker,
    mutant::{self, Mutant},
    partition::is_suspect,
    record::Uid,
};

/// A value on its way into the near tier.
pub(crate) struct Copied<V> {
    /// `None`: there is none.
    pub(crate) value: Option<Arc<V>>,
    pub(crate) uid: Uid,
    pub(crate) tagged: bool,
    /// When the request was sent, on the monotonic clock.
    pub(crate) sent: Duration,
    /// How long it may be served from then.
    pub(crate) fresh_for: Duration,
}

impl<K: CacheKey, V> NearTier<K, V> {
    /// R1: to be called before the request is written.
    pub(crate) fn mark(self: &Arc<Self>, key: &K, partition: u8) -> Marked<K, V> {
        self.mark_if(self.watches, key, partition)
    }

    /// As [`mark`](Self::mark), for a read that waits for nobody: only a copy may come of it.
    pub(crate) fn mark_copy(self: &Arc<Self>, key: &K, partition: u8) -> Marked<K, V> {
        self.mark_if(self.has_near(), key, partition)
    }

    fn mark_if(self: &Arc<Self>, registers: bool, key: &K, partition: u8) -> Marked<K, V> {
        let marker = Marker::new(self.epoch(), self.partitions.revisions(partition));
        if registers {
            self.markers.register(key, &marker);
        }
        // After that: what becomes pending later poisons the marker.
        let quarantined = !self.pending.is_empty() && self.pending.quarantines(&self.layout.address(key).e);
        Marked {
            tier: self.clone(),
            key: key.clone(),
            partition,
            marker,
            registered: registers,
            quarantined,
        }
    }
}

/// A registered read; gone from the table when dropped.
pub(crate) struct Marked<K: Clone + Eq + Hash, V> {
    tier: Arc<NearTier<K, V>>,
    key: K,
    partition: u8,
    marker: Arc<Marker>,
    registered: bool,
    quarantined: bool,
}

impl<K: Clone + Eq + Hash, V> Drop for Marked<K, V> {
    fn drop(&mut self) {
        if self.registered {
            self.tier.markers.unregister(&self.key, &self.marker);
        }
    }
}

impl<K: CacheKey, V> Marked<K, V> {
    pub(crate) fn marker(&self) -> Arc<Marker> {
        self.marker.clone()
    }

    /// Waits until somebody touches the key; for ever where nobody tells.
    pub(crate) async fn touched(&self) {
        self.marker.touched().await;
    }

    /// R3: installs what was read unless the key was touched since [`NearTier::mark`]. Epoch and revision of that
    /// moment go into the copy: if either moved, it is never served.
    pub(crate) fn install(&self, copied: Copied<V>) {
        let Some(near) = &self.tier.near else { return };
        let fresh_for = self
            .tier
            .max_age
            .map_or(copied.fresh_for, |max| max.min(copied.fresh_for));
        let late;
        let marker = if mutant::lives(Mutant::M7) {
            late = Marker::new(self.tier.epoch(), self.tier.partitions.revisions(self.partition));
            &late
        } else {
            &self.marker
        };
        let revision = marker.revision(copied.tagged);
        if fresh_for.is_zero() || self.quarantined || marker.epoch % 2 == 1 || is_suspect(revision) {
            return;
        }
        let stamp = Stamp {
            uid: u64::from_be_bytes(copied.uid),
            epoch: marker.epoch,
            marker: revision,
            partition: self.partition,
            tagged: copied.tagged,
        };
        let entry = Entry::new(copied.value, copied.sent.saturating_add(fresh_for), stamp);
        self.tier
            .markers
            .if_clean(&self.key, marker, || near.install(self.key.clone(), entry));
    }
}
