//! Who may share a flight (protocol 1.4), in one process with one key.
//!
//! Callers come at any time and may go away at any time. A flight's request, its load and its fill take as long as they
//! like, and requests and answers may be lost. The process itself and others write; another process may load as well. An own
//! invalidation that is not acknowledged returns as pending: until it is repeated the key is read from the source.
//!
//! A caller must not be given what is older than the newest write acknowledged before it came, or than the newest own
//! invalidation that had returned (T1 and promise 6, with the caller's own start). Where late callers may count as readers of
//! a near copy, the bound of T2 counts for others' writes. And nobody may wait for a flight that nobody ends.
//!
//! The store is one record, and its scripts run at once: what they do is the subject of `leases`.

mod claims;
mod mutant;
mod state;
mod table;

use self::{
    mutant::Mutant,
    state::{Budget, By, CALLERS, Caller, NO_FLIGHT, PLACES, Place, Push, Record, Stage, State, Writer},
    table::Share,
};
use crate::explore::Machine;

/// Who writes and what is in the way, and which rule is missing.
#[derive(Clone, Copy, Debug)]
struct World {
    callers: usize,
    writes: &'static [By],
    /// Late callers may count as readers of a near copy.
    near: bool,
    /// Something is in the store at first.
    warm: bool,
    budget: Budget,
    mutant: Mutant,
}

impl Machine for World {
    type State = State;

    fn start(&self) -> State {
        let mut callers = [Caller::Gone; CALLERS];
        callers[..self.callers].fill(Caller::Away);
        let mut writers = [Writer::Done; 2];
        writers[..self.writes.len()].fill(Writer::Waiting);
        State {
            committed: 0,
            acked: [0; 2],
            returned: 0,
            record: if self.warm { Record::Value(0) } else { Record::Absent },
            flights: [NO_FLIGHT; PLACES],
            table: None,
            callers,
            writers,
            quarantined: false,
            tracked: false,
            push: Push::None,
            left: self.budget,
            broken: false,
        }
    }

    fn is_violation(&self, state: &State) -> bool {
        state.broken || self.is_stranded(state)
    }

    fn steps(&self, state: &State, next: &mut dyn FnMut(State)) {
        self.callers_step(state, next);
        for place in 0..PLACES as Place {
            self.flight_steps(state, place, next);
        }
        for (w, by) in self.writes.iter().enumerate() {
            self.writer_steps(state, w, *by, next);
        }
        self.world_steps(state, next);
    }

    /// Callers are alike, and so are places: flights are named in the order in which they are met.
    fn canonical(&self, mut state: State) -> State {
        let mut names: Vec<Place> = Vec::new();
        let mut meet = |place: Place| {
            let known = names.iter().position(|name| *name == place);
            known.unwrap_or_else(|| {
                names.push(place);
                names.len() - 1
            }) as Place
        };
        let old = state.flights;
        // Chains from the table, then detached flights by what they are.
        let mut order: Vec<Place> = (0..PLACES as Place)
            .filter(|place| !matches!(old[usize::from(*place)].stage, Stage::Free | Stage::Queued))
            .collect();
        order.sort_by_key(|place| (state.table != Some(*place), self.looks(&state, *place)));
        let mut waiting = order.into_iter().collect::<std::collections::VecDeque<_>>();
        while let Some(place) = waiting.pop_front() {
            meet(place);
            let flight = &old[usize::from(place)];
            for behind in [flight.adopted, flight.next].into_iter().flatten() {
                waiting.push_front(behind);
            }
        }
        // Whoever was forgotten by all.
        (0..PLACES as Place)
            .filter(|place| old[usize::from(*place)].stage != Stage::Free)
            .for_each(|place| _ = meet(place));
        state.flights = [NO_FLIGHT; PLACES];
        for (new, place) in names.iter().enumerate() {
            state.flights[new] = old[usize::from(*place)];
        }
        let name = |place: Place| names.iter().position(|name| *name == place).expect("it was met") as Place;
        for flight in &mut state.flights {
            flight.next = flight.next.map(name);
            flight.adopted = flight.adopted.map(name);
        }
        state.table = state.table.map(name);
        if let Record::Lease(holder) = &mut state.record {
            *holder = holder.map(name);
        }
        for caller in &mut state.callers {
            if let Caller::In { flight, .. } = caller {
                *flight = name(*flight);
            }
        }
        self.sort_callers(&mut state);
        state
    }
}

