//! What the exploration shows.

use super::{Budget, Kind, Mutant, Repair, World};
use crate::{explore::explore, page};

const CALM: Budget = Budget {
    reads: 2,
    losses: 0,
    flushes: 0,
    disconnects: 0,
    cancels: 0,
    failovers: 0,
};

/// One process that reads from its near tier, another that writes.
const PLAIN: World = World {
    plans: [&[], &[Kind::Key]],
    near: [true, false],
    tagged: false,
    budget: CALM,
    repair: Repair::Nothing,
    mutant: Mutant::None,
};

/// The reader writes too: what it does itself the server does not tell it.
const OWN_KEY: World = World {
    plans: [&[Kind::Key], &[Kind::Key]],
    ..PLAIN
};

const OWN_TAG: World = World {
    plans: [&[Kind::Tag], &[Kind::Clear]],
    tagged: true,
    ..PLAIN
};

/// A tag of others was invalidated: M has changed and the value has not.
const OTHER_TAG: World = World {
    plans: [&[Kind::OtherTag], &[Kind::Clear]],
    ..PLAIN
};

/// M changes twice.
const TWO_CHANGES: World = World {
    plans: [&[], &[Kind::OtherTag, Kind::Clear]],
    ..PLAIN
};

const THREE_CHANGES: World = World {
    plans: [&[], &[Kind::OtherTag, Kind::OtherTag, Kind::Clear]],
    ..PLAIN
};

const BOTH_NEAR: World = World {
    near: [true, true],
    ..PLAIN
};

const BROKEN: World = World {
    budget: Budget {
        disconnects: 2,
        losses: 1,
        ..CALM
    },
    ..PLAIN
};

const BROKEN_OWN: World = World {
    budget: Budget { disconnects: 1, ..CALM },
    ..OWN_KEY
};

const CANCELLED: World = World {
    budget: Budget { cancels: 1, ..CALM },
    ..OWN_KEY
};

const FLUSHED: World = World {
    budget: Budget {
        flushes: 1,
        losses: 1,
        ..CALM
    },
    ..PLAIN
};

const FAILED_OVER: World = World {
    budget: Budget {
        reads: 3,
        failovers: 1,
        ..CALM
    },
    ..PLAIN
};

const fn with(world: World, mutant: Mutant) -> World {
    World { mutant, ..world }
}

const fn repaired(world: World, repair: Repair) -> World {
    World { repair, ..world }
}

/// If this is set, much larger worlds are explored as well: some minutes.
const LARGE_VARIABLE: &str = "LARDER_MODEL_LARGE";

const WORLDS: [World; 13] = [
    PLAIN,
    OWN_KEY,
    OWN_TAG,
    OTHER_TAG,
    TWO_CHANGES,
    THREE_CHANGES,
    BOTH_NEAR,
    BROKEN,
    BROKEN_OWN,
    CANCELLED,
    FLUSHED,
    repaired(FAILED_OVER, Repair::Replay),
    repaired(FAILED_OVER, Repair::Fence),
];

/// Both processes write and have near tiers, and the store fails over.
const BOTH_FAILED_OVER: World = World {
    plans: [&[Kind::Key], &[Kind::Tag]],
    near: [true, true],
    tagged: true,
    ..FAILED_OVER
};

const LARGE_WORLDS: [World; 5] = [
    World {
        near: [true, true],
        ..OWN_KEY
    },
    World {
        budget: Budget {
            disconnects: 1,
            losses: 1,
            ..CALM
        },
        ..OWN_TAG
    },
    World {
        plans: [&[], &[Kind::Key, Kind::Tag, Kind::Clear]],
        tagged: true,
        budget: Budget { reads: 3, ..CALM },
        ..PLAIN
    },
    repaired(BOTH_FAILED_OVER, Repair::Replay),
    repaired(BOTH_FAILED_OVER, Repair::Fence),
];

#[test]
fn no_read_is_older_than_its_bound() {
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
    assert!(total > 5_000_000, "the bounds have shrunk: {total} states");
}

#[test]
fn a_failover_that_loses_its_tail_shows_unless_it_is_repaired() {
    assert!(explore(&FAILED_OVER).violation.is_some());
}

#[test]
fn every_rule_dropped_alone_is_found() {
    let missing = [
        with(PLAIN, Mutant::M4),
        with(PLAIN, Mutant::M7),
        with(BROKEN, Mutant::M8),
        with(PLAIN, Mutant::M9),
        with(PLAIN, Mutant::M10),
        with(BROKEN_OWN, Mutant::M14),
        with(OWN_KEY, Mutant::M29),
        with(PLAIN, Mutant::M38),
        with(FLUSHED, Mutant::M46),
        with(TWO_CHANGES, Mutant::M47),
        with(OTHER_TAG, Mutant::M48),
        with(PLAIN, Mutant::Unproven),
        with(TWO_CHANGES, Mutant::Unsuspecting),
        with(THREE_CHANGES, Mutant::SettledEarly),
        with(OWN_KEY, Mutant::Unblocked),
    ];
    let unnoticed: Vec<Mutant> = missing
        .iter()
        .filter(|world| explore(*world).violation.is_none())
        .map(|world| world.mutant)
        .collect();
    assert!(unnoticed.is_empty(), "not found: {unnoticed:?}");
    page::names("near", &missing.map(|world| world.mutant));
}
