//! `MULTI` and `WATCH`: commands that wait for `EXEC`, and keys whose change makes it fail.
//!
//! Reference: <https://redis.io/docs/latest/develop/interact/transactions/>. The engine runs one command at a time, so
//! a transaction is atomic by itself. A watched key counts as changed also when it expires, is evicted or
//! flushed, and when the watching client changes it.

use ahash::{HashMap, RandomState};
use smallvec::SmallVec;

use crate::{
    ErrorReply,
    client::ClientId,
    command::{Command, Flags},
    core::Core,
    db::Key,
};

/// A client's transaction.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    /// What waits for `EXEC`; `None` outside `MULTI`.
    pub(crate) queue: Option<Queue>,
    watched: Vec<(usize, Key)>,
    /// A watched key changed.
    dirty: bool,
}

/// The commands between `MULTI` and `EXEC`.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) commands: Vec<Queued>,
    /// A command was refused, so `EXEC` will refuse them all.
    pub(crate) flawed: bool,
    bytes: usize,
}

/// A command that waits.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) command: Command,
    pub(crate) args: Vec<Vec<u8>>,
}

impl Queue {
    /// Whether a command in it is refused when memory is full.
    pub(crate) fn needs_memory(&self) -> bool {
        self.commands
            .iter()
            .any(|queued| queued.command.flags.has(Flags::DENYOOM))
    }

    /// Whether a command in it changes data.
    pub(crate) fn writes(&self) -> bool {
        self.commands
            .iter()
            .any(|queued| queued.command.flags.has(Flags::WRITE))
    }

    /// Adds a command, if all of them together hold at most `bytes_max` bytes.
    pub(crate) fn add(&mut self, command: Command, args: &[&[u8]], bytes_max: usize) -> Result<(), ErrorReply> {
        /// What holding an argument costs beside its bytes.
        const ARGUMENT_OVERHEAD: usize = size_of::<Vec<u8>>() + 16;
        let bytes: usize = args.iter().map(|arg| arg.len() + ARGUMENT_OVERHEAD).sum();
        if self.bytes + bytes > bytes_max {
            return Err(ErrorReply::TRANSACTION_TOO_LARGE);
        }
        self.bytes += bytes;
        let args = args.iter().map(|arg| arg.to_vec()).collect();
        self.commands.push(Queued { command, args });
        Ok(())
    }
}

impl Transaction {
    /// A command was refused while others wait.
    pub(crate) fn flaw(&mut self) {
        if let Some(queue) = &mut self.queue {
            queue.flawed = true;
        }
    }
}

/// Which clients watch which key.
#[derive(Debug)]
pub(crate) struct Watchers(HashMap<(usize, Key), SmallVec<[ClientId; 1]>>);

impl Watchers {
    pub(crate) fn new(hasher: &RandomState) -> Self {
        Self(HashMap::with_hasher(hasher.clone()))
    }
}

impl Core {
    /// A client watches a key from now on.
    pub(crate) fn watch(&mut self, id: ClientId, db: usize, key: &[u8]) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let transaction = &mut client.transaction;
        let known = transaction
            .watched
            .iter()
            .any(|(at, watched)| *at == db && **watched == *key);
        // A transaction that is lost already needs no more keys.
        if known || transaction.dirty {
            return;
        }
        let key: Key = key.into();
        transaction.watched.push((db, key.clone()));
        self.watchers.0.entry((db, key)).or_default().push(id);
    }

    /// A client watches nothing any more, and what changed before does not count.
    pub(crate) fn unwatch(&mut self, id: ClientId) {
        self.release_watched(id);
        if let Some(client) = self.clients.get_mut(&id) {
            client.transaction.dirty = false;
        }
    }

    fn release_watched(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        for watched in std::mem::take(&mut client.transaction.watched) {
            if let Some(clients) = self.watchers.0.get_mut(&watched) {
                clients.retain(|watcher| *watcher != id);
                if clients.is_empty() {
                    self.watchers.0.remove(&watched);
                }
            }
        }
    }

    /// A key changed: transactions that rest on it are lost.
    pub(crate) fn touch_watched(&mut self, db: usize, key: &[u8]) {
        if self.watchers.0.is_empty() {
            return;
        }
        let watchers = self.watchers.0.remove(&(db, key.into()));
        for id in watchers.unwrap_or_default() {
            self.spoil(id);
        }
    }

    fn spoil(&mut self, id: ClientId) {
        self.release_watched(id);
        if let Some(client) = self.clients.get_mut(&id) {
            client.transaction.dirty = true;
        }
    }

    /// A whole database is about to change. Watched keys that exist in it change, and those that will exist.
    pub(crate) fn touch_watched_in(&mut self, db: usize, replaced_by: Option<usize>) {
        let exists = |at: usize, key: &Key| self.dbs[at].entry(key).is_some();
        let changes = |key: &Key| exists(db, key) || replaced_by.is_some_and(|other| exists(other, key));
        let watched = self
            .watchers
            .0
            .iter()
            .filter(|((at, key), _)| *at == db && changes(key));
        let mut clients: Vec<ClientId> = watched.flat_map(|(_, clients)| clients.iter().copied()).collect();
        clients.sort_unstable();
        clients.dedup();
        clients.into_iter().for_each(|id| self.spoil(id));
    }

    /// Whether a watched key has changed or passed its deadline.
    pub(crate) fn is_spoiled(&self, id: ClientId, now: u64) -> bool {
        let Some(client) = self.clients.get(&id) else {
            return false;
        };
        let expired = |(db, key): &(usize, Key)| self.dbs[*db].entry(key).is_some_and(|entry| entry.is_expired(now));
        client.transaction.dirty || client.transaction.watched.iter().any(expired)
    }
}
