//! Near tiers behind connections (rules R1 to R9), and a store that fails over (T4).
//!
//! Two processes, one key, one tag. Each has one connection: its requests run in the order in which they were sent, what the
//! server sends (replies, and pushes to whoever read what is changed) is read in the order in which it was sent, and
//! everything takes as long as it likes. A reply only wakes a task, which goes on later. Connections break and come back,
//! with requests stuck on the old one; E, M or everything is lost; callers go away; the server is replaced by a replica
//! that lags behind. Time passes in units of the near tier's bound: a read is stale by T2 if the write was acknowledged
//! more than one such unit ago, or by the same process at all.
//!
//! The store's own protocol (tokens, stamps, late copies) is that of `leases`, here with what the near tier can see of it.

#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method's path is not general enough in the lifetime of who acts"
)]

mod claims;
mod client;
mod mutant;
mod queue;
mod server;
mod state;

use self::{
    client::Client,
    mutant::{Mutant, Repair},
    server::Server,
    state::{AGES, Asking, BOUND, Budget, Entry, Kind, Link, Ping, Process, Reader, Request, State, Store, Writer},
};
use crate::{
    explore::Machine,
    parts::{Id, Marker},
};

/// A world: who writes what, what is in the way, which rule is missing.
#[derive(Clone, Copy, Debug)]
struct World {
    /// What each process writes, one after the other.
    plans: [&'static [Kind]; 2],
    /// Whether each process has a near tier.
    near: [bool; 2],
    /// Whether the value has a tag.
    tagged: bool,
    budget: Budget,
    repair: Repair,
    mutant: Mutant,
}

impl Machine for World {
    type State = State;

    fn start(&self) -> State {
        State {
            store: Store::EMPTY,
            replica: None,
            processes: [Process::NEW; 2],
            committed: 0,
            acked: [0; AGES],
            owed: 0,
            left: self.budget,
        }
    }

    fn is_violation(&self, state: &State) -> bool {
        let answered = state.store.answer(self.tagged);
        let is_asked = state.processes.iter().any(|process| process.link == Link::Serving);
        let stale = answered.is_some_and(|version| version < state.acked[0]) && is_asked;
        stale
            || state.processes.iter().any(|process| {
                let floor = state.acked[AGES - 1].max(process.returned);
                process.serves(self.mutant).is_some_and(|version| version < floor)
            })
    }

    fn steps(&self, state: &State, next: &mut dyn FnMut(State)) {
        for p in 0..state.processes.len() {
            self.connection_steps(state, p, next);
            self.reader_steps(state, p, next);
            self.writer_steps(state, p, next);
            self.upkeep_steps(state, p, next);
        }
        self.time_passes(state, next);
        self.trouble(state, next);
    }

