//! What a world is made of: a server, two processes with a connection each, and what was written and acknowledged.

use super::{mutant::Mutant, queue::Queue};
use crate::parts::{Id, Marker};

/// So many units of time a near copy is trusted without a newer proof (δ). An age beyond it counts as one more.
pub(super) const BOUND: u8 = 1;

/// Ages that are told apart: 0 to [`BOUND`], and beyond.
pub(super) const AGES: usize = BOUND as usize + 2;

/// The number of a committed version. 0 is what was there before the first write.
pub(super) type Version = u8;

/// What the key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Entry {
    Absent,
    /// Leased by a process.
    Lease {
        by: u8,
        under: Marker,
    },
    Value {
        version: Version,
        incarnation: Id,
        /// How often its tag had been invalidated.
        stamp: u8,
    },
}

/// What the server keeps of the data: all that a failover may roll back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Store {
    pub(super) entry: Entry,
    pub(super) marker: Option<Marker>,
    /// M's tag count when the entry's own tag was last invalidated.
    pub(super) stamp: u8,
}

/// A request on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Get,
    Fill,
    Write(Kind),
    /// A write whose sender has gone away.
    Orphan(Kind),
    Marker,
    Ping,
}

/// How a writer invalidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Key,
    /// The tag that values have.
    Tag,
    /// Another tag of the partition.
    OtherTag,
    Clear,
}

/// What the server sends, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    PushEntry,
    PushMarker,
    PushAll,
    ReadReply,
    WriteReply,
    MarkerReply,
    Pong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Link {
    Down,
    /// Tracked, but copies are not served yet: repairs come first.
    Recovering,
    Serving,
}

/// A read, with the load that it may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reader {
    Idle,
    Asked,
    /// The reply is under way: a value.
    Hit(Version),
    /// The reply is under way: a lease.
    Granted,
    /// The lease is here: the load begins.
    Loading,
    Loaded(Version),
    Filling(Version),
    /// The reply is under way: stored.
    Filled(Version),
    /// The reply is here, and the task that waits for it has not run yet.
    Woken(Version),
}

/// The write that a process is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Writer {
    Idle,
    /// Committed and purged here, and not handed to the connection yet.
    Purged(Version),
    Sent(Version),
    /// The reply is under way.
    Done(Version),
    /// The reply is here, and the task that waits for it has not run yet.
    Woken(Version),
    /// Given up by the caller's call, which said so: kept to be repeated.
    Pending(Version),
    /// Repeated by the recovery.
    PendingSent(Version),
    PendingDone(Version),
}

/// The read of M that settles a suspicion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Asking {
    Idle,
    Sent,
    /// The reply is under way.
    Told(Option<Marker>),
    /// The reply is here, and the task that waits for it has not run yet.
    Woken(Option<Marker>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Ping {
    Idle,
    /// Sent so long ago.
    Sent(u8),
    Answered(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Process {
    pub(super) link: Link,
    /// The generation of the store is another than the one known here.
    pub(super) changed: bool,
    pub(super) outgoing: Queue,
    pub(super) incoming: Queue,
    /// By the server: who reads E, who reads M is told of its next change.
    pub(super) tracks_entry: bool,
    pub(super) tracks_marker: bool,

    pub(super) copy: Option<Version>,
    /// How old the last proof of the stream is.
    pub(super) proof: u8,
    pub(super) ping: Ping,
    pub(super) suspect: bool,
    /// M when it was last read to settle a suspicion.
    pub(super) known: Option<Marker>,
    pub(super) asking: Asking,
    /// Suspected once more since M was asked for.
    pub(super) again: bool,
    pub(super) reader: Reader,
    /// The reader's marker.
    pub(super) poisoned: bool,
    pub(super) writer: Writer,
    pub(super) written: u8,
    /// The newest version whose write has returned to its caller here.
    pub(super) returned: Version,
    /// Pushes read and not applied yet, where a task behind a channel applies them (a mutant).
    pub(super) held_back: Queue,
}

impl Process {
    pub(super) const NEW: Self = Self {
        link: Link::Serving,
        changed: false,
        outgoing: Queue::EMPTY,
        incoming: Queue::EMPTY,
        tracks_entry: false,
        tracks_marker: false,
        copy: None,
        proof: 0,
        ping: Ping::Idle,
        suspect: false,
        known: None,
        asking: Asking::Idle,
        again: false,
        reader: Reader::Idle,
        poisoned: false,
        writer: Writer::Idle,
        written: 0,
        returned: 0,
        held_back: Queue::EMPTY,
    };

    /// Whether a write of this process may be under way: from its purge until the task that sent it has seen its reply.
    pub(super) const fn is_writing(&self) -> bool {
        matches!(
            self.writer,
            Writer::Purged(_) | Writer::Sent(_) | Writer::Done(_) | Writer::Woken(_)
        )
    }

    /// Whether the key waits here for an invalidation that the store has not acknowledged.
    pub(super) fn is_quarantined(&self, mutant: Mutant) -> bool {
        mutant != Mutant::M14
            && matches!(
                self.writer,
                Writer::Pending(_) | Writer::PendingSent(_) | Writer::PendingDone(_)
            )
    }
}

/// How much of each kind of trouble is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    /// Reads that ask the store, all processes together.
    pub(super) reads: u8,
    /// E or M is lost.
    pub(super) losses: u8,
    pub(super) flushes: u8,
    pub(super) disconnects: u8,
    /// A writer's caller goes away after the request was sent.
    pub(super) cancels: u8,
    pub(super) failovers: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) store: Store,
    /// What a replica that fell behind would come up with.
    pub(super) replica: Option<Store>,
    pub(super) processes: [Process; 2],
    pub(super) committed: Version,
    /// By age: the newest version that was acknowledged at least so long ago.
    pub(super) acked: [Version; AGES],
    /// What was acknowledged before a failover and is not repaired yet.
    pub(super) owed: Version,
    pub(super) left: Budget,
}
