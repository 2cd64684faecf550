//! 19: clocks step by an hour. A fence that is the client's time goes back with it, and the database turns the latest holder away
//! and lets the one before in. Larder's is the store's time or the fence before, whichever is higher: it grows, whichever way the
//! store's clock steps, and a lock that nobody gives back ends at most the step later.

use std::time::Duration;

use larder_base::Clock;
use larder_kit::lock::{Guard, Lock as _, StoreLock};
use larder_sql::{FencedTx, Fences, PoolConfig, SqlitePool};
use larder_testkit::{Kind, Topology};

use super::fault_16::Blind;

const HOUR: i64 = 3_600;
const KEY: u64 = 7;
const TTL: Duration = Duration::from_secs(1);

async fn database() -> SqlitePool {
    let pool = PoolConfig::in_memory().open_sqlite().await.expect("opens");
    Fences::new(pool.clone()).prepare().await.expect("it can be made");
    pool
}

/// Whether the database lets a holder in.
async fn gets_in(pool: &SqlitePool, grant: &Blind) -> bool {
    match FencedTx::begin(pool, grant).await {
        Ok(tx) => tx.commit().await.is_ok(),
        Err(refused) => {
            assert!(refused.is_fenced(), "{refused:?}");
            false
        }
    }
}

#[tokio::test]
async fn fault_19_a_fence_of_the_clients_clock() {
    let (pool, (clock, hand)) = (database().await, Clock::manual());
    let grant = || Blind {
        resource: "by hand".to_owned(),
        fence: clock.unix().as_micros() as u64,
    };
    let first = grant();
    assert!(gets_in(&pool, &first).await);
    hand.step_wall(-HOUR);
    let second = grant();
    assert!(
        !gets_in(&pool, &second).await,
        "by hand the latest holder is turned away"
    );
    assert!(gets_in(&pool, &first).await, "and the one before is not");
}

#[tokio::test]
async fn fault_19_locks() {
    for steps in [[HOUR, -HOUR, HOUR], [-HOUR, -HOUR, HOUR], [HOUR, HOUR, -HOUR]] {
        let (pool, t) = (database().await, Topology::start(Kind::Embedded).await);
        let hand = t.clock().as_manual().expect("it can be moved");
        let built = StoreLock::builder("steps")
            .store(&t.store().await)
            .ttl(TTL)
            .watchdog(false)
            .build();
        let lock = built.expect("the settings are right");
        let mut before: Option<Blind> = None;
        for step in steps {
            // Nobody gives it back: whoever had it is gone.
            let held: Guard = lock.acquire(&KEY).await.expect("it is free, or over");
            let grant = Blind::of(&held);
            drop(held.into_token());
            assert!(gets_in(&pool, &grant).await, "the latest is let in");
            if let Some(before) = before.replace(grant) {
                assert!(!gets_in(&pool, &before).await, "the one before is not");
            }
            hand.step_wall(step);
            // A step back has it last that much longer, and no longer.
            let late = Duration::from_secs((-step).max(0).unsigned_abs());
            hand.advance(TTL + late);
        }
        let last = lock.try_acquire(&KEY).await.expect("it answers").expect("it is over");
        assert!(gets_in(&pool, &Blind::of(&last)).await);
        last.release().await.expect("it answers");
    }
}
