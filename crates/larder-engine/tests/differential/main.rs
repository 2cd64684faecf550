//! The engine answers as redis-server 7.0.15 does: random sequences of every command, served over TCP by both, in both
//! protocols, compared byte for byte.
//!
//! `LARDER_CASES=100000` runs longer than the default, `LARDER_SEED=7` other sequences, `LARDER_COMMANDS=SET,GET` fewer commands. A
//! failure prints the shortest
//! sequence that shows the difference.

mod frame;
mod lines;
mod log;
mod peer;
mod rule;
mod run;
mod step;
mod syntax;
mod table;
mod words;

use std::{cell::RefCell, collections::BTreeSet, env};

use larder_engine::{
    Engine, commands,
    serve::{ServeConfig, Server},
};
use larder_testkit::{RedisServer, SEED_VARIABLE};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner},
};

use crate::{lines::Lines, peer::Peer, run::Pair};

/// Sequences per protocol unless told otherwise: half a minute on two cores.
const CASES: u32 = 2_000;

/// The longest sequence: long enough to meet earlier traces on a dozen keys, short enough to be read when it fails.
const ACTIONS_MAX: usize = 60;

#[test]
fn every_command_has_a_line() {
    let covered = lines::covered();
    let missing: Vec<_> = known().filter(|name| !covered.contains(name)).collect();
    assert!(missing.is_empty(), "table.rs has no line for {missing:?}");
}

#[test]
fn the_engine_answers_as_redis_does_in_resp2() {
    compare(false);
}

#[test]
fn the_engine_answers_as_redis_does_in_resp3() {
    compare(true);
}

#[test]
fn redis_and_the_engine_load_each_others_logs() {
    let known: BTreeSet<String> = known().filter(|name| is_chosen(name)).collect();
    runtime().block_on(log::exchange(&Lines::new(&known, false)));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime can be built")
}

fn compare(resp3: bool) {
    let runtime = runtime();
    let redis = runtime.block_on(RedisServer::start_with(&["--enable-debug-command", "yes"]));
    let server = runtime
        .block_on(Server::start(Engine::new(), ServeConfig::new().bind("127.0.0.1:0")))
        .expect("a free port can be listened on");
    let port = server.local_addr().expect("it listens on TCP").port();
    let pair = RefCell::new(Pair {
        redis: Peer::connect(redis.port()),
        engine: Peer::connect(port),
    });
    let known: BTreeSet<String> = known().filter(|name| is_chosen(name)).collect();
    search(&Lines::new(&known, resp3), &pair);
}

/// The engine's commands and subcommands that this Redis has too.
fn known() -> impl Iterator<Item = String> {
    /// The first version that Redis 7.0 is older than.
    const NEWER: &str = "7.2";
    let all = commands().into_iter().flat_map(|command| {
        let subcommands = command.subcommands.clone();
        std::iter::once(command).chain(subcommands)
    });
    /// What it does hangs on whether there is a log, which `log.rs` is about.
    const ELSEWHERE: &str = "BGREWRITEAOF";
    // A container by itself says no more than its subcommands do.
    all.filter(|command| command.since < NEWER && command.subcommands.is_empty())
        .filter(|command| command.name != ELSEWHERE)
        .map(|command| command.name.to_owned())
}

/// Whether `LARDER_COMMANDS` names this command or its container, or nothing.
fn is_chosen(command: &str) -> bool {
    let container = command.split('|').next();
    env::var("LARDER_COMMANDS").map_or(true, |chosen| {
        chosen.split(',').any(|name| name == command || Some(name) == container)
    })
}

/// Looks for a sequence on which the two differ.
fn search(lines: &Lines, pair: &RefCell<Pair>) {
    let seed = number(SEED_VARIABLE).unwrap_or(0);
    let cases = number("LARDER_CASES").map_or(CASES, |cases| cases as u32);
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 1_000,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    // A step is drawn from a number; making the number smaller would only draw another step.
    let action = any::<u64>().no_shrink().prop_map(|seed| lines.draw(seed));
    let outcome = runner.run(&vec(action, 1..=ACTIONS_MAX), |actions| {
        pair.borrow_mut().compare(lines, &actions).map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, actions)) => {
            let shown: Vec<_> = actions.iter().map(|action| format!("  {action:?}")).collect();
            panic!(
                "with {SEED_VARIABLE}={seed} the two differ at {reason}\nafter\n{}",
                shown.join("\n")
            );
        }
        Err(TestError::Abort(reason)) => panic!("no sequence could be drawn: {reason}"),
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is `{text}`, which is not a number")),
    )
}
