//! Client-side caching: who read which key, and the invalidation that follows a change.
//!
//! Reference: <https://redis.io/docs/latest/develop/reference/client-side-caching/>.
//!
//! In the default mode the table remembers, for each key, the clients that read it; the first change tells them
//! and forgets them, so a client must read again to be told again. In broadcast mode nothing is remembered: a
//! client names prefixes and hears of every change under them. A broadcast is sent when the command that made the
//! change is done, all its keys in one message; everything else is sent at once.
//!
//! The table is bounded by `tracking-table-max-keys`: beyond it a random key is forgotten, and its readers are told
//! as if it had changed. Clients that are gone stay in the table until their key changes; their ids are never
//! used again, so they are skipped, and a long list of readers is cleared of them before it grows.

use std::collections::{BTreeMap, BTreeSet};

use ahash::RandomState;
use indexmap::IndexMap;
use smallvec::SmallVec;

use crate::{
    Reply,
    client::{Client, ClientId, Resp},
    core::Core,
    db::Key,
};

/// The channel on which a RESP2 client that others redirect to hears of invalidations.
const CHANNEL: &str = "__redis__:invalidate";

/// How a client asked to be told.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrackingMode {
    /// Own changes are not announced to oneself; they end the tracking of the key all the same.
    pub(crate) no_loop: bool,
    pub(crate) gate: Gate,
    /// Set by `CLIENT CACHING` for the next command or transaction.
    pub(crate) caching: bool,
    /// Who is told instead of this client.
    pub(crate) redirect: Option<ClientId>,
    /// The client redirected to was found to be gone.
    pub(crate) redirect_broken: bool,
    /// In broadcast mode, the prefixes; empty otherwise.
    pub(crate) prefixes: BTreeSet<Vec<u8>>,
}

/// Which reads are remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Gate {
    #[default]
    Every,
    /// Those after `CLIENT CACHING YES`.
    OptIn,
    /// All but those after `CLIENT CACHING NO`.
    OptOut,
}

impl TrackingMode {
    pub(crate) fn is_broadcast(&self) -> bool {
        !self.prefixes.is_empty()
    }

    fn remembers(&self) -> bool {
        let wanted = match self.gate {
            Gate::Every => true,
            Gate::OptIn => self.caching,
            Gate::OptOut => !self.caching,
        };
        wanted && !self.is_broadcast()
    }
}

/// The clients that read a key, in order of their ids; mostly one or two.
type Readers = SmallVec<[ClientId; 2]>;

/// Which clients hold a copy of which key, and which listen to which prefix.
#[derive(Debug)]
pub(crate) struct TrackingTable {
    /// Dense, so that a random key to forget is found at once.
    readers: IndexMap<Key, Readers, RandomState>,
    prefixes: BTreeMap<Vec<u8>, Listeners>,
    /// How often a key was taken out, see [`state`](Self::state).
    removals: u64,
    /// Whether anyone ever tracked anything: until then, commands need not look.
    is_in_use: bool,
}

/// Who listens to a prefix, and the keys under it that the running command changed, each with the changer.
#[derive(Debug, Default)]
struct Listeners {
    clients: BTreeSet<ClientId>,
    changed: BTreeMap<Vec<u8>, Option<ClientId>>,
}

impl TrackingTable {
    pub(crate) fn new(hasher: &RandomState) -> Self {
        Self {
            readers: IndexMap::with_hasher(hasher.clone()),
            prefixes: BTreeMap::new(),
            removals: 0,
            is_in_use: false,
        }
    }

    /// Whether a client has asked to be told of anything.
    pub(crate) const fn is_in_use(&self) -> bool {
        self.is_in_use
    }

    /// From now on reads are remembered.
    pub(crate) fn enable(&mut self) {
        self.is_in_use = true;
    }

    /// While this stays the same, every key that was entered is still there: a script need not enter its keys again.
    pub(crate) const fn state(&self) -> u64 {
        self.removals
    }

    /// Keys that somebody read.
    pub(crate) fn keys(&self) -> usize {
        self.readers.len()
    }

    /// Pairs of a key and a client that read it.
    pub(crate) fn items(&self) -> usize {
        self.readers.values().map(SmallVec::len).sum()
    }

    /// Prefixes that somebody listens to.
    pub(crate) fn prefixes(&self) -> usize {
        self.prefixes.len()
    }

    fn take(&mut self, key: &[u8]) -> Option<Readers> {
        let readers = self.readers.swap_remove(key)?;
        self.removals += 1;
        Some(readers)
    }

    /// A client listens to a prefix from now on.
    pub(crate) fn listen(&mut self, client: ClientId, prefix: &[u8]) {
        self.prefixes.entry(prefix.to_vec()).or_default().clients.insert(client);
    }

    /// Ends what a client listens to.
    pub(crate) fn forget_client(&mut self, client: ClientId) {
        self.prefixes.retain(|_, listeners| {
            listeners.clients.remove(&client);
            !listeners.clients.is_empty()
        });
    }
}

