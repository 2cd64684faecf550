//! Telling everyone who watches a key that it changed.

use crate::{client::ClientId, core::Core};

/// The class of a keyspace event, as `notify-keyspace-events` selects it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Generic,
    String,
    Hash,
    List,
    Set,
    SortedSet,
    Expired,
}

impl Core {
    /// `key` of database `db` was changed by `by` (none: by time or by eviction).
    pub(crate) fn announce(
        &mut self,
        db: usize,
        key: &[u8],
        by: Option<ClientId>,
        _class: Class,
        _event: &'static str,
    ) {
        let _ = db;
        self.invalidate_tracked(key, by);
    }

    /// Removes a key whose deadline has passed, and announces it.
    pub(crate) fn expire(&mut self, db: usize, key: &[u8]) {
        if self.dbs[db].take(key).is_some() {
            self.announce(db, key, None, Class::Expired, "expired");
        }
    }
}
