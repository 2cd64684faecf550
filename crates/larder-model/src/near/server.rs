//! The server: it runs one request at a time, and tells who read what was changed since.

use super::{
    Mutant,
    state::{Asking, Ping},
    state::{Entry, Kind, Link, Message, Process, Reader, Request, State, Store, Version, Writer},
};
use crate::parts::{Id, Marker};

/// An incarnation drawn in a step; canonical names are far below.
pub(super) const DRAWN: Id = 101;

/// Who changes something: a process, which is not told of it (NOLOOP), or nobody (expiry, eviction).
pub(super) type By = Option<usize>;

impl Store {
    pub(super) const EMPTY: Self = Self {
        entry: Entry::Absent,
        marker: None,
        stamp: 0,
    };

    /// The version that a read would be answered with.
    pub(super) fn answer(&self, tagged: bool) -> Option<Version> {
        let (
            Entry::Value {
                version,
                incarnation,
                stamp,
            },
            Some(marker),
        ) = (self.entry, self.marker)
        else {
            return None;
        };
        (incarnation == marker.incarnation && (!tagged || stamp == self.stamp)).then_some(version)
    }
}

/// A world in which the server acts.
pub(super) struct Server<'a> {
    pub(super) state: &'a mut State,
    pub(super) tagged: bool,
    pub(super) mutant: Mutant,
}

impl Server<'_> {
    fn is_connected(&self, p: usize) -> bool {
        self.state.processes[p].link != Link::Down
    }

    /// Runs the next request of process `p`. A connection that has broken may still bring what was sent on it: that runs
    /// too, but nobody is answered, and nobody tracked. `takes_over`: the lease of another counts as expired.
    pub(super) fn run(&mut self, p: usize, takes_over: bool) {
        let Some(request) = self.state.processes[p].outgoing.request() else {
            return;
        };
        match request {
            Request::Get => self.get(p, takes_over),
            Request::Fill => self.fill(p),
            Request::Write(kind) => {
                self.write(By::Some(p), kind);
                if self.is_connected(p) {
                    let process = &mut self.state.processes[p];
                    process.writer = match process.writer {
                        Writer::Sent(version) => Writer::Done(version),
                        Writer::PendingSent(version) => Writer::PendingDone(version),
                        other => other,
                    };
                    process.incoming.send(Message::WriteReply);
                }
            }
            Request::Orphan(kind) => self.write(By::Some(p), kind),
            Request::Marker => {
                if self.is_connected(p) {
                    let marker = self.state.store.marker;
                    let process = &mut self.state.processes[p];
                    process.tracks_marker = true;
                    process.asking = Asking::Told(marker);
                    process.incoming.send(Message::MarkerReply);
                }
            }
            Request::Ping => {
                let process = &mut self.state.processes[p];
                if let Ping::Sent(age) = process.ping {
                    process.ping = Ping::Answered(age);
                    process.incoming.send(Message::Pong);
                }
            }
        }
    }

    fn track_both(&mut self, p: usize) {
        if self.is_connected(p) {
            let process = &mut self.state.processes[p];
            (process.tracks_entry, process.tracks_marker) = (true, true);
        }
    }

    /// Sends the reader of `p` its reply, if its connection is the one that asked.
    fn reply(&mut self, p: usize, reader: Reader) {
        if self.is_connected(p) {
            let process = &mut self.state.processes[p];
            process.reader = reader;
            if reader != Reader::Idle {
                process.incoming.send(Message::ReadReply);
            }
        }
    }

    fn get(&mut self, p: usize, takes_over: bool) {
        self.track_both(p);
        if let Some(version) = self.state.store.answer(self.tagged) {
            return self.reply(p, Reader::Hit(version));
        }
        let marker = self.state.store.marker;
        if let (Entry::Lease { by, under }, Some(marker)) = (self.state.store.entry, marker)
            && usize::from(by) != p
            && under.incarnation == marker.incarnation
            && !takes_over
        {
            return self.reply(p, Reader::Idle);
        }
        let under = marker.unwrap_or_else(|| {
            let new = Marker {
                incarnation: DRAWN,
                tseq: 0,
            };
            self.change_marker(By::Some(p), Some(new));
            self.state.store.stamp = 0;
            new
        });
        let by = p as u8;
        self.change_entry(By::Some(p), Entry::Lease { by, under });
        self.read_again(p);
        self.reply(p, Reader::Granted);
    }

    /// Both E and M were read at the end of the script, so that they are tracked again after the own write.
    fn read_again(&mut self, p: usize) {
        if self.is_connected(p) {
            let process = &mut self.state.processes[p];
            process.tracks_marker = true;
            process.tracks_entry = self.mutant != Mutant::M4;
        }
    }

    fn fill(&mut self, p: usize) {
        let Reader::Filling(version) = self.state.processes[p].reader else {
            return;
        };
        let store = self.state.store;
        let under = match store.entry {
            Entry::Lease { by, under } if usize::from(by) == p => under,
            _ => return self.reply(p, Reader::Idle),
        };
        let stands = store
            .marker
            .is_some_and(|marker| marker.incarnation == under.incarnation)
            && (!self.tagged || store.stamp <= under.tseq);
        if !stands {
            self.change_entry(By::Some(p), Entry::Absent);
            return self.reply(p, Reader::Idle);
        }
        let (incarnation, stamp) = (under.incarnation, store.stamp);
        let value = Entry::Value {
            version,
            incarnation,
            stamp,
        };
        self.change_entry(By::Some(p), value);
        self.read_again(p);
        self.reply(p, Reader::Filled(version));
    }

    /// An invalidation, as a process asks for it or repeats it.
    pub(super) fn write(&mut self, by: By, kind: Kind) {
        match (kind, self.state.store.marker) {
            (Kind::Key, _) => self.change_entry(by, Entry::Absent),
            (_, None) => {}
            (Kind::Clear, Some(_)) => {
                let new = Marker {
                    incarnation: DRAWN,
                    tseq: 0,
                };
                self.change_marker(by, Some(new));
                self.state.store.stamp = 0;
            }
            (Kind::Tag | Kind::OtherTag, Some(marker)) => {
                let tseq = marker.tseq + 1;
                self.change_marker(by, Some(Marker { tseq, ..marker }));
                if kind == Kind::Tag {
                    self.state.store.stamp = tseq;
                }
            }
        }
    }

    pub(super) fn change_entry(&mut self, by: By, entry: Entry) {
        if self.state.store.entry == entry && entry == Entry::Absent {
            return;
        }
        self.state.store.entry = entry;
        self.tell(by, Message::PushEntry, |process| &mut process.tracks_entry);
    }

    pub(super) fn change_marker(&mut self, by: By, marker: Option<Marker>) {
        self.state.store.marker = marker;
        self.tell(by, Message::PushMarker, |process| &mut process.tracks_marker);
    }

    /// Whoever tracks it is told once, but for the one who did it: whose tracking ends without a word.
    fn tell(&mut self, by: By, push: Message, tracks: impl Fn(&mut Process) -> &mut bool) {
        for (p, process) in self.state.processes.iter_mut().enumerate() {
            if std::mem::replace(tracks(process), false) && by != Some(p) {
                process.incoming.send(push);
            }
        }
    }

    /// Everything is gone, and so is all that was tracked.
    pub(super) fn flush(&mut self) {
        self.state.store = Store::EMPTY;
        for process in &mut self.state.processes {
            (process.tracks_entry, process.tracks_marker) = (false, false);
            if process.link != Link::Down {
                process.incoming.send(Message::PushAll);
            }
        }
    }
}