impl Core {
    /// Remembers that a client read these keys, if it tracks what it reads.
    pub(crate) fn remember_reads<'k>(&mut self, client: ClientId, keys: impl IntoIterator<Item = &'k [u8]>) {
        let mode = self.clients.get(&client).and_then(|client| client.tracking.as_ref());
        if mode.is_some_and(TrackingMode::remembers) {
            for key in keys {
                self.remember_read(client, key);
            }
        }
    }

    fn remember_read(&mut self, client: ClientId, key: &[u8]) {
        let Some(readers) = self.tracking.readers.get_mut(key) else {
            self.tracking.readers.insert(key.into(), Readers::from_slice(&[client]));
            return;
        };
        if readers.len() == readers.capacity() {
            readers.retain(|id| self.clients.contains_key(id));
        }
        if let Err(position) = readers.binary_search(&client) {
            readers.insert(position, client);
        }
    }

    /// Tells every tracking client that read `key`, once; it must read again to be told again.
    pub(crate) fn invalidate_tracked(&mut self, key: &[u8], by: Option<ClientId>) {
        if !self.tracking.is_in_use {
            return;
        }
        for (prefix, listeners) in &mut self.tracking.prefixes {
            if key.starts_with(prefix) && !listeners.changed.contains_key(key) {
                listeners.changed.insert(key.to_vec(), by);
            }
        }
        for id in self.tracking.take(key).unwrap_or_default() {
            let mode = self.clients.get(&id).and_then(|client| client.tracking.as_ref());
            let told = mode.is_some_and(|mode| !(mode.is_broadcast() || mode.no_loop && by == Some(id)));
            if told {
                self.send_invalidation(id, Reply::bulks([key]));
            }
        }
    }

    /// Every database, or one of them, was emptied: each tracking client drops all it has.
    pub(crate) fn invalidate_everything(&mut self) {
        self.tracking.readers.clear();
        self.tracking.removals += 1;
        let tracking = self.clients.values().filter(|client| client.tracking.is_some());
        for id in tracking.map(|client| client.id).collect::<Vec<_>>() {
            self.send_invalidation(id, Reply::Null);
        }
    }

    /// What is left to do when a command is done: broadcasts, and the bound of the table.
    pub(crate) fn settle_tracking(&mut self) {
        if !self.tracking.prefixes.is_empty() {
            self.send_broadcasts();
        }
        let max = self.settings.tracking.keys_max;
        while max > 0 && self.tracking.readers.len() > max {
            let position = self.random.below(self.tracking.readers.len() as u64) as usize;
            let Some((key, _)) = self.tracking.readers.get_index(position) else {
                return;
            };
            let key = key.clone();
            self.invalidate_tracked(&key, None);
        }
    }

    fn send_broadcasts(&mut self) {
        let mut messages = Vec::new();
        for listeners in self.tracking.prefixes.values_mut() {
            let changed = std::mem::take(&mut listeners.changed);
            if changed.is_empty() {
                continue;
            }
            for id in &listeners.clients {
                let mode = self.clients.get(id).and_then(|client| client.tracking.as_ref());
                let no_loop = mode.is_some_and(|mode| mode.no_loop);
                let keys = changed.iter().filter(|(_, by)| !(no_loop && **by == Some(*id)));
                messages.push((*id, Reply::bulks(keys.map(|(key, _)| key))));
            }
        }
        for (id, keys) in messages {
            if keys != Reply::Array(Vec::new()) {
                self.send_invalidation(id, keys);
            }
        }
    }

    /// Sends to a tracking client, or to the one that it redirects to. In RESP2 only the latter can be told, by
    /// a message as if it came from a channel.
    fn send_invalidation(&mut self, id: ClientId, keys: Reply) {
        let redirect = self
            .clients
            .get(&id)
            .and_then(|client| client.tracking.as_ref()?.redirect);
        let Some(target) = self.clients.get_mut(&redirect.unwrap_or(id)) else {
            self.report_broken_redirect(id);
            return;
        };
        if target.resp == Resp::V3 {
            target.push(Reply::Push(vec![Reply::bulk("invalidate"), keys]));
        } else if redirect.is_some() && target.is_subscriber() {
            target.push(Reply::Push(vec![Reply::bulk("message"), Reply::bulk(CHANNEL), keys]));
        }
    }

    fn report_broken_redirect(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let Some(Client {
            resp,
            tracking: Some(mode),
            ..
        }) = Some(&mut *client)
        else {
            return;
        };
        mode.redirect_broken = true;
        if let (Resp::V3, Some(gone)) = (*resp, mode.redirect) {
            let gone = Reply::Int(gone.0 as i64);
            client.push(Reply::Push(vec![Reply::bulk("tracking-redir-broken"), gone]));
        }
    }

    /// A client tracks no more: `CLIENT TRACKING OFF`, `RESET`.
    pub(crate) fn stop_tracking(&mut self, id: ClientId) {
        self.tracking.forget_client(id);
        if let Some(client) = self.clients.get_mut(&id) {
            client.tracking = None;
        }
    }
}

#[cfg(test)]
mod tests;
