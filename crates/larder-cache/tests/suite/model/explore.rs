//! Breadth-first search over states that are kept once each.

use std::{collections::HashSet, hash::Hash};

/// A machine: where it starts, what may come next, what must never be.
pub(super) trait Machine {
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
pub(super) struct Found<S> {
    pub(super) states: usize,
    pub(super) violation: Option<S>,
}

/// Visits every reachable state, or stops at the first violation.
pub(super) fn explore<M: Machine>(machine: &M) -> Found<M::State> {
    let mut seen = HashSet::from([machine.start()]);
    let mut frontier = vec![machine.start()];
    while !frontier.is_empty() {
        let mut reached = Vec::new();
        for state in &frontier {
            if machine.is_violation(state) {
                return Found {
                    states: seen.len(),
                    violation: Some(state.clone()),
                };
            }
            machine.steps(state, &mut |next| {
                let next = machine.canonical(next);
                if seen.insert(next.clone()) {
                    reached.push(next);
                }
            });
        }
        frontier = reached;
    }
    Found {
        states: seen.len(),
        violation: None,
    }
}
