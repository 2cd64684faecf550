//! Readers that load under a lease beside writers that invalidate.
//!
//! One key, one tag, two loaders. A lease may expire or be taken over, a load may fail, the record, its marker and
//! either stamp may be lost, stamps may age, a `get` may time out and be repeated while its first copy runs at any later moment,
//! and an `invtag` may run once more at any later moment.

use super::explore::{Found, Machine, explore};

/// An identifier: tokens, incarnations, stamps. 0 is none; compared for equality only.
type Id = u8;

/// The token that a client uses for all its attempts, in mutant M2: the only identifier that keeps its name.
const CLIENT_TOKEN: Id = 90;

/// Identifiers drawn in a step; canonical names are far below.
const DRAWN: Id = 101;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Stamp {
    id: Id,
    tseq: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Marker {
    incarnation: Id,
    tseq: u8,
}

/// What the key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Record {
    Absent,
    Lease {
        token: Id,
        incarnation: Id,
        tseq: u8,
    },
    Value {
        version: u8,
        incarnation: Id,
        stamp: Stamp,
        tseq: u8,
        token: Id,
    },
}

impl Record {
    const fn token(self) -> Id {
        match self {
            Self::Absent => 0,
            Self::Lease { token, .. } | Self::Value { token, .. } => token,
        }
    }

