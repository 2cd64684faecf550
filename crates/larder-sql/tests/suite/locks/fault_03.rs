//! 3: the store dies and comes back empty, while a lock is held: it is granted a second time. By hand both holders write, and an
//! update is lost. Larder's second grant has a higher fence than the first although nothing is left of that, and so the first
//! holder is turned away. A fence that is counted in the store begins anew.

use std::time::Duration;

use larder_kit::lock::Lock as _;
use larder_store::{Store, redis::AsyncCommands as _};
use larder_testkit::{PgServer, RedisServer, eventually, history::Held, naive::SetNxLock};

use super::{
    fault_16::{Blind, Player},
    process::{larder, open},
    work::Work,
};

const KEY: u64 = 7;

/// Nothing runs out here, however busy the machine is.
const TTL: Duration = Duration::from_secs(30);

/// For a client to connect again, on a machine that is busy with much else.
const SOON: Duration = Duration::from_secs(60);

struct Stage {
    server: RedisServer,
    here: Store,
    there: Store,
    work: Work,
}

impl Stage {
    async fn new() -> Self {
        let server = RedisServer::start().await;
        let work = Work::open(&PgServer::shared().await.database()).await;
        work.prepare(KEY + 1).await;
        Self {
            here: open(&server.url()).await,
            there: open(&server.url()).await,
            server,
            work,
        }
    }

    async fn lose_everything(&mut self) {
        self.server.restart_empty().await;
        for store in [&self.here, &self.there] {
            eventually(SOON, async || store.ping().await.is_ok()).await;
        }
    }
}

/// Updates that are lost where two believe that they have the lock.
async fn lost_by(player: Player) -> i64 {
    let mut stage = Stage::new().await;
    if player == Player::SetNx {
        let (first, second) = (
            SetNxLock::new(stage.here.clone(), TTL),
            SetNxLock::new(stage.there.clone(), TTL),
        );
        assert!(first.try_acquire("7").await.expect("the store is up"));
        let seen = stage.work.read(KEY).await;
        stage.lose_everything().await;
        assert!(
            second.try_acquire("7").await.expect("it is back"),
            "it knows of no lock"
        );
        let seen_by_second = stage.work.read(KEY).await;
        stage.work.write(KEY, Held::NO_FENCE, seen_by_second + 1).await;
        stage.work.write(KEY, Held::NO_FENCE, seen + 1).await;
    } else {
        let first = larder(&stage.here, TTL).acquire(&KEY).await.expect("the store is up");
        assert_eq!(first.resource(), "lock:{locks:7}");
        let seen = stage
            .work
            .read_fenced(KEY, &first)
            .await
            .expect("nobody else was there");
        stage.lose_everything().await;
        let second = larder(&stage.there, TTL)
            .acquire_within(&KEY, SOON)
            .await
            .expect("it is back");
        assert!(second.fence() > first.fence(), "{first:?} {second:?}");
        let seen_by_second = stage.work.read_fenced(KEY, &second).await.expect("it is the latest");
        let wrote = stage.work.write_fenced(KEY, &second, seen_by_second + 1).await;
        wrote.expect("it is the latest");
        let late = match player {
            Player::FenceAlone => stage.work.write_fenced(KEY, &Blind::of(&first), seen + 1).await,
            _ => stage.work.write_fenced(KEY, &first, seen + 1).await,
        };
        assert!(late.expect_err("the second one was there").is_fenced());
    }
    stage.work.lost_updates().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_03_locks() {
    let _turn = super::TURN.lock().await;
    assert_eq!(
        lost_by(Player::SetNx).await,
        1,
        "by hand the second holder's update is lost"
    );
    assert_eq!(lost_by(Player::Guard).await, 0);
    assert_eq!(lost_by(Player::FenceAlone).await, 0);
}

/// A fence that is counted up in the store is given twice, and the database lets the first holder in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_03_counted_fences() {
    let _turn = super::TURN.lock().await;
    let mut stage = Stage::new().await;
    let (mut here, mut there) = (stage.here.clone(), stage.there.clone());
    let mut counted = Vec::new();
    counted.push(here.incr::<_, _, u64>("fence:7", 1).await.expect("the store is up"));
    stage.lose_everything().await;
    counted.push(there.incr::<_, _, u64>("fence:7", 1).await.expect("it is back"));
    assert_eq!(counted, [1, 1], "by hand it begins anew");
    let grants = counted.iter().map(|fence| Blind {
        resource: "counted".to_owned(),
        fence: *fence,
    });
    let [first, second] = &grants.collect::<Vec<_>>()[..] else {
        unreachable!("there are two")
    };
    stage.work.write_fenced(KEY, second, 1).await.expect("it is the latest");
    stage
        .work
        .write_fenced(KEY, first, 1)
        .await
        .expect("by hand it gets in, for its fence is as high");
    assert_eq!(stage.work.lost_updates().await, 1);
}
