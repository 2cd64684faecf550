//! 16: a holder stands still for longer than its lock lasts, and goes on with its write. By hand it writes over what was done
//! meanwhile; Larder's guard says that the lock is lost; and where nobody asks the guard, as in a process that is stopped between
//! that question and its statement, the fence alone has the database change no row.

use std::time::Duration;

use larder_kit::lock::{Guard, Lock as _};
use larder_sql::{FencedTx, Fencing, SqlError};
use larder_store::{Store, redis::AsyncCommands as _};
use larder_testkit::{
    PgServer, RedisServer, eventually,
    history::Held,
    naive::SetNxLock,
    worker::{self, Worker},
};
use serde::{Deserialize, Serialize};

use super::{
    process::{larder, open},
    work::Work,
};

/// The test that the process runs which is stopped.
const ENTRY: &str = "locks::fault_16::stopped_holder";

/// What is locked, and counted.
const KEY: u64 = 7;

/// Long enough that a machine which is busy with much else does not look like a holder that stands still.
const TTL: Duration = Duration::from_secs(2);

/// Set in the store when the holder may go on.
const GO: &str = "go";

/// For whatever takes a moment, on a machine that is busy with much else.
const SOON: Duration = Duration::from_secs(60);

/// Who holds the lock that is outlived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Player {
    /// `SET NX PX` and `DEL`.
    SetNx,
    /// With Larder's guard.
    Guard,
    /// With the number of Larder's grant, and nobody who says that it is over.
    FenceAlone,
}

/// A grant as the database sees it, with nobody who knows more.
pub(super) struct Blind {
    pub(super) resource: String,
    pub(super) fence: u64,
}

impl Blind {
    pub(super) fn of(guard: &Guard) -> Self {
        Self {
            resource: Fencing::resource(guard).to_owned(),
            fence: Fencing::fence(guard).expect("an exclusive lock has one"),
        }
    }
}

impl Fencing for Blind {
    fn resource(&self) -> &str {
        &self.resource
    }

    fn fence(&self) -> Option<u64> {
        Some(self.fence)
    }

    fn check(&self) -> Result<(), larder_cache::BoxError> {
        Ok(())
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    player: Player,
    store: String,
    database: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Said {
    Read(i64),
    Wrote,
    Fenced,
    Lost,
}

#[test]
fn stopped_holder() {
    let Some(job) = worker::job::<Job>() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(job.run());
}

impl Job {
    async fn run(self) {
        let (store, work) = (open(&self.store).await, Work::open(&self.database).await);
        worker::ready();
        if self.player == Player::SetNx {
            let granted = SetNxLock::new(store.clone(), TTL).try_acquire("7").await;
            assert!(granted.expect("the store is up"), "nobody else has it");
            let seen = work.read(KEY).await;
            worker::report(&Said::Read(seen));
            told(&store).await;
            work.write(KEY, Held::NO_FENCE, seen + 1).await;
            worker::report(&Said::Wrote);
            return;
        }
        let guard = larder(&store, TTL).acquire(&KEY).await.expect("nobody else has it");
        let seen = work.read_fenced(KEY, &guard).await.expect("nobody else was there");
        worker::report(&Said::Read(seen));
        told(&store).await;
        let wrote = match self.player {
            Player::FenceAlone => work.write_fenced(KEY, &Blind::of(&guard), seen + 1).await,
            _ => work.write_fenced(KEY, &guard, seen + 1).await,
        };
        worker::report(&match wrote {
            Ok(()) => Said::Wrote,
            Err(SqlError::Fenced { .. }) => Said::Fenced,
            Err(SqlError::LockLost { .. }) => Said::Lost,
            Err(other) => panic!("{other:?}"),
        });
    }
}

/// Here the process is stopped; when it goes on, this wait is over.
async fn told(store: &Store) {
    eventually(SOON, async || store.clone().exists(GO).await.unwrap_or(false)).await;
}

/// What the stopped holder says when it goes on, and how many updates are lost.
async fn play(player: Player) -> (Said, i64) {
    let server = RedisServer::start().await;
    let database = PgServer::shared().await.database();
    let (store, work) = (open(&server.url()).await, Work::open(&database).await);
    work.prepare(KEY + 1).await;
    let (url, job) = (server.url(), database.clone());
    let holder = tokio::task::block_in_place(|| {
        let mut holder = Worker::start(
            ENTRY,
            &Job {
                player,
                store: url,
                database: job,
            },
        );
        holder.go();
        assert_eq!(holder.next_record(), Some(Said::Read(0)));
        holder
    });
    holder.pause();
    // Whoever comes next, once the lock has run out.
    if player == Player::SetNx {
        let lock = SetNxLock::new(store.clone(), TTL);
        eventually(SOON, async || lock.try_acquire("7").await.expect("the store is up")).await;
        let seen = work.read(KEY).await;
        work.write(KEY, Held::NO_FENCE, seen + 1).await;
    } else {
        let guard = larder(&store, TTL)
            .acquire_within(&KEY, SOON)
            .await
            .expect("it runs out");
        let seen = work.read_fenced(KEY, &guard).await.expect("it is the latest");
        work.write_fenced(KEY, &guard, seen + 1)
            .await
            .expect("it is the latest");
    }
    store
        .clone()
        .set_ex::<_, _, ()>(GO, 1, 60)
        .await
        .expect("the store is up");
    holder.resume();
    let said: Vec<Said> = tokio::task::block_in_place(|| holder.finish());
    let [said] = &said[..] else { panic!("{said:?}") };
    (said.clone(), work.lost_updates().await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_16() {
    let _turn = super::TURN.lock().await;
    assert_eq!(
        play(Player::SetNx).await,
        (Said::Wrote, 1),
        "by hand the update made meanwhile is lost"
    );
    assert_eq!(play(Player::Guard).await, (Said::Lost, 0));
    assert_eq!(play(Player::FenceAlone).await, (Said::Fenced, 0));
}

/// The same for a row that keeps its fence itself: the late statement changes no row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_16_in_the_row() {
    let database = PgServer::shared().await.database();
    let work = Work::open(&database).await;
    work.prepare(KEY + 1).await;
    sqlx::raw_sql("ALTER TABLE counters ADD COLUMN l_fence BIGINT NOT NULL DEFAULT 0")
        .execute(&work.pool)
        .await
        .expect("the table is there");
    let grant = |fence| Blind {
        resource: format!("of holder {fence}"),
        fence,
    };
    // Resources of their own, so that only the row knows of both.
    for (fence, changed) in [(10, 1), (12, 1), (11, 0), (12, 1)] {
        let grant = grant(fence);
        let mut tx = FencedTx::begin(&work.pool, &grant)
            .await
            .expect("it is the only one of its name");
        let write =
            sqlx::query("UPDATE counters SET n = n + 1, l_fence = $1 WHERE key = 7 AND l_fence <= $1").bind(tx.fence());
        let rows = write
            .execute(&mut *tx)
            .await
            .expect("the table is there")
            .rows_affected();
        assert_eq!(rows, changed, "under fence {fence}");
        match tx.expect_changed(rows) {
            Ok(()) => tx.commit().await.expect("it is held"),
            Err(refused) => assert!(refused.is_fenced() && fence == 11, "{refused:?}"),
        }
    }
    assert_eq!(work.read(KEY).await, 3);
}
