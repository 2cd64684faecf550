//! A disk that is full, and one whose sync fails: writes are refused, reads go on, nothing acknowledged is lost.

use larder_engine::{Engine, Fsync, Reply};
use larder_testkit::{Case, SimDisk, Trouble, eventually};

use super::{command, dump, open, run, submit};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

fn is_misconf(reply: &Reply) -> bool {
    matches!(reply, Reply::Error(error) if error.code() == "MISCONF")
}

/// Trouble at each step in turn: what was acknowledged is there after a restart, and the engine goes on reading.
fn survives(trouble: Trouble) {
    let case = Case::each(1, 300).next().expect("one was asked for");
    let random = case.random();
    let commands: Vec<_> = (0..25).map(|_| command(&random)).collect();
    let mut struck = 0;
    for at in 0..60 {
        let disk = SimDisk::new();
        disk.strike_at(at, trouble);
        let Ok((engine, _hand)) = open(&disk, Fsync::Always) else {
            continue;
        };
        let session = engine.connect();
        let mut acknowledged = dump(&engine);
        let (mut failed, mut attempted) = (None, acknowledged.clone());
        for command in &commands {
            let reply = submit(&session, command);
            attempted = dump(&engine);
            if is_misconf(&reply) {
                failed = Some(reply);
                break;
            }
            acknowledged = attempted.clone();
        }
        let Some(Reply::Error(error)) = failed else { continue };
        struck += 1;
        assert!(error.as_str().contains("BGREWRITEAOF"), "it says what to do: {error}");
        assert!(is_misconf(&run(&session, "SET refused v")), "and it stays so");
        assert_eq!(run(&session, "GET refused"), Reply::Null, "what is refused is not done");
        assert_eq!(run(&session, "PING"), Reply::status("PONG"));
        let script = session.execute(&[b"EVAL", b"return redis.call('SET', KEYS[1], 1)", b"1", b"refused"]);
        assert!(is_misconf(&script), "{script:?}");
        run(&session, "MULTI");
        assert!(is_misconf(&run(&session, "SET refused v")));
        assert!(matches!(run(&session, "EXEC"), Reply::Error(error) if error.code() == "EXECABORT"));
        let Reply::Verbatim(_, info) = run(&session, "INFO persistence") else {
            panic!("INFO answers with text")
        };
        assert!(info.contains("aof_last_write_status:err"), "{info}");
        drop((session, engine));
        let left = disk.after_crash(&random);
        let (engine, _hand) = open(&left, Fsync::Always).expect("the log is whole up to the trouble");
        let found = dump(&engine);
        // The command that failed may have happened, no other.
        assert!(
            found == acknowledged || found == attempted,
            "at step {at} this was never so: {found:#?}"
        );
    }
    assert!(struck > 10, "the trouble struck {struck} times");
}

#[test]
fn fault_29_a_full_disk_refuses_writes_and_loses_nothing() {
    survives(Trouble::Full);
}

#[test]
fn fault_29_a_failed_sync_refuses_writes_and_loses_nothing() {
    survives(Trouble::SyncFails);
}

fn rewritten(engine: &Engine) -> bool {
    let Reply::Verbatim(_, info) = run(&engine.connect(), "INFO persistence") else {
        panic!("INFO answers with text")
    };
    info.contains("aof_rewrite_in_progress:0") && info.contains("aof_last_write_status:ok")
}

#[tokio::test]
async fn a_rewrite_begins_a_whole_log_when_the_disk_is_mended() {
    for trouble in [Trouble::Full, Trouble::SyncFails] {
        let disk = SimDisk::new();
        let (engine, _hand) = open(&disk, Fsync::Always).expect("an empty disk");
        let session = engine.connect();
        assert_eq!(run(&session, "SET before 1"), Reply::Ok);
        disk.strike_at(disk.steps(), trouble);
        assert!(is_misconf(&run(&session, "SET during 2")));
        disk.mend();
        assert!(
            is_misconf(&run(&session, "SET still 3")),
            "what is in the file is not known"
        );
        assert!(!run(&session, "BGREWRITEAOF").is_error());
        eventually(PATIENCE, async || rewritten(&engine)).await;
        assert_eq!(run(&session, "SET after 4"), Reply::Ok);
        let held = dump(&engine);
        let case = Case::each(1, 1).next().expect("one was asked for");
        let (again, _hand) = open(&disk.after_crash(&case.random()), Fsync::Always).expect("the new log is whole");
        assert_eq!(dump(&again), held, "{trouble:?}");
        assert!(held.contains_key("0:before") && held.contains_key("0:after"));
    }
}

/// A sync that fails and then succeeds has lost what was between: a log that tries again would lose it silently.
#[test]
fn a_sync_that_is_tried_again_would_lose_what_it_says_is_safe() {
    use larder_engine::log::Disk as _;
    let disk = SimDisk::new();
    let mut file = disk.create("/f".as_ref()).expect("there is room");
    disk.sync_folder("/".as_ref()).expect("the disk works");
    file.append(b"acknowledged").expect("there is room");
    disk.strike_at(disk.steps(), Trouble::SyncFails);
    assert!(file.sync().is_err());
    assert!(file.sync().is_ok(), "the second try says that all is well");
    let case = Case::each(1, 1).next().expect("one was asked for");
    assert_eq!(disk.after_crash(&case.random()).content("/f".as_ref()), b"");
}