impl World {
    /// What tells a flight from others, whatever it is called.
    fn looks(&self, state: &State, place: Place) -> (Stage_, usize, bool) {
        let flight = &state.flights[usize::from(place)];
        let holds = state.record == Record::Lease(Some(place));
        (rank(flight.stage), state.members(place), holds)
    }

    /// Orders callers by what they are, and leaders with them.
    fn sort_callers(&self, state: &mut State) {
        let leads =
            |state: &State, caller: usize| state.flights.iter().any(|flight| flight.leader == Some(caller as u8));
        let rank = |state: &State, caller: usize| match state.callers[caller] {
            Caller::Away => (0, 0, 0, false),
            Caller::In { flight, floor } => (1, flight, floor, leads(state, caller)),
            Caller::Gone => (2, 0, 0, false),
        };
        let mut order: Vec<usize> = (0..CALLERS).collect();
        order.sort_by_key(|caller| rank(state, *caller));
        let before = state.callers;
        for (new, old) in order.iter().enumerate() {
            state.callers[new] = before[*old];
        }
        for flight in &mut state.flights {
            flight.leader = flight
                .leader
                .and_then(|leader| order.iter().position(|old| *old == usize::from(leader)))
                .map(|new| new as u8);
        }
    }

    /// Whether somebody waits in a flight that no step can end.
    fn is_stranded(&self, state: &State) -> bool {
        let mut moving = [false; PLACES];
        for (place, flight) in state.flights.iter().enumerate() {
            let is_led = flight.leader.is_some();
            moving[place] = match flight.stage {
                Stage::Free | Stage::Queued => false,
                Stage::Open => true,
                _ => is_led,
            };
        }
        for _ in 0..PLACES {
            for (place, flight) in state.flights.iter().enumerate() {
                if moving[place] {
                    for behind in [flight.next, flight.adopted].into_iter().flatten() {
                        moving[usize::from(behind)] = true;
                    }
                }
            }
        }
        let waits = |caller: &Caller| matches!(caller, Caller::In { flight, .. } if !moving[usize::from(*flight)]);
        state.callers.iter().any(waits)
    }

    fn callers_step(&self, state: &State, next: &mut dyn FnMut(State)) {
        for caller in 0..CALLERS {
            match state.callers[caller] {
                Caller::Away => {
                    let mut after = *state;
                    after.join(caller, self.mutant);
                    next(after);
                    if self.may_join_as_near(state) {
                        let mut after = *state;
                        after.join_as_near(caller);
                        next(after);
                    }
                }
                Caller::In { flight, .. } => {
                    if state.flights[usize::from(flight)].stage == Stage::Open {
                        next(self.led(state, flight, caller));
                    }
                    if state.left.cancels > 0 {
                        self.cancelled(state, caller, flight, next);
                    }
                }
                Caller::Gone => {}
            }
        }
    }

    /// A late caller may have what a near copy could have shown it: the stream is live, and nothing has happened to the key
    /// since it was asked for.
    fn may_join_as_near(&self, state: &State) -> bool {
        let Some(current) = state.table.filter(|_| self.near && !state.quarantined) else {
            return false;
        };
        let flight = &state.flights[usize::from(current)];
        let is_proven = state.push != Push::Late || self.mutant == Mutant::Unproven;
        let is_clean = !flight.poisoned || self.mutant == Mutant::Poisoned;
        flight.stage != Stage::Open && is_proven && is_clean
    }

