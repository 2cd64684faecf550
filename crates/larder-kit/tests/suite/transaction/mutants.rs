//! Checks that hold on every topology, and fail where the rule that they are about is left out.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
};

use larder_kit::mutant::{self, Mutant};
use larder_testkit::{Kind, Topology, for_each_topology};

use super::{runs, trap};

/// A check under way: it fails by panicking.
pub(crate) type Checking<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

type Check = fn(&Topology) -> Checking<'_>;

#[rustfmt::skip]
const MUTANTS: &[(Mutant, Check)] = &[
    (Mutant::T1, trap::two_callers_on_one_connection_overwrite_each_other_and_two_of_ours_do_not),
    (Mutant::T1, runs::what_is_decided_against_writes_nothing_and_reads_can_be_checked_to_belong_together),
    (Mutant::T2, runs::what_would_end_the_watch_unseen_is_refused),
    (Mutant::T3, runs::a_command_that_fails_inside_is_told_and_the_others_took_effect),
];

#[test]
fn every_check_holds_everywhere() {
    for (_, check) in MUTANTS {
        for_each_topology(async |t: Topology| check(&t).await);
    }
}

#[test]
fn every_rule_that_is_left_out_is_noticed() {
    for (mutant, check) in MUTANTS {
        let work = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let checked = async { check(&Topology::start(Kind::Embedded).await).await };
            // On this thread alone, where the rule is left out.
            mutant::with(Some(*mutant), || {
                runtime.expect("a runtime can be built").block_on(checked);
            });
        };
        assert!(
            catch_unwind(AssertUnwindSafe(work)).is_err(),
            "nobody noticed {mutant:?}"
        );
    }
}
