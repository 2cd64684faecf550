//! The flight table: who joins what, and what becomes of whom when a flight ends. As `larder-cache/src/flight.rs` does it,
//! step by step.

use super::{
    mutant::Mutant,
    state::{Caller, NO_FLIGHT, Place, Stage, State, Version},
};

/// Who may have an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    Members,
    Adopted,
}

impl State {
    /// A caller comes.
    pub(super) fn join(&mut self, caller: usize, mutant: Mutant) {
        let floor = self.acked[0].max(self.returned);
        let Some(current) = self.table else {
            let place = self.form(Stage::Open);
            self.table = Some(place);
            self.callers[caller] = Caller::In { flight: place, floor };
            return;
        };
        let is_open = self.flight(current).stage == Stage::Open;
        let shares = is_open || mutant == Mutant::M30;
        let flight = if shares { current } else { self.next_of(current) };
        self.callers[caller] = Caller::In { flight, floor };
    }

    /// A caller comes while the near tier is live: it may have what a near copy could have shown it.
    pub(super) fn join_as_near(&mut self, caller: usize) {
        let floor = self.acked[1].max(self.returned);
        let flight = self.table.expect("there is a flight under way");
        self.callers[caller] = Caller::In { flight, floor };
    }

    fn next_of(&mut self, place: Place) -> Place {
        if let Some(next) = self.flight(place).next {
            return next;
        }
        let next = self.form(Stage::Queued);
        self.flight(place).next = Some(next);
        next
    }

    /// Who comes from now on shares nothing that is under way.
    pub(super) fn detach(&mut self) {
        if let Some(current) = self.table
            && self.flight(current).stage != Stage::Open
        {
            self.table = None;
        }
    }

    /// Right before the fill is handed on.
    pub(super) fn adopt(&mut self, place: Place, mutant: Mutant) {
        if self.flight(place).adopted.is_some() {
            return;
        }
        let adopted = self.flight(place).next.take();
        self.flight(place).adopted = adopted;
        if let (Some(adopted), true) = (adopted, mutant != Mutant::Forgotten) {
            // Left over from a leader that went away.
            self.flight(place).next = self.flight(adopted).next.take();
        }
    }

    /// A flight ends.
    pub(super) fn finish(&mut self, place: Place, version: Version, share: Share) {
        self.deliver(place, version);
        let (next, adopted) = (self.flight(place).next, self.flight(place).adopted);
        let chain = match (share, adopted) {
            (Share::Adopted, Some(adopted)) => {
                self.deliver(adopted, version);
                *self.flight(adopted) = NO_FLIGHT;
                next
            }
            (Share::Members, Some(adopted)) => {
                self.flight(adopted).next = next;
                Some(adopted)
            }
            (_, None) => next,
        };
        self.succeed(place, chain);
    }

    /// The leader of a flight goes away, and with it what it had under way.
    pub(super) fn reopen(&mut self, place: Place) {
        let (next, adopted) = (self.flight(place).next, self.flight(place).adopted.take());
        if let Some(adopted) = adopted {
            self.flight(adopted).next = next;
            self.flight(place).next = Some(adopted);
        }
        let flight = self.flight(place);
        (flight.stage, flight.leader) = (Stage::Open, None);
        self.abandon(place);
    }

    /// An open flight without members makes way for those behind it.
    pub(super) fn abandon(&mut self, place: Place) {
        if self.flight(place).stage == Stage::Open && self.members(place) == 0 {
            let chain = self.flight(place).next;
            self.succeed(place, chain);
        }
    }

    /// The first flight of `chain` that has members takes the place of one that is over.
    fn succeed(&mut self, place: Place, mut chain: Option<Place>) {
        while let Some(first) = chain
            && self.members(first) == 0
        {
            chain = self.flight(first).next;
            *self.flight(first) = NO_FLIGHT;
        }
        if let Some(first) = chain {
            self.flight(first).stage = Stage::Open;
        }
        if self.table == Some(place) {
            self.table = chain;
        }
        *self.flight(place) = NO_FLIGHT;
    }
}
