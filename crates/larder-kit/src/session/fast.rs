//! A load without a script: three plain reads in one round trip, which cost a server half of what the script does.
//!
//! The reads are `HGETALL S`, `HGET U =e` and `TIME`, and what they say is what the script would say of a session that stands:
//! its epoch is its user's, its end has not come. They do not note the use, so they are taken only if the last one was noted
//! less than [`renew_every`](super::SessionsBuilder::renew_every) ago, by the server's clock; the TTL is longer than `idle` by
//! as much. Whatever else they show, the script decides: this file finds sessions that stand, and ends none.
//!
//! The session names its user, and its user's key has to be named before it is read: for that, this process remembers whose
//! the sessions are that it has met. A session never changes its user. What is remembered chooses the way and decides nothing.

use std::{sync::Arc, time::Duration};

use larder_store::Store;
use quick_cache::{Weighter, sync::Cache};
use redis::{Value, aio::ConnectionLike as _};

use super::{
    builder::Settings,
    error::SessionError,
    id::{SessionId, SessionRef},
    layout::User,
    record::Record,
    session::Session,
    sessions::{Inner, millis},
};
use crate::mutant::{self, Mutant};

/// How much memory the sessions that were met may take, in bytes: some 50,000 of them.
const MEMORY: u64 = 8 * 1024 * 1024;

/// What one takes beside its texts: the entry, and its place in a table and in a list.
const ENTRY: u64 = 100;

/// How many of them there is room for at first.
const AT_FIRST: usize = 256;

/// The sessions that this process has met.
pub(super) struct Met {
    sessions: Cache<SessionRef, Known, Bytes>,
    store: Store,
    /// How long a use needs no note.
    renew_every: Duration,
}

/// What is known of one.
#[derive(Clone)]
struct Known {
    user: Option<Arc<str>>,
    /// When, by this process's clock, its next use is to be noted: the script is asked at once then.
    due: Duration,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<SessionRef, Known> for Bytes {
    fn weight(&self, reference: &SessionRef, known: &Known) -> u64 {
        let user = known.user.as_ref().map_or(0, |user| user.len());
        ENTRY + (reference.as_str().len() + user) as u64
    }
}

impl Met {
    pub(super) fn new(store: Store, settings: &Settings) -> Self {
        Self {
            sessions: Cache::with_weighter(AT_FIRST, MEMORY, Bytes),
            store,
            renew_every: settings.renew_every(),
        }
    }

    /// This process's clock, to be read before the request whose answer is [`remember`](Self::remember)ed.
    pub(super) fn now(&self) -> Duration {
        self.store.clock().monotonic()
    }

    /// A session whose use was noted by a request sent at `sent`.
    pub(super) fn remember(&self, reference: SessionRef, user: Option<&User>, sent: Duration) {
        if !self.renew_every.is_zero() {
            let user = user.map(|user| user.written.as_str().into());
            let due = sent.saturating_add(self.renew_every);
            self.sessions.insert(reference, Known { user, due });
        }
    }

    fn known(&self, reference: &SessionRef) -> Option<Known> {
        self.sessions.get(reference).filter(|known| self.now() < known.due)
    }
}

/// What plain reads say.
pub(super) enum Seen {
    Stands(Session),
    /// There is nothing under its key.
    Ended,
    /// The script knows.
    Unclear(SessionId),
}

impl Inner {
    /// Loads a session by plain reads, if that can be.
    pub(super) async fn see(self: &Arc<Self>, id: SessionId, reference: &SessionRef) -> Result<Seen, SessionError> {
        let Some(known) = self.met.known(reference) else {
            return Ok(Seen::Unclear(id));
        };
        // What decides on a session is read after it.
        let mut reads = redis::Pipeline::with_capacity(3);
        reads
            .cmd("HGETALL")
            .arg(self.layout.sessions(id.partition()) + reference.as_str());
        if let Some(user) = &known.user {
            reads
                .cmd("HGET")
                .arg(self.layout.users(id.partition()) + user)
                .arg("=e");
        }
        reads.cmd("TIME");
        let replies = self.store.clone().req_packed_commands(&reads, 0, reads.len()).await;
        let mut replies = replies.map_err(larder_store::StoreError::from)?.into_iter();
        let (Some(session), Some(time)) = (replies.next(), replies.next_back()) else {
            return Ok(Seen::Unclear(id));
        };
        if matches!(&session, Value::Map(pairs) if pairs.is_empty()) {
            self.met.sessions.remove(reference);
            return Ok(Seen::Ended);
        }
        match (Record::of(session), redis::from_redis_value(time)) {
            (Some(record), Ok(time)) if self.stands(&record, &known, replies.next(), time) => {
                Ok(Seen::Stands(Session::of(self.clone(), id, record)))
            }
            _ => Ok(Seen::Unclear(id)),
        }
    }

    /// Whether a session certainly stands and its use needs no note.
    fn stands(&self, record: &Record, known: &Known, epoch: Option<Value>, (seconds, micros): (i64, i64)) -> bool {
        let now = seconds * 1_000 + micros / 1_000;
        let is_its_users = match (&record.user, epoch) {
            (None, None) => true,
            (Some(_), Some(Value::BulkString(epoch))) => record.epoch.as_ref() == Some(&epoch),
            _ => false,
        };
        record.user.as_deref() == known.user.as_deref()
            && (is_its_users || mutant::lives(Mutant::S5))
            && (now < record.deadline_ms || mutant::lives(Mutant::S6))
            && ((0..millis(self.met.renew_every)).contains(&(now - record.seen_ms)) || mutant::lives(Mutant::S7))
    }
}