    /// A member leads, and hands the request on.
    fn led(&self, state: &State, place: Place, caller: usize) -> State {
        let mut after = *state;
        let quarantined = after.quarantined;
        let flight = after.flight(place);
        flight.leader = Some(caller as u8);
        // R3: what is read while nobody vouches for it, or an own write is under way, is no near copy.
        flight.poisoned = quarantined || self.is_writing(state);
        flight.stage = if quarantined {
            Stage::Loading { leased: false }
        } else {
            Stage::Asked
        };
        after
    }

    fn is_writing(&self, state: &State) -> bool {
        let own = self.writes.iter().zip(&state.writers).filter(|(by, _)| **by == By::Own);
        own.map(|(_, writer)| writer)
            .any(|writer| matches!(writer, Writer::Committed(_) | Writer::Executed(_)))
    }

    /// A caller goes away; a leader takes with it what it had under way, which may run all the same.
    fn cancelled(&self, state: &State, caller: usize, place: Place, next: &mut dyn FnMut(State)) {
        let mut after = *state;
        after.left.cancels -= 1;
        after.callers[caller] = Caller::Gone;
        if after.flight(place).leader != Some(caller as u8) {
            after.abandon(place);
            return next(after);
        }
        if self.mutant == Mutant::Abandoned {
            after.flight(place).leader = None;
            return next(after);
        }
        let held = after.record == Record::Lease(Some(place));
        if let (Stage::Filling(version), true) = (after.flight(place).stage, held) {
            let mut ran = after;
            ran.record = Record::Value(version);
            ran.reopen(place);
            next(ran);
        }
        if held {
            // Given back, or not: then it runs out.
            let mut given_back = after;
            given_back.record = Record::Absent;
            given_back.reopen(place);
            next(given_back);
            after.record = Record::Lease(None);
        }
        after.reopen(place);
        next(after);
    }

    fn flight_steps(&self, state: &State, place: Place, next: &mut dyn FnMut(State)) {
        let flight = state.flights[usize::from(place)];
        if flight.leader.is_none() {
            return;
        }
        let staged = |stage: Stage| {
            let mut after = *state;
            after.flight(place).stage = stage;
            after
        };
        match flight.stage {
            Stage::Free | Stage::Queued | Stage::Open => {}
            Stage::Asked => {
                let mut after = staged(Stage::Granted);
                after.tracked = true;
                match state.record {
                    Record::Value(version) => after.flight(place).stage = Stage::Hit(version),
                    // A lease that stands may have run out.
                    Record::Absent | Record::Lease(_) => after.record = Record::Lease(Some(place)),
                }
                next(after);
                if state.left.losses > 0 {
                    // The store does not answer: past it, and nobody tells of changes.
                    let mut lost = staged(Stage::Loading { leased: false });
                    lost.left.losses -= 1;
                    lost.flight(place).poisoned = true;
                    next(lost);
                }
            }
            Stage::Hit(version) => next(finished(state, place, version, Share::Members)),
            Stage::Granted => next(staged(Stage::Loading { leased: true })),
            Stage::Loading { leased } => {
                let version = state.committed;
                next(staged(Stage::Loaded { version, leased }));
            }
            Stage::Loaded { version, leased: false } => next(finished(state, place, version, Share::Members)),
            Stage::Loaded { version, leased: true } => {
                let mut after = staged(Stage::Filling(version));
                after.adopt(place, self.mutant);
                next(after);
            }
            Stage::Filling(version) => self.fill(state, place, version, next),
            Stage::Filled { version, stored } => {
                let shared = stored || self.mutant == Mutant::M31;
                let share = if shared { Share::Adopted } else { Share::Members };
                next(finished(state, place, version, share));
            }
        }
    }

    fn fill(&self, state: &State, place: Place, version: u8, next: &mut dyn FnMut(State)) {
        let stands = state.record == Record::Lease(Some(place));
        let mut after = *state;
        if stands {
            after.record = Record::Value(version);
        }
        after.flight(place).stage = Stage::Filled {
            version,
            stored: stands,
        };
        next(after);
        if state.left.losses > 0 {
            // Its answer is lost, or it is itself: nobody knows which.
            after.left.losses -= 1;
            after.flight(place).stage = Stage::Filled { version, stored: false };
            next(after);
            after.record = if stands { Record::Absent } else { state.record };
            next(after);
        }
    }

