//! Readers that load under a lease beside writers that invalidate.
//!
//! One key, one tag, two loaders. A lease may expire or be taken over. A load may fail: its lease is given back, or kept
//! for a while where an older value is served meanwhile. The record, its marker and either stamp may be lost, stamps may age, a `get` may time out and be repeated while its first copy runs at any later moment,
//! and an `invtag` may run once more at any later moment.

mod claims;
mod mutant;
mod names;
mod tier;

use self::{
    mutant::Mutant,
    names::Names,
    tier::{CLIENT_TOKEN, DRAWN, Record, Tier},
};
use super::{explore::Machine, parts::Id};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Loader {
    Idle,
    Leased { token: Id },
    Loaded { token: Id, version: u8 },
}

impl Loader {
    const fn token(self) -> Option<Id> {
        match self {
            Self::Idle => None,
            Self::Leased { token } | Self::Loaded { token, .. } => Some(token),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum By {
    Key,
    Tag,
    Clear,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Writer {
    Waiting(By),
    Committed(By, u8),
    Done,
}

/// A copy of a request that is still under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Late {
    Get { token: Id, candidate: Id },
    InvTag { stamp: Id },
}

/// How much of each kind of trouble is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Budget {
    loads: u8,
    losses: u8,
    ages: u8,
    retries: u8,
    repeats: u8,
}

const DEFAULT: Budget = Budget {
    loads: 3,
    losses: 2,
    ages: 1,
    retries: 1,
    repeats: 1,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    committed: u8,
    acked: u8,
    tier: Tier,
    loaders: [Loader; 2],
    writers: Vec<Writer>,
    late: Vec<Late>,
    left: Budget,
}

/// What is claimed of every state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// T1: nothing that is answered is older than what was acknowledged.
    NothingOutdated,
    /// Who is told to wait for a load is not told so where nobody loads.
    NobodyWaitsForNobody,
}

struct Leases {
    claim: Claim,
    mutant: Mutant,
    writers: Vec<By>,
    budget: Budget,
}

impl Machine for Leases {
    type State = State;

    fn start(&self) -> State {
        State {
            committed: 0,
            acked: 0,
            tier: Tier {
                record: Record::Absent,
                marker: None,
                young: None,
                old: None,
            },
            loaders: [Loader::Idle; 2],
            writers: self.writers.iter().map(|by| Writer::Waiting(*by)).collect(),
            late: Vec::new(),
            left: self.budget,
        }
    }

    fn is_violation(&self, state: &State) -> bool {
        match self.claim {
            Claim::NothingOutdated => {
                let answered = state.tier.answer(self.mutant);
                answered.is_some_and(|version| version < state.acked)
            }
            Claim::NobodyWaitsForNobody => {
                let waited_for = state.tier.waited_for(self.mutant);
                waited_for.is_some_and(|awaited| !state.loaders.iter().any(|loader| loader.token() == Some(awaited)))
            }
        }
    }

    fn steps(&self, state: &State, next: &mut dyn FnMut(State)) {
        for i in 0..state.loaders.len() {
            self.loader_steps(state, i, next);
        }
        for i in 0..state.writers.len() {
            self.writer_steps(state, i, next);
        }
        for i in 0..state.late.len() {
            self.late_steps(state, i, next);
        }
        self.losses(state, next);
    }

    fn canonical(&self, mut state: State) -> State {
        state.writers.sort_unstable();
        let mut names = Names::default();
        names.tier(&mut state.tier);
        // Peers are alike: order them by what they are, those whose identifiers the tier knows first.
        let rank = |loader: &Loader| match *loader {
            Loader::Idle => (0, 0, 0),
            Loader::Leased { token } => (1, 0, names.known(token)),
            Loader::Loaded { token, version } => (2, version, names.known(token)),
        };
        state.loaders.sort_by_key(rank);
        for loader in &mut state.loaders {
            if let Loader::Leased { token } | Loader::Loaded { token, .. } = loader {
                names.rename(token);
            }
        }
        for late in &mut state.late {
            match late {
                Late::Get { token, candidate } => {
                    names.rename(token);
                    names.rename(candidate);
                }
                Late::InvTag { stamp } => names.rename(stamp),
            }
        }
        state
    }
}

impl Leases {
    fn loader_steps(&self, state: &State, i: usize, next: &mut dyn FnMut(State)) {
        let with = |loader: Loader, tier: Tier| {
            let mut state = State { tier, ..state.clone() };
            state.loaders[i] = loader;
            state
        };
        match state.loaders[i] {
            Loader::Idle => self.asks(state, i, next),
            Loader::Leased { token } => {
                next(with(
                    Loader::Loaded {
                        token,
                        version: state.committed,
                    },
                    state.tier,
                ));
            }
            Loader::Loaded { token, version } => {
                next(with(Loader::Idle, state.tier.fill(token, version, self.mutant)));
            }
        }
        if let Loader::Leased { token } | Loader::Loaded { token, .. } = state.loaders[i]
            && state.tier.record.token() == token
        {
            let released = Tier {
                record: state.tier.record.released(),
                ..state.tier
            };
            next(with(Loader::Idle, released));
            let has_older = matches!(state.tier.record, Record::Value { .. });
            if has_older || self.mutant == Mutant::KeptForNothing {
                // Nobody tries again for a while: the older value is served, and the lease stays.
                next(with(Loader::Idle, state.tier));
            }
        }
    }

