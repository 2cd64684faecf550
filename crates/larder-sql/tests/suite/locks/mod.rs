//! Locks and what is done under them, while holders stand still and die, and the store dies, forgets, and has its clock moved:
//! no effect takes place under a lock that a later holder has used already, fences grow, and no update is lost (C10).
//!
//! | file | what it is |
//! |---|---|
//! | `medium` | the store that grants, and what can be done to it |
//! | `process` | the processes that take locks and work under them |
//! | `work` | what is done under a lock: a row is read, and then written |
//! | `battle` | a run: grants, faults, and the count at the end |
//! | `stopped` | work that is stopped in time, where the process runs |
//! | `fault_03`, `fault_16`, `fault_19` | rows of the fault matrix: one holder, one fault |

mod battle;
mod fault_03;
mod fault_16;
mod fault_19;
mod medium;
mod process;
mod stopped;
mod work;

use battle::{Battle, Outcome};
use medium::Medium;
use process::How;

/// Names how many grants a run has; by default [`GRANTS`].
const GRANTS_VARIABLE: &str = "LARDER_GRANTS";
/// Names how many faults a run has; by default [`FAULTS`].
const FAULTS_VARIABLE: &str = "LARDER_LOCK_FAULTS";

const GRANTS: u64 = 2_000;
const FAULTS: u64 = 10;

/// Of the lock written by hand, which only has to fail.
const BASELINE_GRANTS: u64 = 800;
const BASELINE_FAULTS: u64 = 6;
/// Runs in which it may get away.
const BASELINE_ATTEMPTS: u64 = 3;

fn number(variable: &str, otherwise: u64) -> u64 {
    let Ok(text) = std::env::var(variable) else {
        return otherwise;
    };
    text.parse()
        .unwrap_or_else(|_| panic!("{variable} is {text:?}, which is not a number"))
}

/// The same servers, the same faults: by hand, and by Larder.
async fn only_by_hand_an_update_is_lost(medium: impl AsyncFn() -> Medium) {
    is_convicted(&medium, How::SetNx, |outcome| outcome.lost_updates > 0).await;
    no_update_is_lost(medium().await, How::Larder).await;
}

/// Plays what has to fail, until it has.
async fn is_convicted(medium: impl AsyncFn() -> Medium, how: How, has_failed: impl Fn(&Outcome) -> bool) {
    for attempt in 1..=BASELINE_ATTEMPTS {
        let battle = Battle::new(medium().await, how, attempt).await;
        let outcome = battle.fight(BASELINE_GRANTS, BASELINE_FAULTS).await;
        println!("{how:?}: {outcome}");
        if has_failed(&outcome) {
            return;
        }
    }
    panic!("{how:?} came out clean in {BASELINE_ATTEMPTS} runs: the faults show nothing");
}

async fn no_update_is_lost(medium: Medium, how: How) {
    let (grants, faults) = (number(GRANTS_VARIABLE, GRANTS), number(FAULTS_VARIABLE, FAULTS));
    let battle = Battle::new(medium, how, 1).await;
    let outcome: Outcome = battle.fight(grants, faults).await;
    println!("{how:?}: {outcome}");
    assert!(
        outcome.report.grants >= grants && outcome.faults() == faults,
        "{outcome}"
    );
    assert!(outcome.report.violations.is_empty(), "{:#?}", outcome.report.violations);
    assert_eq!(outcome.lost_updates, 0, "{outcome}");
}

/// One at a time: each of them wants both cores.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn granted_by_redis_that_dies_and_forgets() {
    let _turn = TURN.lock().await;
    only_by_hand_an_update_is_lost(Medium::redis).await;
}

/// It is the fence that protects: without it Larder's lock is as good as any.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn granted_by_redis_and_used_without_its_fence() {
    let _turn = TURN.lock().await;
    is_convicted(Medium::redis, How::Unfenced, |outcome| {
        let mut violations = outcome.report.violations.iter();
        outcome.lost_updates > 0 && violations.any(|violation| violation.what.contains("after one under fence"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn granted_by_an_engine_that_dies_and_forgets() {
    let _turn = TURN.lock().await;
    only_by_hand_an_update_is_lost(Medium::engine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn granted_by_an_engine_whose_clock_is_moved_by_an_hour() {
    let _turn = TURN.lock().await;
    only_by_hand_an_update_is_lost(Medium::engine_with_a_clock).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn granted_by_postgresql_whose_connections_are_ended() {
    let _turn = TURN.lock().await;
    no_update_is_lost(Medium::Postgres, How::Postgres).await;
}
