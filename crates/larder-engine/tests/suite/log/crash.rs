//! Row 29 of the fault matrix: the machine stops at every step of the disk, and nothing that was acknowledged is lost.

use larder_base::{Clock, Random};
use larder_engine::{Engine, Fsync};
use larder_testkit::{Case, SimDisk, Trouble};

use super::{command, dump, open, submit};

/// Commands of a run.
const COMMANDS: usize = 40;

/// What the databases hold after each of the first so many commands, without a log.
fn states(commands: &[Vec<Vec<u8>>]) -> Vec<std::collections::BTreeMap<String, String>> {
    let (clock, _hand) = Clock::manual();
    let engine = Engine::builder().clock(clock).random(Random::seeded(1)).build();
    let session = engine.connect();
    let mut states = vec![dump(&engine)];
    for command in commands {
        let _ = submit(&session, command);
        states.push(dump(&engine));
    }
    states
}

/// How a run under a policy ended: commands that were answered without an error of the log, and the disk.
fn run_until_crash(commands: &[Vec<Vec<u8>>], fsync: Fsync, at: u64) -> (usize, SimDisk) {
    let disk = SimDisk::new();
    disk.strike_at(at, Trouble::Crash);
    let Ok((engine, _hand)) = open(&disk, fsync) else {
        return (0, disk);
    };
    let session = engine.connect();
    let mut acknowledged = 0;
    for command in commands {
        let reply = submit(&session, command);
        if matches!(&reply, larder_engine::Reply::Error(error) if error.code() == "MISCONF") {
            break;
        }
        acknowledged += 1;
    }
    (acknowledged, disk)
}

/// Crashes at each step in turn; how often something acknowledged was lost.
fn losses(fsync: Fsync) -> usize {
    let mut lost = 0;
    for case in Case::each(4, 100) {
        let random = case.random();
        let commands: Vec<_> = (0..COMMANDS).map(|_| command(&random)).collect();
        let states = states(&commands);
        let steps = run_until_crash(&commands, fsync, u64::MAX).1.steps();
        for at in 0..=steps {
            let (acknowledged, disk) = run_until_crash(&commands, fsync, at);
            let left = disk.after_crash(&random);
            let (engine, _hand) = open(&left, fsync).expect("a crash leaves a log that opens");
            let found = dump(&engine);
            let reached = (0..states.len()).filter(|count| states[*count] == found).max();
            let reached = reached.unwrap_or_else(|| panic!("crash at step {at}: this was never so: {found:#?}"));
            lost += usize::from(reached < acknowledged);
            // It goes on from there, and comes back once more.
            let session = engine.connect();
            assert_eq!(super::run(&session, "SET after crash"), larder_engine::Reply::Ok);
            let before = dump(&engine);
            drop(session);
            drop(engine);
            assert_eq!(dump(&open(&left, fsync).expect("it opens again").0), before);
        }
    }
    lost
}

#[test]
fn fault_29_a_crash_at_any_step_loses_nothing_that_was_acknowledged() {
    assert_eq!(losses(Fsync::Always), 0);
}

/// Mutant M23, an acknowledgement before the sync, is what the policy `no` does: the same crashes must find it out.
#[test]
fn mutant_m23_an_acknowledgement_before_the_sync_loses_what_was_acknowledged() {
    assert!(
        losses(Fsync::No) > 0,
        "the crashes did not tell a log that syncs from one that does not"
    );
}
