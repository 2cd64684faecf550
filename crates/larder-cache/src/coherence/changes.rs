//! What ends copies: a change of a key, of a partition, or of everything (R2).

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use larder_base::CacheKey;

use super::NearTier;
use crate::{
    marker::Marker,
    mutant::{self, Mutant},
    partition::{MetaWrite, Suspect},
    record::Meta,
};

impl<K: CacheKey, V> NearTier<K, V> {
    /// Somebody changed `key`: its copy is gone, and what is being read of it now is not installed.
    pub(crate) fn changed(&self, key: &K) {
        if self.watches {
            self.markers.poison(key, None);
            self.drop_copy(key);
        }
    }

    /// As [`changed`](Self::changed), and nothing is installed for `key` before [`end_write`](Self::end_write).
    pub(crate) fn begin_write(&self, key: &K, own: Option<&Arc<Marker>>) {
        if mutant::lives(Mutant::M29) {
            return;
        }
        if self.has_near() {
            self.markers.begin_write(key, own);
            self.drop_copy(key);
        } else if self.watches {
            self.markers.poison(key, own);
        }
    }

    /// Ends what [`begin_write`](Self::begin_write) began.
    pub(crate) fn end_write(&self, key: &K, changed: bool, own: Option<&Arc<Marker>>) {
        if mutant::lives(Mutant::M29) {
            return;
        }
        if self.has_near() {
            self.markers.end_write(key, changed, own);
        } else if self.watches && changed {
            self.markers.poison(key, own);
        }
    }

    /// R2, own tag invalidation or clear: every copy of every partition is in doubt until it is over, and then until M,
    /// which is no longer tracked, was read again.
    pub(crate) fn writing_metas(&self) -> Option<MetaWrite<'_>> {
        self.has_near().then(|| self.partitions.writing())
    }

    /// Every copy of a partition is dead.
    pub(crate) fn kill(&self, partition: u8) {
        self.partitions.kill(partition);
    }

    /// M of a partition was written.
    pub(crate) fn suspect(&self, partition: u8) {
        self.partitions.suspect(partition);
    }

    /// Waits until some partition is suspect; which ones are.
    pub(crate) async fn suspects(&self) -> Vec<Suspect> {
        self.partitions.suspects().await
    }

    /// What `GET M` said of a partition that was suspect; `None` if there is no M or no answer.
    pub(crate) fn settle(&self, suspect: Suspect, meta: Option<Meta>) {
        self.partitions.settle(suspect, meta);
    }

    /// Ends the writes that were given up before `sent`: the server has run them.
    pub(super) fn end_given_up(&self, sent: Duration) {
        let settled = self.given_up.settle(sent);
        settled.keys.iter().for_each(|key| self.end_write(key, true, None));
        if settled.all {
            self.markers.poison_all();
            self.clear();
        }
    }

    fn drop_copy(&self, key: &K) {
        if let Some(near) = &self.near {
            near.remove(key);
        }
    }

    /// Drops every copy, and what is about to be installed.
    pub(crate) fn drop_all(&self) {
        self.next_epoch(|epoch| epoch.wrapping_add(2));
        self.markers.poison_all();
        self.clear();
    }

    /// Drops every copy.
    pub(crate) fn clear(&self) {
        if let Some(near) = &self.near {
            near.clear();
        }
    }

    /// Moves the epoch on: every copy of the one before is dead.
    pub(super) fn next_epoch(&self, next: impl Fn(u32) -> u32) {
        let _previous = self
            .epoch
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |epoch| Some(next(epoch)));
    }
}
