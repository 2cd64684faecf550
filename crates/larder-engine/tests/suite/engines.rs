//! Engines are worlds of their own: nothing that happens in one shows in another, and one seed gives one history.

use std::time::Duration;

use larder_base::{Clock, Random};
use larder_engine::{Engine, EvictionPolicy, Reply, Session};

fn run(session: &Session, line: &str) -> Reply {
    let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    session.execute(&args)
}

#[test]
fn engines_in_one_process_share_nothing() {
    let (first, second) = (Engine::new(), Engine::new());
    let (a, b) = (first.connect(), second.connect());
    assert_eq!(run(&a, "SET k first"), Reply::Ok);
    assert_eq!(run(&a, "CONFIG SET maxmemory-policy allkeys-lru"), Reply::Ok);
    assert_eq!(run(&a, "SCRIPT LOAD x=1"), run(&a, "SCRIPT LOAD x=1"));
    assert_eq!(run(&b, "GET k"), Reply::Null);
    assert_eq!(run(&b, "DBSIZE"), Reply::Int(0));
    let policy = vec![(Reply::bulk("maxmemory-policy"), Reply::bulk("noeviction"))];
    assert_eq!(run(&b, "CONFIG GET maxmemory-policy"), Reply::Map(policy));
    assert_eq!(second.used_memory(), 0);
    assert_ne!(
        run(&a, "INFO server"),
        run(&b, "INFO server"),
        "each has its own run_id"
    );
}

#[test]
fn a_clone_is_the_same_engine() {
    let engine = Engine::new();
    run(&engine.clone().connect(), "SET k v");
    assert_eq!(run(&engine.connect(), "GET k"), Reply::bulk("v"));
}

#[test]
fn a_dropped_session_leaves_nothing_behind() {
    let engine = Engine::new();
    let session = engine.connect();
    for line in ["WATCH k", "CLIENT TRACKING ON BCAST", "MULTI"] {
        assert!(!run(&session, line).is_error(), "{line}");
    }
    drop(session);
    let other = engine.connect();
    assert_eq!(run(&other, "SET k v"), Reply::Ok);
    let Reply::Verbatim(_, info) = run(&other, "INFO") else {
        panic!("INFO answers with text")
    };
    for line in ["connected_clients:1", "tracking_clients:0", "tracking_total_prefixes:0"] {
        assert!(info.contains(&format!("\r\n{line}\r\n")), "{line}");
    }
}

/// All replies of a run that draws random keys, evicts and expires.
fn history(seed: u64) -> Vec<Reply> {
    let (clock, hand) = Clock::manual();
    let engine = Engine::builder()
        .clock(clock)
        .random(Random::seeded(seed))
        .maxmemory(20_000)
        .policy(EvictionPolicy::AllKeysLru)
        .build();
    let session = engine.connect();
    let mut replies = Vec::new();
    for i in 0..500 {
        replies.push(run(&session, &format!("SET {i} v PX {}", 10 + i % 90)));
        replies.push(run(&session, &format!("SADD set {i}")));
        replies.push(run(&session, "RANDOMKEY"));
        replies.push(run(&session, "SRANDMEMBER set 3"));
        replies.push(run(&session, "SCAN 0"));
        hand.advance(Duration::from_millis(1));
        engine.tick();
    }
    replies.push(run(&session, "KEYS *"));
    replies.push(run(&session, "INFO"));
    replies
}

#[test]
fn one_seed_gives_one_history() {
    let first = history(7);
    assert!(first == history(7), "the same seed and commands give the same replies");
    assert!(
        first != history(8),
        "another seed gives others, or the test could not fail"
    );
}

/// Optimistic increments from several threads: none is lost, and some had to be repeated.
#[test]
fn watched_transactions_of_many_threads_lose_nothing() {
    const THREADS: usize = 4;
    const INCREMENTS: usize = 500;
    let engine = Engine::new();
    run(&engine.connect(), "SET k 0");
    let add_one = |session: &Session| {
        run(session, "WATCH k");
        let Reply::Bulk(text) = run(session, "GET k") else {
            panic!("the counter is a string")
        };
        let next = std::str::from_utf8(&text).unwrap().parse::<usize>().unwrap() + 1;
        std::thread::yield_now();
        run(session, "MULTI");
        run(session, &format!("SET k {next}"));
        run(session, "EXEC") != Reply::NullArray
    };
    let conflicts: usize = std::thread::scope(|scope| {
        let work = || {
            let session = engine.connect();
            (0..INCREMENTS)
                .map(|_| {
                    std::iter::repeat_with(|| add_one(&session))
                        .take_while(|done| !done)
                        .count()
                })
                .sum::<usize>()
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let total = (THREADS * INCREMENTS).to_string();
    assert_eq!(run(&engine.connect(), "GET k"), Reply::bulk(total));
    assert!(conflicts > 0, "without a conflict nothing was tested");
}