    /// A loader asks for a lease; the attempt may time out and be repeated.
    fn asks(&self, state: &State, i: usize, next: &mut dyn FnMut(State)) {
        if state.left.loads == 0 {
            return;
        }
        let (token, candidate) = (if self.mutant == Mutant::M2 { CLIENT_TOKEN } else { DRAWN }, DRAWN + 1);
        let again = if self.mutant == Mutant::M13 { DRAWN } else { DRAWN + 2 };
        let candidate_again = if self.mutant == Mutant::M43 {
            candidate
        } else {
            DRAWN + 3
        };
        let granted = |tier: Tier, token: Id, retries: u8| {
            let mut state = State { tier, ..state.clone() };
            state.loaders[i] = Loader::Leased { token };
            state.left.loads -= 1;
            state.left.retries -= retries;
            state
        };
        let first = state.tier.get(token, candidate, self.mutant);
        next(granted(first, token, 0));
        if state.left.retries > 0 {
            // Its copy ran and the reply was lost; or it is under way and runs later.
            next(granted(first.get(again, candidate_again, self.mutant), again, 1));
            let mut waiting = granted(state.tier.get(again, candidate_again, self.mutant), again, 1);
            waiting.late.push(Late::Get {
                token: DRAWN,
                candidate,
            });
            next(waiting);
        }
    }

    fn writer_steps(&self, state: &State, i: usize, next: &mut dyn FnMut(State)) {
        match state.writers[i] {
            Writer::Waiting(by) => {
                let mut state = state.clone();
                state.committed += 1;
                state.writers[i] = Writer::Committed(by, state.committed);
                next(state);
            }
            Writer::Committed(by, version) => {
                let mut done = state.clone();
                done.acked = done.acked.max(version);
                done.writers[i] = Writer::Done;
                done.tier = match by {
                    By::Key => Tier {
                        record: Record::Absent,
                        ..state.tier
                    },
                    By::Clear => state.tier.clear(),
                    By::Tag => state.tier.invalidate_tag(DRAWN + 6, self.mutant),
                };
                if by == By::Tag && state.tier.marker.is_some() && state.left.repeats > 0 {
                    let mut repeated = done.clone();
                    repeated.left.repeats -= 1;
                    repeated.late.push(Late::InvTag { stamp: DRAWN + 6 });
                    next(repeated);
                }
                next(done);
            }
            Writer::Done => {}
        }
    }

    fn late_steps(&self, state: &State, i: usize, next: &mut dyn FnMut(State)) {
        let mut rest = state.clone();
        match rest.late.remove(i) {
            Late::InvTag { stamp } => {
                rest.tier = state.tier.invalidate_tag(stamp, self.mutant);
                next(rest);
            }
            Late::Get { token, candidate } => {
                let granted = state.tier.get(token, candidate, self.mutant);
                let answered = Tier {
                    record: state.tier.record,
                    ..granted
                };
                next(State {
                    tier: granted,
                    ..rest.clone()
                });
                if answered.answer(self.mutant).is_some() {
                    next(State { tier: answered, ..rest });
                }
            }
        }
    }

    fn losses(&self, state: &State, next: &mut dyn FnMut(State)) {
        let tier = state.tier;
        let lost = [
            (tier.record != Record::Absent).then_some(Tier {
                record: Record::Absent,
                ..tier
            }),
            tier.marker.map(|_| Tier { marker: None, ..tier }),
            tier.young.map(|_| Tier { young: None, ..tier }),
            tier.old.map(|_| Tier { old: None, ..tier }),
        ];
        if state.left.losses > 0 {
            for tier in lost.into_iter().flatten() {
                let mut state = State { tier, ..state.clone() };
                state.left.losses -= 1;
                next(state);
            }
        }
        if state.left.ages > 0 && tier.young.is_some() {
            let aged = Tier {
                young: None,
                old: tier.young,
                ..tier
            };
            let mut state = State {
                tier: aged,
                ..state.clone()
            };
            state.left.ages -= 1;
            next(state);
        }
    }
}
