//! Breadth-first search over states that are visited once each.

use std::{
    collections::hash_map::{Entry, HashMap},
    hash::{BuildHasherDefault, Hash, Hasher},
};

use ahash::RandomState;

/// A machine: where it starts, what may come next, what must never be.
pub(crate) trait Machine {
    type State: Clone + Eq + Hash;

    fn start(&self) -> Self::State;

    /// Calls `next` with every state that one step leads to.
    fn steps(&self, state: &Self::State, next: &mut dyn FnMut(Self::State));

    /// Whether the promise is broken here.
    fn is_violation(&self, state: &Self::State) -> bool;

    /// The same state with what does not matter (the names of identifiers, the order of peers) made equal.
    fn canonical(&self, state: Self::State) -> Self::State {
        state
    }
}

/// What a search found.
pub(crate) struct Found<S> {
    pub(crate) states: usize,
    /// A shortest way to a broken promise, from the start.
    pub(crate) violation: Option<Vec<S>>,
}

/// Visits every reachable state, or stops at the first violation.
pub(crate) fn explore<M: Machine>(machine: &M) -> Found<M::State> {
    let mut seen = Seen::default();
    let start = machine.canonical(machine.start());
    seen.insert(&start, None);
    let mut frontier = vec![start];
    while !frontier.is_empty() {
        let mut reached = Vec::new();
        for state in &frontier {
            if machine.is_violation(state) {
                return Found {
                    states: seen.states.len(),
                    violation: Some(seen.way_to(machine, state)),
                };
            }
            let here = seen.fingerprint(state);
            machine.steps(state, &mut |next| {
                let next = machine.canonical(next);
                if seen.insert(&next, Some(here)) {
                    reached.push(next);
                }
            });
        }
        frontier = reached;
    }
    Found {
        states: seen.states.len(),
        violation: None,
    }
}

/// The states met so far, each by a fingerprint of 128 bits, with that of the state before it. Of 10^8 states any two have
/// the same one with a probability below 10^-22.
struct Seen {
    states: HashMap<u128, u128, BuildHasherDefault<Low>>,
    halves: [RandomState; 2],
}

impl Default for Seen {
    fn default() -> Self {
        let half = |seed| RandomState::with_seeds(seed, seed + 1, seed + 2, seed + 3);
        Self {
            states: HashMap::default(),
            halves: [half(11), half(0x9e37_79b9_7f4a_7c15)],
        }
    }
}

impl Seen {
    fn fingerprint(&self, state: &impl Hash) -> u128 {
        let [high, low] = self.halves.each_ref().map(|half| u128::from(half.hash_one(state)));
        high << 64 | low
    }

    /// Whether `state` was not met before; the start is its own predecessor.
    fn insert(&mut self, state: &impl Hash, before: Option<u128>) -> bool {
        let this = self.fingerprint(state);
        match self.states.entry(this) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(before.unwrap_or(this));
                true
            }
        }
    }

    /// The states from the start to `last`: found again step by step, for only fingerprints are kept.
    fn way_to<M: Machine>(&self, machine: &M, last: &M::State) -> Vec<M::State> {
        let mut marks = vec![self.fingerprint(last)];
        while let Some(before) = self
            .states
            .get(&marks[marks.len() - 1])
            .filter(|before| **before != marks[marks.len() - 1])
        {
            marks.push(*before);
        }
        let mut way = vec![machine.canonical(machine.start())];
        for mark in marks.iter().rev().skip(1) {
            let mut found = None;
            machine.steps(&way[way.len() - 1], &mut |next| {
                let next = machine.canonical(next);
                if self.fingerprint(&next) == *mark {
                    found = Some(next);
                }
            });
            way.push(found.expect("a step leads from each state to its successor"));
        }
        way
    }
}

/// A fingerprint is its own hash.
#[derive(Default)]
struct Low(u64);

impl Hasher for Low {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u128(&mut self, fingerprint: u128) {
        self.0 = fingerprint as u64;
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("fingerprints are numbers")
    }
}