    fn canonical(&self, mut state: State) -> State {
        // Incarnations are compared for equality alone: they are named in the order in which they are met.
        let mut names: Vec<Id> = vec![0];
        let mut rename = |marker: &mut Option<Marker>| {
            if let Some(marker) = marker {
                rename_id(&mut names, &mut marker.incarnation);
            }
        };
        rename(&mut state.store.marker);
        for process in &mut state.processes {
            rename(&mut process.known);
            if let Asking::Told(marker) | Asking::Woken(marker) = &mut process.asking {
                rename(marker);
            }
        }
        let mut entries = vec![&mut state.store.entry];
        if let Some(replica) = &mut state.replica {
            rename(&mut replica.marker);
            entries.push(&mut replica.entry);
        }
        for entry in entries {
            match entry {
                Entry::Absent => {}
                Entry::Lease { under, .. } => rename_id(&mut names, &mut under.incarnation),
                Entry::Value { incarnation, .. } => rename_id(&mut names, incarnation),
            }
        }
        state
    }
}

fn rename_id(names: &mut Vec<Id>, id: &mut Id) {
    let known = names.iter().position(|name| name == id);
    *id = known.unwrap_or_else(|| {
        names.push(*id);
        names.len() - 1
    }) as Id;
}

impl World {
    fn server<'a>(&self, state: &'a mut State) -> Server<'a> {
        Server {
            state,
            tagged: self.tagged,
            mutant: self.mutant,
        }
    }

    fn client<'a>(&self, state: &'a mut State, p: usize) -> Client<'a> {
        Client {
            process: &mut state.processes[p],
            tagged: self.tagged,
            mutant: self.mutant,
        }
    }

    /// A world after the server has acted. Who has no near tier is told of no change, and goes on with a reply at once: the
    /// earlier it loads, and the earlier it says that it has written, the worse.
    fn served(&self, state: &State, act: impl FnOnce(&mut Server<'_>)) -> State {
        let mut state = *state;
        act(&mut self.server(&mut state));
        for p in (0..state.processes.len()).filter(|p| !self.near[*p]) {
            let process = &mut state.processes[p];
            (process.tracks_entry, process.tracks_marker) = (false, false);
            while !state.processes[p].incoming.is_empty() {
                state = self.received(&state, p);
            }
            if let Reader::Woken(_) = state.processes[p].reader {
                state.processes[p].reader = Reader::Idle;
            }
            if let Writer::Woken(version) | Writer::PendingDone(version) = state.processes[p].writer {
                let kind = self.plans[p][usize::from(state.processes[p].written)];
                state = self.acknowledged(&state, p, kind, version);
            }
        }
        state
    }

    /// A world after a process has read one message. It loads as soon as it may: the earlier, the worse.
    fn received(&self, state: &State, p: usize) -> State {
        let mut state = self.acted(state, p, |client| client.receive());
        if state.processes[p].reader == Reader::Loading {
            state.processes[p].reader = Reader::Loaded(state.committed);
        }
        state
    }

    /// A world after a process has acted.
    fn acted(&self, state: &State, p: usize, act: impl FnOnce(&mut Client<'_>)) -> State {
        let mut state = *state;
        act(&mut self.client(&mut state, p));
        if !self.near[p] {
            let process = &mut state.processes[p];
            (process.copy, process.suspect, process.again, process.poisoned) = (None, false, false, true);
        }
        state
    }

    /// What is under way arrives; what is broken is mended.
    fn connection_steps(&self, state: &State, p: usize, next: &mut dyn FnMut(State)) {
        let process = &state.processes[p];
        if !process.outgoing.is_empty() {
            next(self.served(state, |server| server.run(p, true)));
            if matches!(state.store.entry, Entry::Lease { by, .. } if usize::from(by) != p) {
                next(self.served(state, |server| server.run(p, false)));
            }
        }
        if !process.incoming.is_empty() {
            next(self.received(state, p));
        }
        if !process.held_back.is_empty() {
            next(self.acted(state, p, |client| client.apply_held_back()));
        }
        match process.link {
            Link::Down => next(self.acted(state, p, |client| client.connected())),
            Link::Recovering => self.recover(state, p, next),
            Link::Serving => {}
        }
    }

    /// The repairs, in their order, then the near tier serves again (protocol 1.8).
    fn recover(&self, state: &State, p: usize, next: &mut dyn FnMut(State)) {
        if state.processes[p].is_quarantined(self.mutant) {
            return;
        }
        let mut after = self.served(state, |server| {
            if server.state.processes[p].changed {
                self.repair_store(server, p);
            }
        });
        let process = &mut after.processes[p];
        process.link = Link::Serving;
        process.changed = false;
        let repaired = match self.repair {
            Repair::Nothing | Repair::Fence => true,
            Repair::Replay => after.processes.iter().all(|process| !process.changed),
        };
        if repaired {
            after.acked[0] = after.acked[0].max(after.owed);
            after.owed = 0;
        }
        next(after);
    }

    fn repair_store(&self, server: &mut Server<'_>, p: usize) {
        match self.repair {
            Repair::Nothing => {}
            Repair::Replay => {
                let written = usize::from(server.state.processes[p].written);
                for kind in &self.plans[p][..written] {
                    server.write(Some(p), *kind);
                }
            }
            Repair::Fence => server.write(Some(p), Kind::Clear),
        }
    }

    fn reader_steps(&self, state: &State, p: usize, next: &mut dyn FnMut(State)) {
        let process = &state.processes[p];
        match process.reader {
            Reader::Idle => {
                let asks = process.link == Link::Serving
                    && !process.is_quarantined(self.mutant)
                    && state.left.reads > 0
                    && process.serves(self.mutant).is_none();
                if asks {
                    let mut after = self.acted(state, p, |client| client.ask(Request::Get, Reader::Asked));
                    after.left.reads -= 1;
                    next(after);
                }
            }
            Reader::Loaded(version) if process.link == Link::Serving => {
                next(self.acted(state, p, |client| client.ask(Request::Fill, Reader::Filling(version))));
            }
            Reader::Woken(version) => next(self.acted(state, p, |client| client.install(version))),
            _ => {}
        }
    }

    fn writer_steps(&self, state: &State, p: usize, next: &mut dyn FnMut(State)) {
        let process = &state.processes[p];
        let Some(kind) = self.plans[p].get(usize::from(process.written)).copied() else {
            return;
        };
        let with = |writer: Writer| {
            let mut after = *state;
            after.processes[p].writer = writer;
            after
        };
        let is_up = process.link != Link::Down;
        match process.writer {
            Writer::Idle => {
                // A tag that the row does not have: nothing is committed, and nothing to be seen.
                let concerns = kind != Kind::OtherTag && (kind != Kind::Tag || self.tagged);
                let version = if concerns { state.committed + 1 } else { 0 };
                let mut after = self.acted(&with(Writer::Purged(version)), p, |client| client.purge(kind));
                after.committed = version.max(state.committed);
                next(after);
            }
            Writer::Purged(version) if is_up => {
                let mut after = with(Writer::Sent(version));
                after.processes[p].outgoing.ask(Request::Write(kind));
                next(after);
            }
            Writer::Purged(version) => {
                // Given up: purged once more, kept, and the caller is told.
                let mut after = self.acted(&with(Writer::Pending(version)), p, |client| client.purge(kind));
                let returned = &mut after.processes[p].returned;
                *returned = version.max(*returned);
                next(after);
            }
            Writer::Sent(_) | Writer::Done(_) if state.left.cancels > 0 => next(self.cancelled(state, p)),
            Writer::Woken(version) => next(self.acknowledged(state, p, kind, version)),
            Writer::Pending(version) if is_up => {
                let mut after = with(Writer::PendingSent(version));
                after.processes[p].outgoing.ask(Request::Write(kind));
                next(after);
            }
            Writer::PendingDone(version) => next(self.acknowledged(state, p, kind, version)),
            _ => {}
        }
    }

    /// The store has acknowledged the invalidation of `version`.
    fn acknowledged(&self, state: &State, p: usize, kind: Kind, version: u8) -> State {
        let mut after = self.acted(state, p, |client| client.purge(kind));
        let process = &mut after.processes[p];
        process.writer = Writer::Idle;
        process.written += 1;
        process.returned = version.max(process.returned);
        // What the server forgot when it failed over is owed until it is repaired.
        let unrepaired = after.processes.iter().any(|process| process.changed);
        let floor = if unrepaired {
            &mut after.owed
        } else {
            &mut after.acked[0]
        };
        *floor = version.max(*floor);
        after
    }

    /// The caller of a write goes away: what was sent runs all the same.
    fn cancelled(&self, state: &State, p: usize) -> State {
        let mut after = *state;
        after.left.cancels -= 1;
        let process = &mut after.processes[p];
        process.outgoing.orphan_write();
        process.incoming.drop_write_reply();
        process.writer = Writer::Idle;
        process.written += 1;
        after
    }

    /// Heartbeats, and the reads of M.
    fn upkeep_steps(&self, state: &State, p: usize, next: &mut dyn FnMut(State)) {
        let process = &state.processes[p];
        if !self.near[p] || process.link == Link::Down {
            return;
        }
        if process.ping == Ping::Idle {
            let mut after = *state;
            after.processes[p].ping = Ping::Sent(0);
            after.processes[p].outgoing.ask(Request::Ping);
            next(after);
        }
        match process.asking {
            // Before an own write is done the answer could be out of date at once.
            Asking::Idle if process.suspect && !(process.is_writing() && self.mutant != Mutant::Unblocked) => {
                next(self.acted(state, p, |client| client.ask_for_marker()));
            }
            Asking::Woken(marker) => next(self.acted(state, p, |client| client.settle(marker))),
            _ => {}
        }
    }

    fn time_passes(&self, state: &State, next: &mut dyn FnMut(State)) {
        // Once all that was acknowledged is old, more time can only silence near tiers.
        if state.acked[AGES - 1] == state.acked[0] {
            return;
        }
        let older = |age: u8| (age + 1).min(BOUND + 1);
        let mut after = *state;
        for age in (1..AGES).rev() {
            after.acked[age] = after.acked[age - 1].max(after.acked[age]);
        }
        for (process, _) in after.processes.iter_mut().zip(self.near).filter(|(_, near)| *near) {
            process.proof = older(process.proof);
            if let Ping::Sent(age) | Ping::Answered(age) = &mut process.ping {
                *age = older(*age);
            }
        }
        next(after);
        if self.mutant == Mutant::M38 {
            for (p, process) in state.processes.iter().enumerate() {
                let mut paused = after;
                paused.processes[p].proof = process.proof;
                next(paused);
            }
        }
    }

    fn trouble(&self, state: &State, next: &mut dyn FnMut(State)) {
        if state.left.losses > 0 {
            let mut lose = |act: fn(&mut Server<'_>)| {
                let mut after = self.served(state, act);
                after.left.losses -= 1;
                next(after);
            };
            if state.store.entry != Entry::Absent {
                lose(|server| server.change_entry(None, Entry::Absent));
            }
            if state.store.marker.is_some() {
                lose(|server| server.change_marker(None, None));
            }
        }
        if state.left.flushes > 0 {
            let mut after = self.served(state, |server| server.flush());
            after.left.flushes -= 1;
            next(after);
        }
        for p in 0..state.processes.len() {
            if state.left.disconnects > 0 && state.processes[p].link != Link::Down {
                let mut after = self.acted(state, p, |client| client.disconnected());
                after.left.disconnects -= 1;
                next(after);
            }
        }
        self.fail_over(state, next);
    }

    /// A replica stops following; later it takes the place of the primary, and every connection breaks.
    fn fail_over(&self, state: &State, next: &mut dyn FnMut(State)) {
        if state.left.failovers == 0 {
            return;
        }
        let Some(replica) = state.replica else {
            next(State {
                replica: Some(state.store),
                ..*state
            });
            return;
        };
        let mut after = *state;
        after.left.failovers -= 1;
        (after.store, after.replica) = (replica, None);
        for p in 0..after.processes.len() {
            after = self.acted(&after, p, |client| client.disconnected());
            after.processes[p].changed = true;
            // What was on its way to the old primary ends there.
            after.processes[p].outgoing = queue::Queue::EMPTY;
        }
        if self.repair != Repair::Nothing {
            after.owed = after.acked[0].max(after.owed);
            after.acked = [0; AGES];
        }
        next(after);
    }
}
