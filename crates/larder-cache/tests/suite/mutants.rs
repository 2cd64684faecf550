//! Rules of the library left out one at a time: each must be noticed, by a named check or by a simulated world.
//!
//! The rules that stand in scripts are left out by `protocol::mutants`. All of them, with what notices them, are listed in
//! `docs/verification.md`, and the list is checked here.

use std::{
    collections::HashSet,
    fmt::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
};

use larder_cache::mutant::{self, Mutant};

use crate::{
    behaviour::{patterns, trouble},
    behind::{checks, retries as repeated},
    faults::fault_28,
    protocol,
    races::{self, joins, retries},
    recovery::order,
    simulation::scenes,
};

/// What must notice that a rule is missing.
enum Killer {
    /// A test that fails without it.
    Check(&'static str, fn()),
    /// Worlds of a story, of which one shows something stale.
    Worlds(&'static str, fn(u64) -> u64),
}

use Killer::{Check, Worlds};

/// A check under its own name.
macro_rules! check {
    ($module:ident::$name:ident) => {
        Check(stringify!($name), $module::$name)
    };
}

/// Every mutant with its killer.
const MUTANTS: &[(Mutant, Killer)] = &[
    (Mutant::M2, Worlds("everything at once", races::stale_in_crowded_worlds)),
    (Mutant::M7, check!(scenes::a_read_that_was_overtaken_leaves_no_copy)),
    (Mutant::M8, check!(scenes::a_connection_that_was_lost_ends_every_copy)),
    (
        Mutant::M9,
        check!(scenes::news_that_was_held_up_is_not_overtaken_by_its_proof),
    ),
    (
        Mutant::M10,
        check!(scenes::news_that_was_held_up_is_not_overtaken_by_its_proof),
    ),
    (
        Mutant::M11,
        check!(joins::a_caller_after_an_own_invalidation_does_not_wait_for_a_late_hit),
    ),
    (
        Mutant::M13,
        check!(retries::a_late_attempt_does_not_revive_the_lease_of_its_retry),
    ),
    (
        Mutant::M14,
        check!(order::what_is_pending_reaches_the_store_before_its_quarantine_ends),
    ),
    (
        Mutant::M15,
        check!(checks::what_is_written_while_it_is_flushed_is_flushed_again),
    ),
    (
        Mutant::M16,
        check!(fault_28::new_writes_after_a_lost_tail_reach_the_source),
    ),
    (
        Mutant::M17,
        check!(checks::what_is_put_is_read_before_the_source_has_it),
    ),
    (Mutant::M24, check!(trouble::a_record_copied_from_another_key_is_a_miss)),
    (
        Mutant::M25,
        check!(patterns::a_writers_hold_stays_and_still_keeps_fills_out),
    ),
    (Mutant::M29, check!(scenes::an_own_invalidation_ends_the_own_copy)),
    (
        Mutant::M30,
        check!(joins::a_caller_after_an_acknowledged_write_does_not_share_a_late_hit),
    ),
    (
        Mutant::M31,
        check!(joins::a_caller_during_a_load_does_not_share_its_refusal),
    ),
    (
        Mutant::M37,
        check!(checks::what_is_put_is_read_before_the_source_has_it),
    ),
    (
        Mutant::M38,
        check!(scenes::a_process_that_stood_still_serves_nothing_from_before),
    ),
    (
        Mutant::M43,
        check!(retries::a_late_attempt_does_not_revive_the_incarnation_of_its_retry),
    ),
    (Mutant::M46, check!(scenes::a_flush_ends_every_copy)),
    (Mutant::M47, check!(scenes::a_clear_ends_untagged_copies_of_others)),
    (Mutant::M48, check!(scenes::an_own_tag_invalidation_leaves_nobody_deaf)),
    (
        Mutant::M49,
        check!(repeated::a_repeated_write_does_not_come_over_one_that_came_after_it),
    ),
];

/// The protocol's list (verification 5.5): its parts on the store, writers, near tier, flights, recovery and write-behind. M18 is
/// a rule of the source: `behind::flushing` has it with the other guard.
const OF_THE_PROTOCOL: &[&str] = &[
    "M1", "M2", "M3", "M3b", "M4", "M5", "M6", "M7", "M8", "M9", "M10", "M11", "M12", "M13", "M14", "M15", "M16",
    "M17", "M24", "M25", "M26", "M27", "M28", "M29", "M30", "M31", "M32", "M33", "M34", "M35", "M36", "M36b", "M37",
    "M38", "M40", "M43", "M44", "M45", "M46", "M47", "M48", "M49",
];

/// The protocol's own number of seeds within which a mutant must be found.
const WORLDS_MAX: u64 = 2_000;

const PAGE: &str = include_str!("../../../../docs/verification.md");

#[test]
fn every_mutant_is_killed() {
    let mut survivors = Vec::new();
    for mutant in Mutant::ALL {
        let killer = MUTANTS
            .iter()
            .find(|(known, _)| known == mutant)
            .map(|(_, killer)| killer);
        let found = killer.and_then(|killer| mutant::with(Some(*mutant), || killer.strikes()));
        match found {
            Some(worlds) => println!("{mutant:?}: {}, {worlds}", killer.map_or("", Killer::name)),
            None => survivors.push(mutant),
        }
    }
    assert!(survivors.is_empty(), "not noticed: {survivors:?}");
}

#[test]
fn every_mutant_of_the_protocol_is_here_or_among_the_scripts() {
    let scripts = protocol::mutants::names().filter_map(|name| name.split(' ').next());
    let here = MUTANTS.iter().map(|(mutant, _)| format!("{mutant:?}"));
    let all: HashSet<String> = here.chain(scripts.map(str::to_owned)).collect();
    let missing: Vec<_> = OF_THE_PROTOCOL.iter().filter(|name| !all.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_page_lists_every_mutant_with_what_notices_it() {
    let mut table = String::from("| mutant | left out | noticed by |\n|---|---|---|\n");
    for (mutant, killer) in MUTANTS {
        let _written = writeln!(table, "| {mutant:?} |{} | {} |", mutant.what(), killer.name());
    }
    assert!(PAGE.contains(&table), "docs/verification.md should have:\n{table}");
    let scripts = protocol::mutants::table();
    assert!(PAGE.contains(&scripts), "docs/verification.md should have:\n{scripts}");
}

impl Killer {
    fn name(&self) -> &str {
        match self {
            Check(name, _) | Worlds(name, _) => name,
        }
    }

    /// How much of it was needed, if it noticed.
    fn strikes(&self) -> Option<u64> {
        match self {
            Check(_, check) => catch_unwind(AssertUnwindSafe(check)).is_err().then_some(1),
            // One after the other, for the first one that shows it ends the search.
            Worlds(_, worlds) => (1..=WORLDS_MAX).find(|seed| worlds(*seed) > 0),
        }
    }
}
