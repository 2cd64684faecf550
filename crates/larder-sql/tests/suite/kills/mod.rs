//! kill -9, again and again, of those who write, of those who flush, of Redis and of PostgreSQL: every write that was accepted is
//! in the database in the end (C11), and no row went backwards on the way (C12).
//!
//! | file | what it is |
//! |---|---|
//! | `medium` | where accepted writes wait and the database that they reach: Redis and PostgreSQL, or a folder and SQLite |
//! | `process` | the processes that are killed |
//! | `slow` | a table whose commits take their time, so that kills land in them |
//! | `ledger` | what the processes said, and whether the database agrees |
//! | `naive` | the same by hand: a queue that is popped, a queue in memory |
//! | `battle` | a run: writes, kills, and the count at the end |
//! | `failpoints` | processes that die at named points |

mod battle;
mod failpoints;
mod ledger;
mod medium;
mod naive;
mod process;
mod slow;

use battle::{Battle, Outcome};
use medium::Medium;
use process::How;

/// Names how many kills a run has; by default [`KILLS`].
const KILLS_VARIABLE: &str = "LARDER_KILLS";
/// Names how many writes are accepted in a run; by default [`WRITES`].
const WRITES_VARIABLE: &str = "LARDER_WRITES";

const KILLS: u64 = 24;
const WRITES: u64 = 10_000;

/// Of a baseline, which only has to lose.
const BASELINE_KILLS: u64 = 8;
const BASELINE_WRITES: u64 = 1_600;
/// Runs in which a baseline may get away.
const BASELINE_ATTEMPTS: u64 = 3;

fn number(variable: &str, otherwise: u64) -> u64 {
    let Ok(text) = std::env::var(variable) else {
        return otherwise;
    };
    text.parse()
        .unwrap_or_else(|_| panic!("{variable} is {text:?}, which is not a number"))
}

async fn nothing_is_lost(medium: Medium) {
    let (kills, writes) = (number(KILLS_VARIABLE, KILLS), number(WRITES_VARIABLE, WRITES));
    let name = medium.name();
    let outcome = Battle::new(medium, How::Larder, 1).fight(writes, kills).await;
    println!("{name}: {outcome}");
    assert!(outcome.accepted >= writes && outcome.kills() == kills, "{outcome}");
    assert_eq!(
        (outcome.lost.as_slice(), outcome.misordered.as_slice()),
        (&[][..], &[][..]),
        "{name}: {outcome}"
    );
}

async fn something_is_lost(how: How, medium: impl AsyncFn() -> Medium) {
    for attempt in 1..=BASELINE_ATTEMPTS {
        let battle = Battle::new(medium().await, how, attempt);
        let outcome: Outcome = battle.fight(BASELINE_WRITES, BASELINE_KILLS).await;
        println!("{how:?}: {outcome}");
        if !outcome.lost.is_empty() {
            return;
        }
    }
    panic!("{how:?} lost nothing in {BASELINE_ATTEMPTS} runs: the window is too narrow");
}

/// One at a time: each of them wants both cores.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_redis_and_postgresql_nothing_accepted_is_lost() {
    let _turn = TURN.lock().await;
    nothing_is_lost(Medium::servers().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_folder_and_on_sqlite_nothing_accepted_is_lost() {
    let _turn = TURN.lock().await;
    nothing_is_lost(Medium::folder().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_popped_queue_on_redis_and_postgresql_loses_what_was_taken() {
    let _turn = TURN.lock().await;
    something_is_lost(How::Popped, Medium::servers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_in_memory_before_postgresql_is_lost_with_its_process() {
    let _turn = TURN.lock().await;
    something_is_lost(How::InMemory, Medium::servers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_popped_queue_in_a_folder_loses_what_was_taken() {
    let _turn = TURN.lock().await;
    something_is_lost(How::Popped, Medium::folder).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_in_memory_before_sqlite_is_lost_with_its_process() {
    let _turn = TURN.lock().await;
    something_is_lost(How::InMemory, Medium::folder).await;
}
