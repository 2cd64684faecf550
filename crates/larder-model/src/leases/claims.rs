//! What the exploration shows.

use super::{Budget, By, Claim, DEFAULT, Leases, Mutant, State};
use crate::{
    explore::{Found, explore},
    page,
};

fn run(mutant: Mutant, writers: &[By], budget: Budget) -> Found<State> {
    explore(&Leases {
        claim: Claim::NothingOutdated,
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

/// Without these rules something outdated is answered.
const OUTDATING: [Mutant; 11] = {
    use Mutant as M;
    [
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
    ]
};

/// Without these somebody waits where nobody loads.
const STALLING: [Mutant; 3] = [Mutant::M45, Mutant::KeptForNothing, Mutant::KeptTooLong];

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
    for mutant in OUTDATING {
        let budget = if mutant == Mutant::M43 {
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

/// Whether somebody waits where nobody loads. Without attempts whose answers were lost: their leases are nobody's, and
/// run out.
fn waits_for_nobody(mutant: Mutant, writers: &[By]) -> Found<State> {
    explore(&Leases {
        claim: Claim::NobodyWaitsForNobody,
        mutant,
        writers: writers.to_vec(),
        budget: Budget { retries: 0, ..DEFAULT },
    })
}

#[test]
fn nobody_waits_where_nobody_loads() {
    let mut total = 0;
    for writers in PAIRS {
        let found = waits_for_nobody(Mutant::None, writers);
        assert!(found.violation.is_none(), "{writers:?}: {:?}", found.violation);
        total += found.states;
    }
    println!("{total} states, 0 violations");
    for mutant in STALLING {
        let is_found = |writers: &&[By]| waits_for_nobody(mutant, writers).violation.is_some();
        assert!(PAIRS.iter().any(is_found), "{mutant:?} was not found");
    }
}

#[test]
fn the_page_names_what_is_found() {
    page::names("leases", &[&OUTDATING[..], &STALLING].concat());
}

#[test]
fn the_two_rules_that_are_caution_and_liveness_break_nothing() {
    for mutant in [Mutant::M41, Mutant::M42] {
        let found = run(mutant, PAIRS[0], Budget { retries: 0, ..DEFAULT });
        assert!(found.violation.is_none(), "{mutant:?}: {:?}", found.violation);
    }
}
