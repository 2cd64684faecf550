//! Writers that store what they commit, beside writers that only invalidate.
//!
//! One key, one tag, two storing writers (begin, commit, `endput`), one other writer, two loaders. Holds lapse in any order at
//! any time, record and marker may be lost at any time, a storing writer may die after begin or after its commit.

use std::collections::BTreeSet;

use super::{
    explore::{Found, Machine, explore},
    page,
    parts::{Id, Marker, Stamp},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Record {
    Absent,
    Lease {
        token: Id,
        marker: Marker,
    },
    Value {
        version: u8,
        incarnation: Id,
        stamp: Stamp,
    },
    Held {
        holds: BTreeSet<Id>,
        contended: bool,
        marker: Marker,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Storing {
    Waiting,
    Begun { token: Id },
    Committed { token: Id, version: u8 },
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Loader {
    Idle,
    Leased { token: Id },
    Loaded { token: Id, version: u8 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Other {
    Waiting,
    Committed { version: u8 },
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Key,
    Tag,
    Clear,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    committed: u8,
    acked: u8,
    record: Record,
    marker: Option<Marker>,
    stamp: Option<Stamp>,
    storing: [Storing; 2],
    other: Other,
    loaders: [Loader; 2],
    losses: u8,
    loads: u8,
    drawn: Id,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutant {
    None,
    /// An end drops the holds of others.
    M12,
    /// Begin overwrites the holds of others.
    M28,
    /// Begin does not mark a hold contended.
    M32,
    /// `inv` does not mark an open hold.
    M33,
    /// An end that finds no hold leaves what is there.
    M34,
    /// An end without its own token does not mark the others'.
    M35,
    /// `endput` skips the incarnation.
    M36,
    /// `endput` skips the tag check.
    M36b,
}

#[derive(Clone, Copy)]
struct Holds {
    mutant: Mutant,
    other: Option<By>,
    losses: u8,
    loads: u8,
    /// Holds may lapse.
    lapse: bool,
    /// T3 instead of T1: nothing older than the newest visible commit.
    strict: bool,
}

impl State {
    fn draw(&mut self) -> Id {
        self.drawn += 1;
        self.drawn
    }

    fn answer(&self) -> Option<u8> {
        let (
            Record::Value {
                version,
                incarnation,
                stamp,
            },
            Some(marker),
        ) = (&self.record, self.marker)
        else {
            return None;
        };
        (marker.incarnation == *incarnation && self.stamp == Some(*stamp)).then_some(*version)
    }

    /// The marker, created where it is lost; lost stamps go with it.
    fn ensure_marker(&mut self) -> Marker {
        if let Some(marker) = self.marker {
            return marker;
        }
        let marker = Marker {
            incarnation: self.draw(),
            tseq: 0,
        };
        (self.marker, self.stamp) = (Some(marker), None);
        marker
    }

    fn acknowledge(&mut self, version: u8) {
        self.acked = self.acked.max(version);
    }

    /// The stamp that a value stored now would carry, if no tag moved since `since`.
    fn stamp_since(&mut self, since: u8, unchecked: bool) -> Option<Stamp> {
        let tseq = self.marker?.tseq;
        match self.stamp {
            Some(stamp) => (unchecked || stamp.tseq <= since).then_some(stamp),
            None if unchecked || tseq <= since => {
                let stamp = Stamp {
                    id: self.draw(),
                    tseq: since,
                };
                self.stamp = Some(stamp);
                Some(stamp)
            }
            None => None,
        }
    }
}

impl Machine for Holds {
    type State = State;

    fn start(&self) -> State {
        State {
            committed: 0,
            acked: 0,
            record: Record::Absent,
            marker: None,
            stamp: None,
            storing: [Storing::Waiting; 2],
            other: if self.other.is_some() {
                Other::Waiting
            } else {
                Other::Done
            },
            loaders: [Loader::Idle; 2],
            losses: self.losses,
            loads: self.loads,
            drawn: 0,
        }
    }

    fn is_violation(&self, state: &State) -> bool {
        let bound = if self.strict { state.committed } else { state.acked };
        state.answer().is_some_and(|version| version < bound)
    }

    fn canonical(&self, mut state: State) -> State {
        state.storing.sort_unstable();
        state.loaders.sort_unstable();
        state
    }

    fn steps(&self, state: &State, next: &mut dyn FnMut(State)) {
        for i in 0..state.storing.len() {
            self.storing_steps(state, i, next);
            self.loader_steps(state, i, next);
        }
        self.other_steps(state, next);
        self.trouble(state, next);
    }
}

impl Holds {
    fn storing_steps(&self, state: &State, i: usize, next: &mut dyn FnMut(State)) {
        let mut after = state.clone();
        match state.storing[i] {
            Storing::Waiting => {
                self.begin(&mut after, i);
                next(after);
            }
            Storing::Begun { token } => {
                let mut died = state.clone();
                died.storing[i] = Storing::Done;
                next(died);
                after.committed += 1;
                after.storing[i] = Storing::Committed {
                    token,
                    version: after.committed,
                };
                next(after);
            }
            Storing::Committed { token, version } => {
                let mut died = state.clone();
                died.storing[i] = Storing::Done;
                next(died);
                after.storing[i] = Storing::Done;
                after.acknowledge(version);
                self.endput(&mut after, token, version);
                next(after);
            }
            Storing::Done => {}
        }
    }

    fn begin(&self, state: &mut State, i: usize) {
        let (mut open, mut contended) = match &state.record {
            Record::Held { holds, contended, .. } => (
                if self.mutant == Mutant::M28 {
                    BTreeSet::new()
                } else {
                    holds.clone()
                },
                *contended,
            ),
            _ => (BTreeSet::new(), false),
        };
        contended |= !open.is_empty() && self.mutant != Mutant::M32;
        let marker = state.ensure_marker();
        let token = state.draw();
        open.insert(token);
        state.record = Record::Held {
            holds: open,
            contended,
            marker,
        };
        state.storing[i] = Storing::Begun { token };
    }

    fn endput(&self, state: &mut State, token: Id, version: u8) {
        let Record::Held {
            mut holds,
            contended,
            marker,
        } = state.record.clone()
        else {
            if self.mutant != Mutant::M34 {
                state.record = Record::Absent;
            }
            return;
        };
        let own = holds.remove(&token);
        let same = self.mutant == Mutant::M36 || state.marker.is_some_and(|now| now.incarnation == marker.incarnation);
        if own && holds.is_empty() && !contended && same && state.marker.is_some() {
            let incarnation = state.marker.expect("checked in this condition").incarnation;
            if let Some(stamp) = state.stamp_since(marker.tseq, self.mutant == Mutant::M36b) {
                state.record = Record::Value {
                    version,
                    incarnation,
                    stamp,
                };
                return;
            }
        }
        if self.mutant == Mutant::M12 {
            holds.clear();
        }
        state.record = if holds.is_empty() {
            Record::Absent
        } else {
            let contended = contended || (!own && self.mutant != Mutant::M35);
            Record::Held {
                holds,
                contended,
                marker,
            }
        };
    }

    fn other_steps(&self, state: &State, next: &mut dyn FnMut(State)) {
        let mut after = state.clone();
        match (state.other, self.other) {
            (Other::Waiting, Some(_)) => {
                after.committed += 1;
                after.other = Other::Committed {
                    version: after.committed,
                };
            }
            (Other::Committed { version }, Some(by)) => {
                after.other = Other::Done;
                after.acknowledge(version);
                self.invalidate(&mut after, by);
            }
            _ => return,
        }
        next(after);
    }

    fn invalidate(&self, state: &mut State, by: By) {
        match (by, state.marker) {
            (By::Key, _) => match &mut state.record {
                Record::Held { contended, .. } => *contended |= self.mutant != Mutant::M33,
                record => *record = Record::Absent,
            },
            (By::Tag, Some(marker)) => {
                let tseq = marker.tseq + 1;
                state.marker = Some(Marker { tseq, ..marker });
                let id = state.draw();
                state.stamp = Some(Stamp { id, tseq });
            }
            (By::Clear, Some(_)) => {
                let incarnation = state.draw();
                state.marker = Some(Marker { incarnation, tseq: 0 });
                state.stamp = None;
            }
            (By::Tag | By::Clear, None) => {}
        }
    }

    fn loader_steps(&self, state: &State, i: usize, next: &mut dyn FnMut(State)) {
        let mut after = state.clone();
        match state.loaders[i] {
            Loader::Idle => {
                let held = matches!(state.record, Record::Held { .. });
                if state.loads == 0 || held || state.answer().is_some() {
                    return;
                }
                let marker = after.ensure_marker();
                let token = after.draw();
                after.record = Record::Lease { token, marker };
                after.loaders[i] = Loader::Leased { token };
                after.loads -= 1;
            }
            Loader::Leased { token } => {
                after.loaders[i] = Loader::Loaded {
                    token,
                    version: state.committed,
                }
            }
            Loader::Loaded { token, version } => {
                after.loaders[i] = Loader::Idle;
                self.fill(&mut after, token, version);
            }
        }
        next(after);
    }

    fn fill(&self, state: &mut State, token: Id, version: u8) {
        let Record::Lease {
            token: standing,
            marker,
        } = state.record
        else {
            return;
        };
        let same = state.marker.is_some_and(|now| now.incarnation == marker.incarnation);
        if standing != token || !same {
            return;
        }
        if let Some(stamp) = state.stamp_since(marker.tseq, false) {
            state.record = Record::Value {
                version,
                incarnation: marker.incarnation,
                stamp,
            };
        }
    }

    /// Holds that lapse, and what is lost.
    fn trouble(&self, state: &State, next: &mut dyn FnMut(State)) {
        if let (
            Record::Held {
                holds,
                contended,
                marker,
            },
            true,
        ) = (&state.record, self.lapse)
        {
            for token in holds {
                let mut holds = holds.clone();
                holds.remove(token);
                let record = if holds.is_empty() {
                    Record::Absent
                } else {
                    Record::Held {
                        holds,
                        contended: *contended,
                        marker: *marker,
                    }
                };
                next(State {
                    record,
                    ..state.clone()
                });
            }
        }
        if state.losses == 0 {
            return;
        }
        let less = State {
            losses: state.losses - 1,
            ..state.clone()
        };
        if state.record != Record::Absent {
            next(State {
                record: Record::Absent,
                ..less.clone()
            });
        }
        if state.marker.is_some() {
            next(State {
                marker: None,
                ..less.clone()
            });
        }
        if state.stamp.is_some() {
            next(State { stamp: None, ..less });
        }
    }
}

const BASE: Holds = Holds {
    mutant: Mutant::None,
    other: Some(By::Key),
    losses: 1,
    loads: 2,
    lapse: true,
    strict: false,
};

const STRICT: Holds = Holds {
    other: None,
    losses: 0,
    loads: 3,
    lapse: false,
    strict: true,
    ..BASE
};

fn run(machine: Holds) -> Found<State> {
    explore(&machine)
}

#[test]
fn a_stored_commit_is_never_older_than_what_was_acknowledged() {
    let runs = [
        BASE,
        Holds {
            other: Some(By::Tag),
            loads: 1,
            ..BASE
        },
        Holds {
            other: Some(By::Clear),
            loads: 1,
            ..BASE
        },
        STRICT,
    ];
    let mut total = 0;
    for machine in runs {
        let found = run(machine);
        assert!(found.violation.is_none(), "{:?}", found.violation);
        total += found.states;
    }
    println!("{total} states, 0 violations");
    assert!(total > 100_000, "the bounds have shrunk: {total} states");
}

#[test]
fn every_rule_of_holds_dropped_alone_is_found() {
    let strict = Holds {
        losses: 1,
        loads: 2,
        ..STRICT
    };
    let mutants = [
        Holds {
            mutant: Mutant::M32,
            ..BASE
        },
        Holds {
            mutant: Mutant::M33,
            ..BASE
        },
        Holds {
            mutant: Mutant::M34,
            ..BASE
        },
        Holds {
            mutant: Mutant::M35,
            ..BASE
        },
        Holds {
            mutant: Mutant::M36,
            other: Some(By::Clear),
            ..BASE
        },
        Holds {
            mutant: Mutant::M36b,
            other: Some(By::Tag),
            ..BASE
        },
        Holds {
            mutant: Mutant::M12,
            ..strict
        },
        Holds {
            mutant: Mutant::M28,
            ..strict
        },
    ];
    for machine in mutants {
        assert!(run(machine).violation.is_some(), "{:?} was not found", machine.mutant);
    }
    page::names("holds", &mutants.map(|machine| machine.mutant));
}
