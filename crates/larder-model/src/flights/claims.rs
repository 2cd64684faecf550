//! What the exploration shows.

use super::{Budget, By, Mutant, World};
use crate::{explore::explore, page};

const CALM: Budget = Budget {
    cancels: 0,
    losses: 0,
    loads: 1,
};

const PLAIN: World = World {
    callers: 3,
    writes: &[By::Other],
    near: false,
    warm: false,
    budget: CALM,
    mutant: Mutant::None,
};

const WARM: World = World { warm: true, ..PLAIN };

const TROUBLED: World = World {
    writes: &[By::Own],
    budget: Budget {
        cancels: 2,
        losses: 2,
        loads: 1,
    },
    ..PLAIN
};

const BOTH_WRITE: World = World {
    writes: &[By::Own, By::Other],
    budget: Budget {
        cancels: 1,
        losses: 1,
        loads: 0,
    },
    ..PLAIN
};

const NEAR: World = World { near: true, ..WARM };

const NEAR_AND_BOTH: World = World {
    near: true,
    budget: Budget {
        cancels: 0,
        ..BOTH_WRITE.budget
    },
    ..BOTH_WRITE
};

/// Enough callers that some wait behind those who wait.
const CROWDED: World = World {
    callers: 4,
    budget: Budget {
        cancels: 2,
        losses: 1,
        loads: 1,
    },
    ..PLAIN
};

const fn with(world: World, mutant: Mutant) -> World {
    World { mutant, ..world }
}

const WORLDS: [World; 8] = [
    PLAIN,
    WARM,
    TROUBLED,
    BOTH_WRITE,
    NEAR,
    NEAR_AND_BOTH,
    CROWDED,
    World {
        warm: true,
        near: true,
        ..CROWDED
    },
];

/// If this is set, larger worlds are explored as well: a minute.
const LARGE_VARIABLE: &str = "LARDER_MODEL_LARGE";

const LARGE_WORLDS: [World; 2] = [
    World {
        budget: Budget {
            loads: 1,
            ..BOTH_WRITE.budget
        },
        ..BOTH_WRITE
    },
    World {
        near: true,
        budget: Budget {
            loads: 1,
            ..BOTH_WRITE.budget
        },
        ..BOTH_WRITE
    },
];

#[test]
fn nobody_is_given_what_was_outdated_when_they_came_and_nobody_is_forgotten() {
    let is_large = std::env::var_os(LARGE_VARIABLE).is_some();
    let larger = LARGE_WORLDS.iter().filter(|_| is_large);
    let mut total = 0;
    for world in WORLDS.iter().chain(larger) {
        let found = explore(world);
        assert!(found.violation.is_none(), "{world:?}: {:#?}", found.violation);
        total += found.states;
        if is_large {
            println!("{} states: {world:?}", found.states);
        }
    }
    println!("{total} states, 0 violations");
    assert!(total > 500_000, "the bounds have shrunk: {total} states");
}

#[test]
fn every_rule_dropped_alone_is_found() {
    let missing = [
        with(TROUBLED, Mutant::M11),
        with(WARM, Mutant::M30),
        with(PLAIN, Mutant::M31),
        with(NEAR, Mutant::Poisoned),
        with(NEAR, Mutant::Unproven),
        with(CROWDED, Mutant::Abandoned),
        with(CROWDED, Mutant::Forgotten),
    ];
    let unnoticed: Vec<Mutant> = missing
        .iter()
        .filter(|world| explore(*world).violation.is_none())
        .map(|world| world.mutant)
        .collect();
    assert!(unnoticed.is_empty(), "not found: {unnoticed:?}");
    page::names("flights", &missing.map(|world| world.mutant));
}