    fn writer_steps(&self, state: &State, w: usize, by: By, next: &mut dyn FnMut(State)) {
        let own = by == By::Own;
        let mut after = *state;
        match state.writers[w] {
            Writer::Waiting => {
                after.committed += 1;
                after.writers[w] = Writer::Committed(after.committed);
                if own {
                    self.touched_here(&mut after);
                }
                next(after);
            }
            Writer::Committed(version) => {
                if own && state.left.losses > 0 {
                    let mut lost = after;
                    lost.left.losses -= 1;
                    lost.writers[w] = Writer::Pending(version);
                    lost.quarantined = true;
                    lost.returned = lost.returned.max(version);
                    self.touched_here(&mut lost);
                    next(lost);
                }
                self.invalidate(&mut after, own);
                after.writers[w] = Writer::Executed(version);
                next(after);
            }
            Writer::Executed(version) => {
                self.acknowledged(&mut after, w, version, own);
                next(after);
            }
            Writer::Pending(version) => {
                self.invalidate(&mut after, own);
                after.quarantined = self
                    .writes
                    .iter()
                    .enumerate()
                    .any(|(other, _)| other != w && matches!(after.writers[other], Writer::Pending(_)));
                self.acknowledged(&mut after, w, version, own);
                next(after);
            }
            Writer::Done => {}
        }
    }

    fn acknowledged(&self, state: &mut State, w: usize, version: u8, own: bool) {
        state.writers[w] = Writer::Done;
        state.acked[0] = state.acked[0].max(version);
        if own {
            state.returned = state.returned.max(version);
            self.touched_here(state);
        }
    }

    /// An own write, before it is sent and on its reply (R2).
    fn touched_here(&self, state: &mut State) {
        poison(state);
        if self.mutant != Mutant::M11 {
            state.detach();
        }
    }

    fn invalidate(&self, state: &mut State, own: bool) {
        state.record = Record::Absent;
        if !own && std::mem::replace(&mut state.tracked, false) && state.push == Push::None {
            state.push = Push::Young;
        }
    }

    /// What happens outside: time, pushes, other processes.
    fn world_steps(&self, state: &State, next: &mut dyn FnMut(State)) {
        if state.record == Record::Absent && state.left.loads > 0 {
            let mut after = *state;
            after.left.loads -= 1;
            after.record = Record::Value(state.committed);
            next(after);
        }
        if !self.near {
            return;
        }
        if state.push != Push::None {
            let mut after = *state;
            after.push = Push::None;
            poison(&mut after);
            next(after);
        }
        if state.acked[1] != state.acked[0] {
            let mut after = *state;
            after.acked[1] = after.acked[0];
            if after.push == Push::Young {
                after.push = Push::Late;
            }
            next(after);
        }
    }
}

fn poison(state: &mut State) {
    for flight in &mut state.flights {
        flight.poisoned |= !matches!(flight.stage, Stage::Free | Stage::Queued | Stage::Open);
    }
}

fn finished(state: &State, place: Place, version: u8, share: Share) -> State {
    let mut after = *state;
    if after.record == Record::Lease(Some(place)) {
        after.record = Record::Lease(None);
    }
    after.finish(place, version, share);
    after
}

/// A stage that can be ordered.
type Stage_ = (u8, u8, bool);

const fn rank(stage: Stage) -> Stage_ {
    match stage {
        Stage::Free => (0, 0, false),
        Stage::Queued => (1, 0, false),
        Stage::Open => (2, 0, false),
        Stage::Asked => (3, 0, false),
        Stage::Hit(version) => (4, version, false),
        Stage::Granted => (5, 0, false),
        Stage::Loading { leased } => (6, 0, leased),
        Stage::Loaded { version, leased } => (7, version, leased),
        Stage::Filling(version) => (8, version, false),
        Stage::Filled { version, stored } => (9, version, stored),
    }
}
