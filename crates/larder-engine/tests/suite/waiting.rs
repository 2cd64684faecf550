//! Commands that wait, in this process: served in line, ended by the clock, losing nothing.

use std::{future::Future, time::Duration};

use futures_util::FutureExt as _;
use larder_base::{Clock, ManualClock};
use larder_engine::{Engine, Receipt, Reply, Session};
use larder_testkit::eventually;
use tokio::task::JoinHandle;

use super::common::PATIENCE;

fn engine() -> (Engine, ManualClock) {
    let (clock, hand) = Clock::manual();
    (Engine::builder().clock(clock).build(), hand)
}

fn words(line: &str) -> Vec<&[u8]> {
    line.split(' ').map(str::as_bytes).collect()
}

fn run(session: &Session, line: &str) -> Reply {
    session.execute(&words(line))
}

async fn wait(session: &Session, line: &str) -> Reply {
    session.submit_waiting(&words(line), &mut Receipt::default()).await
}

/// Has a client of its own carry out `line`, and returns when that waits.
async fn waiting(engine: &Engine, line: &'static str) -> JoinHandle<Reply> {
    let before = blocked(engine);
    let session = engine.connect();
    let task = tokio::spawn(async move { wait(&session, line).await });
    eventually(PATIENCE, async || blocked(engine) > before).await;
    task
}

/// How many clients wait.
fn blocked(engine: &Engine) -> usize {
    let Reply::Verbatim(_, text) = run(&engine.connect(), "INFO clients") else {
        panic!("INFO answers with a text");
    };
    let line = text.lines().find_map(|line| line.strip_prefix("blocked_clients:"));
    line.and_then(|count| count.trim().parse().ok()).expect("a count")
}

async fn done(task: impl Future<Output = Result<Reply, tokio::task::JoinError>>) -> Reply {
    let answer = tokio::time::timeout(PATIENCE, task).await;
    answer.expect("the wait ends").expect("it does not panic")
}

#[tokio::test]
async fn who_came_first_is_served_first() {
    let (engine, _hand) = engine();
    let main = engine.connect();
    let mut tasks = Vec::new();
    for _ in 0..5 {
        tasks.push(waiting(&engine, "BLPOP jobs 0").await);
    }
    assert_eq!(run(&main, "RPUSH jobs 0 1 2"), Reply::Int(3), "as if nobody waited");
    assert_eq!(run(&main, "LLEN jobs"), Reply::Int(0));
    assert_eq!(blocked(&engine), 2);
    run(&main, "RPUSH jobs 3");
    run(&main, "RPUSH jobs 4");
    for (i, task) in tasks.into_iter().enumerate() {
        assert_eq!(done(task).await, Reply::bulks(["jobs".to_owned(), i.to_string()]));
    }
    assert_eq!(blocked(&engine), 0);
}

#[tokio::test]
async fn time_is_up_by_the_engines_clock() {
    let (engine, hand) = engine();
    let task = waiting(&engine, "BLPOP jobs 1.5").await;
    hand.advance(Duration::from_millis(1_499));
    assert_eq!(blocked(&engine), 1);
    hand.advance(Duration::from_millis(1));
    assert_eq!(done(task).await, Reply::NullArray);
    assert_eq!(blocked(&engine), 0);
}

#[tokio::test]
async fn whoever_stops_waiting_takes_nothing() {
    let (engine, _hand) = engine();
    let main = engine.connect();
    let impatient = engine.connect();
    {
        let mut future = Box::pin(wait(&impatient, "BLPOP jobs 0"));
        assert!(future.as_mut().now_or_never().is_none(), "it waits");
        assert_eq!(blocked(&engine), 1);
    }
    assert_eq!(blocked(&engine), 0);
    assert_eq!(run(&main, "RPUSH jobs a"), Reply::Int(1));
    assert_eq!(run(&main, "LLEN jobs"), Reply::Int(1), "the element is there still");
    assert_eq!(
        run(&impatient, "LPOP jobs"),
        Reply::bulk("a"),
        "and the session is in order"
    );
}

#[tokio::test]
async fn a_killed_client_takes_nothing_and_stops_waiting() {
    let (engine, _hand) = engine();
    let main = engine.connect();
    let task = waiting(&engine, "BLPOP jobs 0").await;
    run(&main, "CLIENT KILL TYPE normal");
    run(&main, "RPUSH jobs a");
    assert_eq!(run(&main, "LLEN jobs"), Reply::Int(1));
    assert!(done(task).await.is_error());
}

#[tokio::test]
async fn nobody_waits_where_the_caller_cannot() {
    let (engine, _hand) = engine();
    let session = engine.connect();
    assert_eq!(run(&session, "BLPOP jobs 0"), Reply::NullArray);
    run(&session, "MULTI");
    run(&session, "BRPOP jobs 0");
    assert_eq!(wait(&session, "EXEC").await, Reply::Array(vec![Reply::NullArray]));
    let script = "return redis.call('BLMPOP', 0, 1, KEYS[1], 'LEFT')";
    let args: [&[u8]; 4] = [b"EVAL", script.as_bytes(), b"1", b"jobs"];
    let reply = session.submit_waiting(&args, &mut Receipt::default()).await;
    assert_eq!(reply, Reply::Null);
}

#[tokio::test]
async fn what_is_moved_serves_the_next_in_line() {
    let (engine, _hand) = engine();
    let main = engine.connect();
    let last = waiting(&engine, "BLPOP c 0").await;
    let second = waiting(&engine, "BLMOVE b c LEFT RIGHT 0").await;
    let first = waiting(&engine, "BRPOPLPUSH a b 0").await;
    run(&main, "RPUSH a x");
    assert_eq!(done(first).await, Reply::bulk("x"));
    assert_eq!(done(second).await, Reply::bulk("x"));
    assert_eq!(done(last).await, Reply::bulks(["c", "x"]));
    assert_eq!(run(&main, "DBSIZE"), Reply::Int(0));
}

#[tokio::test]
async fn a_transaction_serves_when_it_is_over() {
    let (engine, _hand) = engine();
    let main = engine.connect();
    let task = waiting(&engine, "BLPOP jobs 0").await;
    for line in ["MULTI", "RPUSH jobs a", "DEL jobs", "RPUSH jobs b", "EXEC"] {
        run(&main, line);
    }
    assert_eq!(
        done(task).await,
        Reply::bulks(["jobs", "b"]),
        "`a` was never there for others"
    );
}

#[tokio::test]
async fn a_reader_of_a_stream_waits_for_what_comes_next() {
    let (engine, _hand) = engine();
    let main = engine.connect();
    run(&main, "XADD s 1-0 n 1");
    let all = [
        waiting(&engine, "XREAD BLOCK 0 STREAMS s $").await,
        waiting(&engine, "XREAD COUNT 1 BLOCK 0 STREAMS s 1-0").await,
    ];
    run(&main, "XADD s 2-0 n 2");
    for task in all {
        let shown = format!("{:?}", done(task).await);
        assert!(shown.contains("Bulk([50, 45, 48])"), "the entry 2-0: {shown}");
    }
}
