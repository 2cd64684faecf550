//! What there is: the row, the store's record of it, the flights of one process, and its callers.

/// A commit's number; 0 is what was there at first.
pub(super) type Version = u8;

/// A place among the flights.
pub(super) type Place = u8;

/// Places for flights: one runs and one waits, and as many again may be detached.
pub(super) const PLACES: usize = 5;

pub(super) const CALLERS: usize = 4;

/// The store's record of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Record {
    Absent,
    Value(Version),
    /// Of the flight in this place; `None`: of one that went away, which runs out.
    Lease(Option<Place>),
}

/// How far a flight is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// No flight is here.
    Free,
    /// Waits for the flight before it.
    Queued,
    /// Nobody leads it, or its request is not handed on yet.
    Open,
    /// Its request is under way.
    Asked,
    /// A hit is under way to it.
    Hit(Version),
    /// A lease is.
    Granted,
    Loading {
        leased: bool,
    },
    Loaded {
        version: Version,
        leased: bool,
    },
    /// Its fill is under way.
    Filling(Version),
    /// The answer to its fill is.
    Filled {
        version: Version,
        stored: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flight {
    pub(super) stage: Stage,
    /// Which caller leads it.
    pub(super) leader: Option<u8>,
    /// Those who came after the request was handed on.
    pub(super) next: Option<Place>,
    /// Those of `next` who came before the fill was handed on.
    pub(super) adopted: Option<Place>,
    /// The key was touched since the request was handed on, or before that (R2).
    pub(super) poisoned: bool,
}

pub(super) const NO_FLIGHT: Flight = Flight {
    stage: Stage::Free,
    leader: None,
    next: None,
    adopted: None,
    poisoned: false,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Caller {
    Away,
    /// Waits for the outcome of a flight, which must not be older than this.
    In {
        flight: Place,
        floor: Version,
    },
    Gone,
}

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The process whose flights these are.
    Own,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Writer {
    Waiting,
    /// Visible in the source; an own write has detached what ran.
    Committed(Version),
    /// The store has invalidated it; the answer is under way.
    Executed(Version),
    /// Not acknowledged, and the caller knows: to be repeated.
    Pending(Version),
    Done,
}

/// A push under way to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Push {
    None,
    /// Sent within the bound.
    Young,
    /// Sent longer ago.
    Late,
}

/// How much of each kind of trouble is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    /// Callers that go away.
    pub(super) cancels: u8,
    /// Requests or answers that are lost.
    pub(super) losses: u8,
    /// Loads by other processes.
    pub(super) loads: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) committed: Version,
    /// The newest commit that was acknowledged: now, and longer ago than the bound of the near tier.
    pub(super) acked: [Version; 2],
    /// The newest commit of this process whose invalidation has returned, acknowledged or not.
    pub(super) returned: Version,
    pub(super) record: Record,
    pub(super) flights: [Flight; PLACES],
    /// The flight that callers find.
    pub(super) table: Option<Place>,
    pub(super) callers: [Caller; CALLERS],
    pub(super) writers: [Writer; 2],
    /// The key is read from the source alone.
    pub(super) quarantined: bool,
    /// Somebody read the record, and the server will tell of its next change.
    pub(super) tracked: bool,
    pub(super) push: Push,
    pub(super) left: Budget,
    /// Somebody was given what was too old.
    pub(super) broken: bool,
}

impl State {
    pub(super) fn members(&self, place: Place) -> usize {
        let is_in = |caller: &&Caller| matches!(caller, Caller::In { flight, .. } if *flight == place);
        self.callers.iter().filter(is_in).count()
    }

    pub(super) fn flight(&mut self, place: Place) -> &mut Flight {
        &mut self.flights[usize::from(place)]
    }

    /// A new flight.
    pub(super) fn form(&mut self, stage: Stage) -> Place {
        let free = self.flights.iter().position(|flight| flight.stage == Stage::Free);
        let place = free.expect("there are more places than callers") as Place;
        *self.flight(place) = Flight { stage, ..NO_FLIGHT };
        place
    }

    /// Gives everybody in `place` an outcome.
    pub(super) fn deliver(&mut self, place: Place, version: Version) {
        for caller in &mut self.callers {
            if let Caller::In { flight, floor } = *caller
                && flight == place
            {
                self.broken |= version < floor;
                *caller = Caller::Gone;
            }
        }
    }
}