    /// The record after its lease was given back.
    const fn released(self) -> Self {
        match self {
            Self::Value {
                version,
                incarnation,
                stamp,
                tseq,
                ..
            } => Self::Value {
                version,
                incarnation,
                stamp,
                tseq,
                token: 0,
            },
            Self::Absent | Self::Lease { .. } => Self::Absent,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Loader {
    Idle,
    Leased { token: Id },
    Loaded { token: Id, version: u8 },
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

/// What the store holds: the record, its partition's marker, the tag's stamp in either age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Tier {
    record: Record,
    marker: Option<Marker>,
    young: Option<Stamp>,
    old: Option<Stamp>,
}

/// A rule dropped, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutant {
    None,
    /// The fill ignores the token.
    M1,
    /// A token per client instead of per attempt.
    M2,
    /// The fill does not compare the stamp with its lease.
    M3,
    /// The fill does not compare the sequence where the stamp is lost.
    M3b,
    /// An absent stamp is a valid one.
    M5,
    /// An absent marker keeps the entries.
    M6,
    /// A retry repeats its token.
    M13,
    /// `invtag` leaves the older stamp.
    M26,
    /// The fill accepts another incarnation.
    M27,
    /// A stamp without its sequence.
    M40,
    /// The shortcut is taken under an open lease too. Not a violation: caution.
    M41,
    /// Stamps are kept where the marker is created anew. Not a violation: liveness.
    M42,
    /// A retry repeats its incarnation candidate.
    M43,
}

struct Leases {
    mutant: Mutant,
    writers: Vec<By>,
    budget: Budget,
}

impl Tier {
    fn stamp(&self) -> Option<Stamp> {
        self.young.or(self.old)
    }

    /// The version that a read would be answered with.
    fn answer(&self, mutant: Mutant) -> Option<u8> {
        let Record::Value {
            version,
            incarnation,
            stamp,
            tseq,
            token,
        } = self.record
        else {
            return None;
        };
        match self.marker {
            None if mutant != Mutant::M6 => return None,
            Some(marker) if marker.incarnation != incarnation => return None,
            // No tag of the partition moved since the fill.
            Some(marker) if tseq == marker.tseq && (token == 0 || mutant == Mutant::M41) => return Some(version),
            _ => {}
        }
        let current = match self.stamp() {
            None => mutant == Mutant::M5,
            Some(now) if mutant == Mutant::M40 => now.id == stamp.id,
            Some(now) => now == stamp,
        };
        current.then_some(version)
    }

    /// One execution of `get` in mode `lease`. `None`: answered or refused, nothing granted. The lease that stands
    /// counts as expired, for it may be at any moment.
    fn get(mut self, token: Id, candidate: Id, mutant: Mutant) -> Self {
        let marker = self.marker.unwrap_or_else(|| {
            if mutant != Mutant::M42 {
                (self.young, self.old) = (None, None);
            }
            Marker {
                incarnation: candidate,
                tseq: 0,
            }
        });
        self.marker = Some(marker);
        let valid = self.answer(mutant).is_some();
        self.record = match self.record {
            Record::Value {
                version,
                incarnation,
                stamp,
                ..
            } if valid => Record::Value {
                version,
                incarnation,
                stamp,
                tseq: marker.tseq,
                token,
            },
            _ => Record::Lease {
                token,
                incarnation: marker.incarnation,
                tseq: marker.tseq,
            },
        };
        self
    }

    /// One execution of `fill`; the tier after it.
    fn fill(mut self, token: Id, version: u8, mutant: Mutant) -> Self {
        let (standing, lease_tseq) = match self.record {
            Record::Absent => (None, 0),
            Record::Lease { incarnation, tseq, .. } | Record::Value { incarnation, tseq, .. } => {
                (Some(incarnation), tseq)
            }
        };
        let (incarnation, lease_tseq) = if mutant == Mutant::M1 {
            // The token ignored: whatever lease is there counts, or that of this moment.
            let Some(marker) = self.marker else { return self };
            let tseq = if let Record::Lease { tseq, .. } = self.record {
                tseq
            } else {
                marker.tseq
            };
            (marker.incarnation, tseq)
        } else if self.record.token() == token && token != 0 {
            (standing.expect("a record with a token has an incarnation"), lease_tseq)
        } else {
            return self;
        };
        let Some(marker) = self.marker else {
            return Self {
                record: Record::Absent,
                ..self
            };
        };
        if marker.incarnation != incarnation && mutant != Mutant::M27 {
            return Self {
                record: Record::Absent,
                ..self
            };
        }
        let outdated = match self.stamp() {
            Some(stamp) => stamp.tseq > lease_tseq && mutant != Mutant::M3,
            None => marker.tseq > lease_tseq && !matches!(mutant, Mutant::M3 | Mutant::M3b),
        };
        if outdated {
            return Self {
                record: self.record.released(),
                ..self
            };
        }
        let known = self.stamp();
        let stamp = known.unwrap_or(Stamp {
            id: DRAWN + 4,
            tseq: lease_tseq,
        });
        let moved = known.is_some() && self.young.is_none() && mutant != Mutant::M26;
        self.record = Record::Value {
            version,
            incarnation: marker.incarnation,
            stamp,
            tseq: marker.tseq,
            token: 0,
        };
        self.young = Some(stamp);
        if moved {
            self.old = None;
        }
        self
    }

    fn invalidate_tag(mut self, stamp: Id, mutant: Mutant) -> Self {
        let Some(marker) = &mut self.marker else { return self };
        marker.tseq += 1;
        self.young = Some(Stamp {
            id: stamp,
            tseq: marker.tseq,
        });
        if mutant != Mutant::M26 {
            self.old = None;
        }
        self
    }

    /// `rotate` is a compare-and-set, so without a marker it does nothing.
    fn clear(mut self) -> Self {
        if self.marker.is_some() {
            self.marker = Some(Marker {
                incarnation: DRAWN + 5,
                tseq: 0,
            });
            (self.young, self.old) = (None, None);
        }
        self
    }
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
        state
            .tier
            .answer(self.mutant)
            .is_some_and(|version| version < state.acked)
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

/// Gives identifiers the names 1, 2, 3 in the order in which they are met.
#[derive(Default)]
struct Names(Vec<Id>);

impl Names {
    fn rename(&mut self, id: &mut Id) {
        if *id == 0 || *id == CLIENT_TOKEN {
            return;
        }
        let known = self.0.iter().position(|name| name == id);
        *id = 1 + known.unwrap_or_else(|| {
            self.0.push(*id);
            self.0.len() - 1
        }) as Id;
    }

    fn known(&self, id: Id) -> usize {
        self.0.iter().position(|name| *name == id).unwrap_or(usize::MAX)
    }

    fn tier(&mut self, tier: &mut Tier) {
        match &mut tier.record {
            Record::Absent => {}
            Record::Lease { token, incarnation, .. } => {
                self.rename(token);
                self.rename(incarnation);
            }
            Record::Value {
                incarnation,
                stamp,
                token,
                ..
            } => {
                self.rename(incarnation);
                self.rename(&mut stamp.id);
                self.rename(token);
            }
        }
        if let Some(marker) = &mut tier.marker {
            self.rename(&mut marker.incarnation);
        }
        for stamp in [&mut tier.young, &mut tier.old].into_iter().flatten() {
            self.rename(&mut stamp.id);
        }
    }
}

fn run(mutant: Mutant, writers: &[By], budget: Budget) -> Found<State> {
    explore(&Leases {
        mutant,
        writers: writers.to_vec(),
        budget,
    })
}

const PAIRS: [&[By]; 5] = [
    &[By::Key, By::Tag],
    &[By::Tag, By::Tag],
    &[By::Key, By::Key],
    &[By::Clear, By::Key],
    &[By::Clear, By::Tag],
];

/// T1: whatever is lost, late or repeated, no read is older than the newest acknowledged write.
#[test]
fn no_reachable_state_answers_an_outdated_value() {
    let mut total = 0;
    let runs = [
        (PAIRS[0], DEFAULT),
        (PAIRS[1], DEFAULT),
        (PAIRS[2], DEFAULT),
        (PAIRS[4], DEFAULT),
        (
            PAIRS[3],
            Budget {
                losses: 3,
                retries: 2,
                ..DEFAULT
            },
        ),
        (
            &[By::Key, By::Tag, By::Tag],
            Budget {
                losses: 1,
                repeats: 0,
                retries: 0,
                ..DEFAULT
            },
        ),
    ];
    for (writers, budget) in runs {
        let found = run(Mutant::None, writers, budget);
        assert!(
            found.violation.is_none(),
            "{writers:?} {budget:?}: {:?}",
            found.violation
        );
        total += found.states;
    }
    println!("{total} states, 0 violations");
    assert!(total > 1_000_000, "the bounds have shrunk: {total} states");
}

#[test]
fn every_rule_dropped_alone_is_found() {
    use Mutant as M;
    for mutant in [
        M::M1,
        M::M2,
        M::M3,
        M::M3b,
        M::M5,
        M::M6,
        M::M13,
        M::M26,
        M::M27,
        M::M40,
        M::M43,
    ] {
        let budget = if mutant == M::M43 {
            Budget {
                losses: 1,
                ages: 0,
                ..DEFAULT
            }
        } else {
            DEFAULT
        };
        let found = PAIRS
            .iter()
            .any(|writers| run(mutant, writers, budget).violation.is_some());
        assert!(found, "{mutant:?} was not found");
    }
}

#[test]
fn the_two_rules_that_are_caution_and_liveness_break_nothing() {
    for mutant in [Mutant::M41, Mutant::M42] {
        let found = run(mutant, PAIRS[0], Budget { retries: 0, ..DEFAULT });
        assert!(found.violation.is_none(), "{mutant:?}: {:?}", found.violation);
    }
}
