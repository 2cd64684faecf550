//! What a command sees: the keyspace of the client's database, the time, the client itself.
//!
//! Reading goes through [`Ctx::read`], which lets an expired key vanish first. Changing goes through
//! [`Ctx::update`], [`Ctx::upsert`], [`Ctx::put`] and [`Ctx::remove`], and **every change is followed by one
//! [`Ctx::modified`]**, which removes a collection that became empty and tells everyone who watches the key:
//! transactions, tracking clients, those who wait for it, subscribers of keyspace events, the log. Where Redis tells fewer,
//! [`Ctx::modified_beside`] and [`Ctx::modified_silently`] do.

use std::time::Duration;

use crate::{
    ErrorReply,
    client::{Client, ClientId, Resp},
    command::Args,
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
    /// The same in Unix milliseconds.
    now_ms: u64,
    /// The selected database; [`select`](Ctx::select) changes it and the client's own.
    pub(crate) db: usize,
    /// The protocol that replies are for: the client's own, or what a script speaks.
    pub(crate) resp: Resp,
    /// Whether what it reads counts as used: not after `CLIENT NO-TOUCH ON`.
    touches: bool,
    /// Whether the command that is running may leave its client waiting.
    pub(crate) may_wait: bool,
    /// Whether a script runs the command.
    pub(crate) in_script: bool,
}

impl<'a> Ctx<'a> {
    pub(crate) fn new(core: &'a mut Core, client: ClientId, now: Duration) -> Self {
        let known = core.clients.get(&client);
        let (db, resp, touches) =
            known.map_or((0, Resp::V2, true), |client| (client.db, client.resp, !client.no_touch));
        Self {
            core,
            client,
            now,
            now_ms: now.as_millis() as u64,
            db,
            resp,
            touches,
            may_wait: false,
            in_script: false,
        }
    }

    /// Unix milliseconds.
    pub(crate) fn now(&self) -> u64 {
        self.now_ms
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
        self.resp
    }

    pub(crate) fn db(&mut self) -> &mut Db {
        &mut self.core.dbs[self.db]
    }

    /// The number of a database, argument `i`.
    pub(crate) fn database(&self, args: &Args<'_>, i: usize) -> Result<usize, ErrorReply> {
        let number = args.count_in(i, i64::from(i32::MIN), i64::from(i32::MAX))?;
        usize::try_from(number)
            .ok()
            .filter(|number| *number < self.core.dbs.len())
            .ok_or(ErrorReply::DB_OUT_OF_RANGE)
    }

    /// Changes the selected database, for this command's successors in a transaction or script too.
    pub(crate) fn select(&mut self, db: usize) {
        self.db = db;
        self.client().db = db;
    }

    /// Refuses a string that would grow beyond `proto-max-bulk-len`.
    pub(crate) fn check_string_length(&self, len: usize, more: usize) -> Result<(), ErrorReply> {
        let fits = len
            .checked_add(more)
            .is_some_and(|total| total <= self.core.settings.wire.bulk_max);
        if fits { Ok(()) } else { Err(ErrorReply::STRING_TOO_LONG) }
    }

    // --- reading ---

    /// Where the entry at `key` is, unless it is absent or expired; an expired one is removed and announced.
    fn find(&mut self, key: &[u8], touch: bool) -> Option<usize> {
        let now = self.now();
        let (position, entry) = self.core.dbs[self.db].find(key)?;
        if entry.is_expired(now) && !self.core.effects.is_loading {
            self.core.expire(self.db, key);
            return None;
        }
        if touch && self.touches {
            if self.core.settings.memory.policy.is_lfu() {
                entry.count_use(now, &self.core.random);
            }
            entry.used_at = now;
        }
        Some(position)
    }

    /// The entry at `key`, marked as used now.
    pub(crate) fn entry(&mut self, key: &[u8]) -> Option<&Entry> {
        let position = self.find(key, true)?;
        self.core.dbs[self.db].at(position).map(|(_, entry)| entry)
    }

