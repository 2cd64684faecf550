//! Rules of the library left out one at a time: each must be noticed, by a named check or by a simulated world.
//!
//! The rules that stand in scripts are left out by `protocol::mutants`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use larder_cache::mutant::{self, Mutant};

use crate::{
    races::{self, joins, retries},
    recovery::order,
    simulation,
};

/// What must notice that a rule is missing.
enum Killer {
    /// A test that fails without it.
    Check(&'static str, fn()),
    /// Worlds of a story, of which one shows something stale, and the seed to begin with: shortly before one that did.
    Worlds(&'static str, fn(u64) -> u64, u64),
}

use Killer::{Check, Worlds};

/// Every mutant with its killer.
const MUTANTS: &[(Mutant, Killer)] = &[
    (Mutant::M2, Worlds("everything", races::stale_in_crowded_worlds, 1)),
    (Mutant::M7, Worlds("rough", simulation::stale_in_rough_worlds, 285)),
    (Mutant::M8, Worlds("rough", simulation::stale_in_rough_worlds, 150)),
    (
        Mutant::M11,
        Check(
            "a caller after an own invalidation does not wait for a late hit",
            joins::a_caller_after_an_own_invalidation_does_not_wait_for_a_late_hit,
        ),
    ),
    (
        Mutant::M13,
        Check(
            "a late attempt does not revive the lease of its retry",
            retries::a_late_attempt_does_not_revive_the_lease_of_its_retry,
        ),
    ),
    (
        Mutant::M14,
        Check(
            "what is pending reaches the store before its quarantine ends",
            order::what_is_pending_reaches_the_store_before_its_quarantine_ends,
        ),
    ),
    (Mutant::M29, Worlds("rough", simulation::stale_in_rough_worlds, 28)),
    (
        Mutant::M30,
        Check(
            "a caller after an acknowledged write does not share a late hit",
            joins::a_caller_after_an_acknowledged_write_does_not_share_a_late_hit,
        ),
    ),
    (
        Mutant::M31,
        Check(
            "a caller during a load does not share its refusal",
            joins::a_caller_during_a_load_does_not_share_its_refusal,
        ),
    ),
    (
        Mutant::M43,
        Check(
            "a late attempt does not revive the incarnation of its retry",
            retries::a_late_attempt_does_not_revive_the_incarnation_of_its_retry,
        ),
    ),
    (Mutant::M46, Worlds("rough", simulation::stale_in_rough_worlds, 278)),
];

/// The protocol's own number of seeds within which a mutant must be found.
const WORLDS_MAX: u64 = 2_000;

#[test]
fn every_mutant_is_killed() {
    let mut survivors = Vec::new();
    for (mutant, killer) in MUTANTS {
        let (name, found) = mutant::with(Some(*mutant), || killer.strikes());
        match found {
            Some(worlds) => println!("{mutant:?}: {name}, {worlds}"),
            None => survivors.push((mutant, name)),
        }
    }
    assert!(survivors.is_empty(), "not noticed: {survivors:?}");
}

impl Killer {
    /// Its name, and how much of it was needed if it noticed.
    fn strikes(&self) -> (&'static str, Option<u64>) {
        match self {
            Check(name, check) => (name, catch_unwind(AssertUnwindSafe(check)).is_err().then_some(1)),
            Worlds(name, worlds, first) => {
                // One after the other, for the first one that shows it ends the search.
                let found = (*first..first + WORLDS_MAX).find(|seed| worlds(*seed) > 0);
                (name, found)
            }
        }
    }
}
