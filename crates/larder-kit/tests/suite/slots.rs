//! Every script stays in one slot: a server in cluster mode, which has all slots, runs them all, and refuses one that does not.
//!
//! A tool has a function here that has each of its scripts called, and a line in [`TOOLS`]; a script that was not called is
//! named.

use std::{collections::BTreeSet, fs, path::Path, pin::Pin, time::Duration};

use larder_kit::{
    Retention, Window, altered,
    leaderboard::{Leaderboard, Merge},
    limit::{ConcurrencyLimit, Entry, FixedWindow, Gcra, Limiter, Limits, OnStoreDown, SlidingCounter, SlidingLog},
    lock::{Election, Fence, Lock, ReadWriteLock, Semaphore, StoreLock},
    queue::{JobFailure, JobState, Queue, Schedule},
    session::Sessions,
    timeline::Timeline,
};
use larder_store::{Script, ScriptCall, Store};
use larder_testkit::{RedisServer, eventually};

use crate::session::lab::{standing, stands};

/// Calls each script of a tool.
type Walk = for<'a> fn(&'a Store) -> Pin<Box<dyn Future<Output = Done> + 'a>>;
type Done = Result<(), Box<dyn std::error::Error>>;

/// Each folder of scripts under `src`.
const TOOLS: &[(&str, Walk)] = &[
    ("lock", |store| Box::pin(locks(store))),
    ("limit", |store| Box::pin(limits(store))),
    ("session", |store| Box::pin(sessions(store))),
    ("leaderboard", |store| Box::pin(boards(store))),
    ("timeline", |store| Box::pin(timelines(store))),
    ("queue/script", |store| Box::pin(queues(store))),
];

/// Names whose slots differ.
const NAMES: std::ops::Range<u64> = 0..8;
const DAY: Duration = Duration::from_secs(86_400);

static TWO_SLOTS: Script = Script::new(
    "two_slots",
    "#!lua\nreturn {redis.call('GET', KEYS[1]), redis.call('GET', ARGV[1])}",
);

#[tokio::test]
async fn every_script_stays_in_one_slot() {
    let server = RedisServer::start_with(&["--cluster-enabled", "yes"]).await;
    server.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    eventually(Duration::from_secs(30), async || {
        server.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
    })
    .await;
    let store = Store::open(&server.url()).await.expect("opens");
    // It would notice.
    let both = store.call(&ScriptCall::new(&TWO_SLOTS).key("a").arg("b")).await;
    let refused = both.expect_err("two slots").to_string();
    assert!(refused.contains("same slot"), "{refused}");

    // Without a first line that says so a server is lenient with scripts that go elsewhere.
    let strict = altered::strictly();
    for (tool, walk) in TOOLS {
        walk(&store).await.unwrap_or_else(|error| panic!("{tool}: {error}"));
        let texts = texts(tool);
        assert!(!texts.is_empty(), "{tool} has scripts");
        for (name, text) in texts {
            assert!(strict.has_called(&text), "{tool}: {name} was not called");
        }
    }
}

/// Every folder of scripts has its line.
#[test]
fn no_tool_is_left_out() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut with_scripts = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(&folder).expect("the folder can be read") {
            let path = file.expect("the folder can be read").path();
            if path.extension().is_some_and(|end| end == "lua") {
                with_scripts.insert(folder.clone());
            } else if path.is_dir() {
                folders.push(path);
            }
        }
    }
    let walked = TOOLS
        .iter()
        .map(|(tool, _)| Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(tool));
    assert_eq!(with_scripts, walked.collect());
}

/// The scripts of a tool, each with the name of its file.
fn texts(tool: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(tool);
    let files = fs::read_dir(folder).expect("the tool has a folder");
    let paths = files.map(|file| file.expect("the folder can be read").path());
    let scripts = paths.filter(|path| path.extension().is_some_and(|end| end == "lua"));
    scripts
        .map(|path| {
            let text = fs::read_to_string(&path).expect("the file can be read");
            (path.display().to_string(), text)
        })
        .collect()
}

async fn locks(store: &Store) -> Done {
    let locks = StoreLock::builder("slots").store(store).build()?;
    let permits = Semaphore::builder("slots", 1).store(store).build()?;
    let sheets = ReadWriteLock::builder("slots").store(store).build()?;
    let election = Election::builder("slots", "me").store(store).build()?;
    for key in NAMES {
        let guard = locks.acquire(&key).await?;
        guard.extend().await?;
        assert!(locks.try_acquire(&key).await?.is_none());
        let guard = locks.adopt(&key, guard.into_token().expect("it has one")).await?;
        locks.raise_fence(&key, Fence::new(1)).await?;
        assert!(guard.release().await?.was_held());
        for guard in [
            permits.acquire(&key).await?,
            sheets.reading().acquire(&key).await?,
            sheets.writing().acquire(&(key + 100)).await?,
        ] {
            guard.extend().await?;
            assert!(guard.release().await?.was_held());
        }
        let leadership = election.campaign(&key).await?;
        leadership.extend().await?;
        assert!(election.leader(&key).await?.is_some());
        assert!(leadership.resign().await?.was_held());
    }
    Ok(())
}