    /// The entry at `key`, looked at without using it: for `TTL`, `TYPE`, `OBJECT` and their like.
    pub(crate) fn peek(&mut self, key: &[u8]) -> Option<&Entry> {
        let position = self.find(key, false)?;
        self.core.dbs[self.db].at(position).map(|(_, entry)| entry)
    }

    /// The value at `key` as a `T`; an error if it is of another type.
    pub(crate) fn read<T: Kind>(&mut self, key: &[u8]) -> Result<Option<&T>, ErrorReply> {
        let Some(position) = self.find(key, true) else {
            self.core.stats.misses += 1;
            return Ok(None);
        };
        self.core.stats.hits += 1;
        let (_, entry) = self.core.dbs[self.db]
            .at(position)
            .expect("the position was just found");
        entry.value.get::<T>().map(Some)
    }

    pub(crate) fn exists(&mut self, key: &[u8]) -> bool {
        self.peek(key).is_some()
    }

    /// Whether there is a `T` at `key`.
    pub(crate) fn holds<T: Kind>(&mut self, key: &[u8]) -> bool {
        self.peek(key).is_some_and(|entry| entry.value.get::<T>().is_ok())
    }

    // --- changing: follow each with `modified` ---

    /// Changes the `T` at `key`, if there is one.
    pub(crate) fn update<T: Kind, R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<Option<R>, ErrorReply> {
        let Some(position) = self.find(key, true) else {
            return Ok(None);
        };
        self.db()
            .change(position, |value| value.get_mut::<T>().map(change))
            .map(Some)
    }

    /// Changes the `T` at `key`, creating an empty one first if there is none.
    pub(crate) fn upsert<T: Kind + Default, R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<R, ErrorReply> {
        let position = match self.find(key, true) {
            Some(position) => position,
            None => self.put(key, T::default().into_value(), None),
        };
        self.db().change(position, |value| value.get_mut::<T>().map(change))
    }

    /// Puts a value with this deadline (Unix ms) in place of whatever was there; its position.
    pub(crate) fn put(&mut self, key: &[u8], value: Value, expires_at: Option<u64>) -> usize {
        let now = self.now();
        self.db().put(key, value, expires_at, now)
    }

    /// Takes the entry at `key` away; `None` if absent or expired.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        let position = self.find(key, false)?;
        self.db().take_at(position).map(|(_, entry)| entry)
    }

    /// Announces that this command changed `key`: the one place where watchers, tracking clients and subscribers
    /// of keyspace events learn of it. A collection that became empty goes, as a `del`.
    pub(crate) fn modified(&mut self, key: &[u8], class: Class, event: &'static str) {
        self.core.effects.changed();
        self.core.announce(self.db, key, Some(self.client), class, event);
        let db = &self.core.dbs[self.db];
        if class.is_of_collections() && db.entry(key).is_some_and(|entry| entry.value.is_empty()) {
            self.core.dbs[self.db].take(key);
            self.core
                .announce(self.db, key, Some(self.client), Class::Generic, "del");
        }
    }

    /// Announces a change of what a key keeps beside its value, as of the groups of a stream: the log and the
    /// subscribers of keyspace events learn of it; those who watch or hold the value do not, as in Redis.
    pub(crate) fn modified_beside(&mut self, key: &[u8], class: Class, event: Option<&'static str>) {
        self.core.effects.changed();
        if let Some(event) = event {
            self.core.note_for_waiters(self.db, key, class, event);
            self.core.event(self.db, key, class, event);
        }
    }

    /// Announces a change of which there is no keyspace event, as of the count that `PFCOUNT` keeps.
    pub(crate) fn modified_silently(&mut self, key: &[u8]) {
        self.core.effects.changed();
        self.core.signal(self.db, key, Some(self.client));
    }

    /// A further keyspace event of a change that [`modified`](Self::modified) has announced, such as the `expire`
    /// of a `SET` with a TTL.
    pub(crate) fn event(&mut self, key: &[u8], class: Class, event: &'static str) {
        self.core.event(self.db, key, class, event);
    }
}
