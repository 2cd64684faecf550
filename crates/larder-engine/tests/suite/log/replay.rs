//! What is read back is what was there: random commands under every policy, deadlines, transactions, time that passed.

use std::{path::Path, sync::Arc, time::Duration};

use larder_base::{Clock, Random};
use larder_engine::{Engine, Fsync, LogConfig, Reply};
use larder_testkit::{Case, SimDisk};
use proptest::prelude::*;

use super::{HOME, INCREMENT, command, dump, open, run, submit};

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Commands, time that passes so that keys expire, restarts in between: the state is always the same again.
    #[test]
    fn random_commands_replay_to_the_same_state(seed in any::<u64>(), parts in 1..4_usize, bound in any::<bool>()) {
        let random = Random::seeded(seed);
        let disk = SimDisk::new();
        let (clock, hand) = Clock::manual();
        let fsync = [Fsync::Always, Fsync::EverySecond, Fsync::No][random.below(3) as usize];
        let open = || {
            let config = LogConfig::new(HOME).fsync(fsync).disk(Arc::new(disk.clone()));
            let builder = Engine::builder().clock(clock.clone()).random(Random::seeded(seed));
            // With a bound keys are evicted, which is logged too.
            let builder = if bound {
                builder.maxmemory(6_000).policy(larder_engine::EvictionPolicy::AllKeysRandom)
            } else {
                builder
            };
            builder.open(config).expect("the log is whole")
        };
        for _ in 0..parts {
            let engine = open();
            let session = engine.connect();
            for _ in 0..120 {
                let _ = submit(&session, &command(&random));
                hand.advance(Duration::from_millis(random.below(400)));
            }
            let held = dump(&engine);
            drop((session, engine));
            prop_assert_eq!(dump(&open()), held);
        }
    }
}

#[test]
fn what_hangs_on_time_and_chance_is_logged_by_what_came_of_it() {
    let disk = SimDisk::new();
    let (engine, hand) = open(&disk, Fsync::No).expect("an empty disk");
    let session = engine.connect();
    for line in [
        "SET s v EX 10",
        "PSETEX s 1000 v",
        "SET s w KEEPTTL",
        "EXPIRE s 100 GT",
        "GETEX s PERSIST",
        "GETEX s PX 5",
        "SET n 1",
        "INCRBYFLOAT n 0.5",
        "HINCRBYFLOAT h f 0.5",
        "SADD e a",
        "SPOP e",
        "XADD x MAXLEN ~ 100 * f v",
        "EXPIRE n -1",
        "SET s v NX",
        "LPOP none",
    ] {
        assert!(!run(&session, line).is_error(), "{line}");
    }
    hand.advance(Duration::from_millis(5));
    assert_eq!(run(&session, "GET s"), Reply::Null);
    drop((session, engine));
    let start = 1_767_225_600_000_u64;
    let expected = [
        "SELECT 0".into(),
        format!("SET s v PXAT {}", start + 10_000),
        format!("SET s v PXAT {}", start + 1_000),
        "SET s w KEEPTTL".into(),
        format!("PEXPIREAT s {}", start + 100_000),
        "PERSIST s".into(),
        format!("PEXPIREAT s {}", start + 5),
        "SET n 1".into(),
        "SET n 1.5 KEEPTTL".into(),
        "HSET h f 0.5".into(),
        "SADD e a".into(),
        "SREM e a".into(),
        format!("XADD x {start}-0 f v"),
        "DEL n".into(),
        "DEL s".into(),
    ];
    assert_eq!(logged(&disk), expected);
}

