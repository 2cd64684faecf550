//! Client-side caching: who read which key, and the invalidation that follows a change.
//!
//! Reference: <https://redis.io/docs/latest/develop/reference/client-side-caching/>.

use std::collections::BTreeSet;

use ahash::HashMap;

use crate::{Reply, client::ClientId, core::Core, db::Key};

/// How a client asked to be told.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrackingMode {
    /// Own changes are not announced to oneself; they end the tracking of the key all the same.
    pub(crate) no_loop: bool,
}

/// Which clients hold a copy of which key.
#[derive(Debug, Default)]
pub(crate) struct TrackingTable {
    readers: HashMap<Key, BTreeSet<ClientId>>,
    /// How often a key was taken out, see [`state`](Self::state).
    removals: u64,
}

impl TrackingTable {
    pub(crate) fn remember(&mut self, client: ClientId, key: &[u8]) {
        match self.readers.get_mut(key) {
            Some(clients) => _ = clients.insert(client),
            None => _ = self.readers.insert(key.into(), BTreeSet::from([client])),
        }
    }

    /// While this stays the same, every key that was entered is still there: a script need not enter its keys again.
    pub(crate) const fn state(&self) -> u64 {
        self.removals
    }

    /// Drops a client that is gone from every key.
    pub(crate) fn forget_client(&mut self, client: ClientId) {
        self.readers.retain(|_, clients| {
            clients.remove(&client);
            !clients.is_empty()
        });
    }
}

impl Core {
    /// Tells every tracking client that read `key`, once; it must read again to be told again.
    pub(crate) fn invalidate_tracked(&mut self, key: &[u8], by: Option<ClientId>) {
        let Some(clients) = self.tracking.readers.remove(key) else {
            return;
        };
        self.tracking.removals += 1;
        for id in clients {
            let Some(client) = self.clients.get_mut(&id) else {
                continue;
            };
            let Some(mode) = &client.tracking else { continue };
            if !(mode.no_loop && by == Some(id)) {
                client.push(Reply::Push(vec![Reply::bulk("invalidate"), Reply::bulks([key])]));
            }
        }
    }
}
