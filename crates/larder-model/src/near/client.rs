//! One process: what it does with what it reads, and what its tasks do when they are woken. All of it is the near tier's
//! rules; none of it touches the server.

use super::{
    Mutant,
    state::{Asking, BOUND, Kind, Link, Message, Ping, Process, Reader, Request, Version, Writer},
};
use crate::parts::Marker;

/// A process that acts, in a world where a rule may be missing.
pub(super) struct Client<'a> {
    pub(super) process: &'a mut Process,
    pub(super) tagged: bool,
    pub(super) mutant: Mutant,
}

impl Process {
    /// The version that a read would be answered with from memory.
    pub(super) fn serves(&self, mutant: Mutant) -> Option<Version> {
        let proven = self.proof <= BOUND || mutant == Mutant::Unproven;
        let serves = self.link == Link::Serving && !self.is_quarantined(mutant) && !self.suspect && proven;
        self.copy.filter(|_| serves)
    }
}

impl Client<'_> {
    /// Reads the next message and applies it, in the reader of the connection: a reply only wakes who waits for it.
    pub(super) fn receive(&mut self) {
        let Some(message) = self.process.incoming.message() else {
            return;
        };
        let is_push = matches!(message, Message::PushEntry | Message::PushMarker | Message::PushAll);
        if is_push && self.mutant == Mutant::M10 {
            return self.process.held_back.send(message);
        }
        self.apply(message);
    }

    /// What a task behind a channel does, in the mutant that has one.
    pub(super) fn apply_held_back(&mut self) {
        if let Some(message) = self.process.held_back.message() {
            self.apply(message);
        }
    }

    fn apply(&mut self, message: Message) {
        let process = &mut *self.process;
        match message {
            Message::PushEntry => self.entry_changed(),
            Message::PushMarker => self.marker_changed(),
            Message::PushAll => self.everything_changed(),
            Message::ReadReply => {
                process.reader = match process.reader {
                    Reader::Hit(version) | Reader::Filled(version) => Reader::Woken(version),
                    _ => Reader::Loading,
                };
            }
            Message::WriteReply => {
                process.writer = match process.writer {
                    Writer::Done(version) => Writer::Woken(version),
                    other => other,
                };
            }
            Message::MarkerReply => {
                if let Asking::Told(marker) = process.asking {
                    process.asking = Asking::Woken(marker);
                }
            }
            Message::Pong => {
                if let Ping::Answered(age) = process.ping {
                    process.proof = if self.mutant == Mutant::M9 { 0 } else { age };
                    process.ping = Ping::Idle;
                }
            }
        }
    }

    /// R2: the key.
    fn entry_changed(&mut self) {
        self.process.copy = None;
        self.process.poisoned = true;
    }

    /// R2: M, by a push or an own write.
    fn marker_changed(&mut self) {
        let process = &mut *self.process;
        process.suspect = self.mutant != Mutant::Unsuspecting;
        process.again = process.asking != Asking::Idle;
        process.poisoned = true;
        if self.mutant == Mutant::Unsuspecting && self.tagged {
            process.copy = None;
        }
    }

    fn everything_changed(&mut self) {
        self.process.poisoned = true;
        if self.mutant != Mutant::M46 || self.tagged {
            self.process.copy = None;
        }
    }

    /// An own write, before it is sent and again on its reply.
    pub(super) fn purge(&mut self, kind: Kind) {
        match (kind, self.mutant) {
            (_, Mutant::M29) => {}
            (Kind::Key, _) => self.entry_changed(),
            (_, Mutant::M48) => {
                // Tagged copies go, and that is all: M is not read again.
                self.process.poisoned = true;
                if self.tagged || kind == Kind::Clear {
                    self.process.copy = None;
                }
            }
            _ => self.marker_changed(),
        }
    }

    /// R1, and the purge before an own write: `get` may grant a lease, and a fill stores.
    pub(super) fn ask(&mut self, request: Request, reader: Reader) {
        let process = &mut *self.process;
        process.copy = None;
        process.poisoned = process.suspect
            || process.link != Link::Serving
            || process.is_quarantined(self.mutant)
            || process.is_writing() && self.mutant != Mutant::Unblocked;
        process.reader = reader;
        process.outgoing.ask(request);
    }

    /// R3.
    pub(super) fn install(&mut self, version: Version) {
        let process = &mut *self.process;
        process.reader = Reader::Idle;
        let at_await = self.mutant == Mutant::M7 && !process.suspect && process.link == Link::Serving;
        if !process.poisoned || at_await {
            process.copy = Some(version);
        }
    }

    pub(super) fn ask_for_marker(&mut self) {
        self.process.again = false;
        self.process.asking = Asking::Sent;
        self.process.outgoing.ask(Request::Marker);
    }

    /// What M turned out to be decides what lives on.
    pub(super) fn settle(&mut self, marker: Option<Marker>) {
        let process = &mut *self.process;
        process.asking = Asking::Idle;
        let writing = process.is_writing() && self.mutant != Mutant::Unblocked;
        let again = std::mem::replace(&mut process.again, false);
        if (again || writing) && self.mutant != Mutant::SettledEarly {
            return;
        }
        let before = std::mem::replace(&mut process.known, marker);
        process.suspect = false;
        let lives_on = match (before, marker) {
            (Some(before), Some(marker)) if before.incarnation == marker.incarnation => {
                before.tseq == marker.tseq || !self.tagged
            }
            _ => self.mutant == Mutant::M47 && !self.tagged,
        };
        if !lives_on {
            process.copy = None;
        }
    }

    /// R4: first of all, nothing from before counts.
    pub(super) fn disconnected(&mut self) {
        let process = &mut *self.process;
        process.link = Link::Down;
        process.incoming = super::queue::Queue::EMPTY;
        process.held_back = super::queue::Queue::EMPTY;
        (process.tracks_entry, process.tracks_marker) = (false, false);
        process.ping = Ping::Idle;
        process.asking = Asking::Idle;
        (process.suspect, process.again, process.known) = (false, false, None);
        process.poisoned = true;
        if self.mutant != Mutant::M8 {
            process.copy = None;
        }
        process.reader = match process.reader {
            Reader::Hit(_) | Reader::Granted | Reader::Filled(_) => Reader::Idle,
            // `Asked` and `Filling` stay as long as their requests may still run.
            other => other,
        };
        process.writer = match process.writer {
            Writer::Sent(version) | Writer::Done(version) => Writer::Purged(version),
            Writer::PendingSent(version) | Writer::PendingDone(version) => Writer::Pending(version),
            other => other,
        };
    }

    /// A new connection, tracked before anything else; nothing that is stuck on the old one runs any more.
    pub(super) fn connected(&mut self) {
        let process = &mut *self.process;
        process.link = Link::Recovering;
        process.outgoing = super::queue::Queue::EMPTY;
        process.proof = 0;
        if matches!(process.reader, Reader::Asked | Reader::Filling(_)) {
            process.reader = Reader::Idle;
        }
    }
}