#[test]
fn scripts_and_transactions_are_logged_whole_by_what_they_did() {
    let disk = SimDisk::new();
    let (engine, _hand) = open(&disk, Fsync::No).expect("an empty disk");
    let session = engine.connect();
    let script = "redis.call('SET', 'a', redis.call('TIME')[1]) redis.call('GET', 'a') redis.call('DEL', 'none') \
                  redis.call('SELECT', 2) redis.call('INCR', 'b') return redis.error_reply('after all')";
    assert!(session.execute(&[b"EVAL", script.as_bytes(), b"0"]).is_error());
    for line in [
        "MULTI",
        "INCR c",
        "GET c",
        "LPUSH c x",
        "INCR d",
        "EXEC",
        "MULTI",
        "INCR e",
        "EXEC",
        "MULTI",
        "GET e",
        "EXEC",
    ] {
        run(&session, line);
    }
    drop((session, engine));
    let expected = [
        "MULTI",
        "SELECT 0",
        "SET a 1767225600",
        "SELECT 2",
        "INCR b",
        "EXEC",
        "MULTI",
        "SELECT 0",
        "INCR c",
        "INCR d",
        "EXEC",
        "INCR e",
    ];
    assert_eq!(logged(&disk), expected);
}

/// The commands in the first increment, a line each.
fn logged(disk: &SimDisk) -> Vec<String> {
    let bytes = disk.content(Path::new(INCREMENT));
    let text = String::from_utf8(bytes).expect("these commands are text");
    let mut lines = text.split("\r\n").filter(|line| !line.starts_with("#LD "));
    let mut commands = Vec::new();
    while let Some(count) = lines
        .next()
        .and_then(|line| line.strip_prefix('*')?.parse::<usize>().ok())
    {
        let words = (0..count).map(|_| lines.nth(1).expect("a length, then a word"));
        commands.push(words.collect::<Vec<_>>().join(" "));
    }
    commands
}

/// What has expired while nobody was there goes as soon as somebody looks, not before.
#[test]
fn deadlines_that_passed_meanwhile_hold() {
    let disk = SimDisk::new();
    let (clock, hand) = Clock::manual();
    let open = || {
        let config = LogConfig::new(HOME).disk(Arc::new(disk.clone()));
        Engine::builder()
            .clock(clock.clone())
            .open(config)
            .expect("the log is whole")
    };
    let engine = open();
    run(&engine.connect(), "SET dies v PX 100");
    run(&engine.connect(), "SET lives v PX 100");
    run(&engine.connect(), "PERSIST lives");
    drop(engine);
    hand.advance(Duration::from_secs(1));
    let engine = open();
    let session = engine.connect();
    assert_eq!(
        run(&session, "MGET dies lives"),
        Reply::Array(vec![Reply::Null, Reply::bulk("v")])
    );
    assert_eq!(run(&session, "DBSIZE"), Reply::Int(1));
}

/// Tasks that write at one time share a sync, and each is answered after one that has its write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_write_at_once_and_all_of_it_is_there() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let open = || {
        Engine::builder()
            .open(LogConfig::new(folder.path()).fsync(Fsync::Always))
            .expect("the log is whole")
    };
    let engine = open();
    let session = Arc::new(engine.connect());
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let session = session.clone();
            tokio::spawn(async move {
                for i in 0..20 {
                    let mut receipt = larder_engine::Receipt::default();
                    let key = format!("k:{task}:{i}");
                    let reply = session.submit(&[b"SET", key.as_bytes(), b"v"], &mut receipt);
                    session.settled(receipt).await.expect("the disk works");
                    assert_eq!(reply, Reply::Ok);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no task panicked");
    }
    let held = dump(&engine);
    assert_eq!(held.len(), 64 * 20);
    drop((session, engine));
    assert_eq!(dump(&open()), held);
}

#[tokio::test]
async fn a_flush_makes_everything_last_whatever_the_policy() {
    let disk = SimDisk::new();
    for fsync in [Fsync::EverySecond, Fsync::No] {
        let (engine, _hand) = open(&disk, fsync).expect("the log is whole");
        assert_eq!(run(&engine.connect(), &format!("SET {fsync} v")), Reply::Ok);
        engine.flush().await.expect("the disk works");
        let case = Case::each(1, 1).next().expect("one was asked for");
        let (left, _hand) = open(&disk.after_crash(&case.random()), fsync).expect("the log is whole");
        assert_eq!(dump(&left), dump(&engine));
    }
}
