//! Telling everyone who watches a key that it changed.

use crate::{client::ClientId, core::Core};

/// The class of a keyspace event, as `notify-keyspace-events` selects it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Generic,
    String,
    List,
    Set,
    Hash,
    SortedSet,
    Expired,
    Evicted,
}

impl Core {
    /// `key` of database `db` was changed by `by` (none: by time or by eviction).
    pub(crate) fn announce(&mut self, db: usize, key: &[u8], by: Option<ClientId>, class: Class, event: &'static str) {
        self.signal(db, key, by);
        self.event(db, key, class, event);
    }

    /// Tells those who decide by the key's state: transactions that watch it, clients that hold a copy.
    pub(crate) fn signal(&mut self, db: usize, key: &[u8], by: Option<ClientId>) {
        let _ = db;
        self.invalidate_tracked(key, by);
    }

    /// Tells the subscribers of keyspace events.
    pub(crate) fn event(&mut self, _db: usize, _key: &[u8], _class: Class, _event: &'static str) {}

    /// Removes a key whose deadline has passed, and announces it.
    pub(crate) fn expire(&mut self, db: usize, key: &[u8]) {
        if self.dbs[db].take(key).is_some() {
            self.announce(db, key, None, Class::Expired, "expired");
        }
    }
}