async fn limits(store: &Store) -> Done {
    let all = || {
        Limits::new()
            .limit(Gcra::per(9, DAY))
            .limit(FixedWindow::per(9, DAY))
            .limit(SlidingCounter::per(9, DAY))
            .limit(SlidingLog::per(9, DAY))
    };
    let each = all()
        .iter()
        .map(|(_, limit)| Limits::new().limit(limit))
        .collect::<Vec<_>>();
    for limits in each.into_iter().chain([all()]) {
        let limiter = Limiter::builder("slots").store(store).limits(limits.clone());
        let limiter = limiter.on_store_down(OnStoreDown::Closed).build()?;
        limiter.look().await?;
        for subject in NAMES {
            // By the policy it would be denied.
            assert!(limiter.check(&subject).await?.allowed);
            assert!(limiter.check_once(&subject, 1, "request").await?.allowed);
            assert!(limiter.peek(&subject).await?.allowed);
            limiter.reset(&subject).await?;
        }
        limiter.reconfigure(limits).await?;
        limiter.restore().await?;
    }
    let places = ConcurrencyLimit::builder("slots").store(store).limit(1);
    let places = places.on_store_down(OnStoreDown::Closed).build()?;
    for subject in NAMES {
        let Entry::Admitted(permit) = places.enter(&subject).await? else {
            return Err("nobody is in".into());
        };
        assert!(permit.release().await);
    }
    Ok(())
}

async fn sessions(store: &Store) -> Done {
    let sessions = Sessions::builder("slots").store(store).max_per_user(2).build()?;
    for user in NAMES {
        let mut session = sessions.create().await?;
        session.change().set("cart", "book").incr("visits", 1).save().await?;
        let login = sessions.begin_login(&user).await?;
        session.sign_in(&login).await?;
        session.rotate().await?;
        for _ in 0..3 {
            // The oldest ends.
            sessions.create_for(&user).await?;
        }
        assert_eq!(sessions.list(&user).await?.len(), 2);
        let mut own = sessions.create_for(&user).await?;
        assert_eq!(own.revoke_others().await?, 1);
        let own = standing(&sessions, own.id().reveal()).await;
        let id = own.id().reveal().to_owned();
        let other = sessions.create_for(&user).await?;
        assert!(sessions.end(&user, &other.reference()).await?);
        own.delete().await?;
        assert!(!stands(&sessions, &id).await);
        assert_eq!(sessions.revoke_all(&user).await?, 0);
    }
    Ok(())
}

async fn boards(store: &Store) -> Done {
    for group in NAMES {
        let board = Leaderboard::builder("slots").store(store).group(&group);
        let board = board.window(Window::Day).retention(Retention::For(DAY)).build()?;
        board.set(&"ada".to_owned(), 1.0).await?;
        board.increment(&"ada".to_owned(), 1.0).await?;
        assert_eq!(board.rank(&"ada".to_owned()).await?, Some(1));
        assert_eq!(board.places(&["ada".to_owned()]).await?.len(), 1);
        assert_eq!(board.top(3).await?.len(), 1);
        assert!(board.around(&"ada".to_owned(), 3).await?.is_some());
        assert_eq!(board.last(2, Merge::Sum, 3).await?.len(), 1);
        assert!(board.remove(&"ada".to_owned()).await?);
    }
    Ok(())
}

async fn timelines(store: &Store) -> Done {
    let home = Timeline::<u64, u64>::builder("slots")
        .store(store)
        .retention(Retention::For(DAY));
    let home = home.build()?;
    for owner in NAMES {
        home.append(&owner, &1, 1).await?;
        assert_eq!(home.page(&owner, None, 9).await?.items.len(), 1);
        assert!(home.remove(&owner, &1).await?);
    }
    Ok(())
}

async fn queues(store: &Store) -> Done {
    let queue: Queue<u64> = Queue::builder("slots").store(store).build().await?;
    assert!(queue.pause().await?);
    queue.push(&1).await?;
    assert_eq!(queue.list(JobState::Waiting, 0, 9).await?.len(), 1);
    queue
        .schedule("often", Schedule::every(Duration::from_millis(100)), &2)
        .await?;
    let worker = queue.worker(async |_number, job| {
        job.heartbeat().await?;
        Err(JobFailure::dead("never"))
    });
    let worker = worker.start()?;
    assert!(queue.resume().await?);
    // One that was pushed, and one of the schedule.
    eventually(Duration::from_secs(30), async || {
        queue.counts().await.is_ok_and(|counts| counts.dead >= 2)
    })
    .await;
    assert!(queue.unschedule("often").await?);
    worker.stop(Duration::from_secs(30)).await;
    let letters = queue.dead_letters(0, 1).await?;
    assert!(queue.replay(&letters[0].id).await?);
    assert!(queue.remove(&letters[0].id).await?);
    assert!(queue.purge_dead().await? >= 1);
    Ok(())
}
