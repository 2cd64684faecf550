//! What a command sees: the keyspace of the client's database, the time, the client itself.
//!
//! Reading goes through [`Ctx::read`], which lets an expired key vanish first. Changing goes through
//! [`Ctx::update`], [`Ctx::upsert`], [`Ctx::put`] and [`Ctx::remove`], and **every change is followed by one
//! [`Ctx::modified`]**, which removes a collection that became empty and tells everyone who watches the key:
//! transactions, tracking clients, subscribers of keyspace events.

use std::time::Duration;

use crate::{
    ErrorReply, Reply,
    client::{Client, ClientId, Resp},
    core::Core,
    db::{Db, Entry},
    notify::Class,
    value::{Kind, Value},
};

pub(crate) struct Ctx<'a> {
    pub(crate) core: &'a mut Core,
    pub(crate) client: ClientId,
    /// Frozen for the length of a command, a script or a transaction, as in Redis.
    now: Duration,
    /// The selected database when the command began; `SELECT` and `SWAPDB` write the client's own.
    pub(crate) db: usize,
}

impl<'a> Ctx<'a> {
    pub(crate) fn new(core: &'a mut Core, client: ClientId, now: Duration) -> Self {
        let db = core.clients.get(&client).map_or(0, |client| client.db);
        Self { core, client, now, db }
    }

    /// Unix milliseconds.
    pub(crate) fn now(&self) -> u64 {
        self.now.as_millis() as u64
    }

    /// Unix time, exact.
    pub(crate) fn time(&self) -> Duration {
        self.now
    }

    pub(crate) fn client(&mut self) -> &mut Client {
        self.core
            .clients
            .get_mut(&self.client)
            .expect("a command runs for a client that is registered")
    }

    pub(crate) fn resp(&self) -> Resp {
        self.core
            .clients
            .get(&self.client)
            .map_or(Resp::V2, |client| client.resp)
    }

    pub(crate) fn db(&mut self) -> &mut Db {
        &mut self.core.dbs[self.db]
    }

    // --- reading ---

    /// The entry at `key`, unless it is absent or expired; an expired one is removed and announced.
    pub(crate) fn entry(&mut self, key: &[u8]) -> Option<&Entry> {
        let now = self.now();
        let expired = self.core.dbs[self.db]
            .entry(key)?
            .expires_at
            .is_some_and(|at| at <= now);
        if expired {
            self.expire(key);
            return None;
        }
        let db = &mut self.core.dbs[self.db];
        db.touch(key, now);
        db.entry(key)
    }

    /// The value at `key` as a `T`; an error if it is of another type.
    pub(crate) fn read<T: Kind>(&mut self, key: &[u8]) -> Result<Option<&T>, ErrorReply> {
        self.entry(key).map(|entry| entry.value.get::<T>()).transpose()
    }

    pub(crate) fn exists(&mut self, key: &[u8]) -> bool {
        self.entry(key).is_some()
    }

    // --- changing: follow each with `modified` ---

    /// Changes the `T` at `key`, if there is one.
    pub(crate) fn update<T: Kind, R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<Option<R>, ErrorReply> {
        if self.entry(key).is_none() {
            return Ok(None);
        }
        self.db()
            .change(key, |entry| entry.value.get_mut::<T>().map(change))
            .transpose()
    }

    /// Changes the `T` at `key`, creating an empty one first if there is none.
    pub(crate) fn upsert<T: Kind + Default, R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<R, ErrorReply> {
        if self.entry(key).is_none() {
            let now = self.now();
            self.db().put(key, T::default().into_value(), None, now);
        }
        self.db()
            .change(key, |entry| entry.value.get_mut::<T>().map(change))
            .expect("the key was just found or created")
    }

    /// Puts a value with this deadline (Unix ms) in place of whatever was there.
    pub(crate) fn put(&mut self, key: &[u8], value: Value, expires_at: Option<u64>) {
        let now = self.now();
        self.db().put(key, value, expires_at, now);
    }

    /// Takes the entry at `key` away; `None` if absent or expired.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        self.entry(key)?;
        self.db().take(key)
    }

    /// Announces that this command changed `key`: the one place where watchers, tracking clients and subscribers
    /// of keyspace events learn of it. A collection that became empty goes, as a `del`.
    pub(crate) fn modified(&mut self, key: &[u8], class: Class, event: &'static str) {
        self.core.announce(self.db, key, Some(self.client), class, event);
        let emptied = self.core.dbs[self.db]
            .entry(key)
            .is_some_and(|entry| entry.value.is_empty());
        if emptied {
            self.core.dbs[self.db].take(key);
            self.core
                .announce(self.db, key, Some(self.client), Class::Generic, "del");
        }
    }

    fn expire(&mut self, key: &[u8]) {
        self.core.expire(self.db, key);
    }

    /// `OK`, for commands that have nothing else to say.
    #[allow(clippy::unnecessary_wraps, reason = "reads as the last line of a handler")]
    pub(crate) fn ok(&self) -> Result<Reply, ErrorReply> {
        Ok(Reply::Ok)
    }
}
