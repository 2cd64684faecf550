//! Locks in PostgreSQL: one holder at a time, and what becomes of holders whose connection, or whose server, is killed.

use std::{sync::Arc, time::Duration};

use larder_kit::lock::{Guard, Lock, LockError, Loss};
use larder_sql::{FencedTx, Fences, PgLock, PgPool, PoolConfig, SqlError};
use larder_testkit::{PgServer, eventually};

/// For whatever takes a moment, on a machine that is busy with much else.
const SOON: Duration = Duration::from_secs(60);

/// Short, so that a loss is soon heard of, and long enough that a machine which is busy with much else does not look like one.
const TTL: Duration = Duration::from_millis(1_500);

async fn pool(url: &str) -> PgPool {
    let config = PoolConfig::new(url).acquire_timeout(SOON).connect_timeout(SOON);
    config.open_postgres().await.expect("opens")
}

/// A database with fences.
async fn database() -> PgPool {
    let pool = pool(&PgServer::shared().await.database()).await;
    Fences::new(pool.clone()).prepare().await.expect("it can be made");
    pool
}

fn lock(pool: &PgPool) -> PgLock {
    let built = PgLock::builder("invoices").pool(pool).build();
    built.expect("the settings are right")
}

/// For holders that are to lose it.
fn soon_lost(pool: &PgPool) -> PgLock {
    let built = PgLock::builder("invoices").pool(pool).ttl(TTL).build();
    built.expect("the settings are right")
}

/// Ends the connections that are locks, as an operator does.
async fn terminate(pool: &PgPool) -> i64 {
    let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE application_name = 'larder lock' AND datname = current_database()";
    sqlx::query_scalar(sql).fetch_one(pool).await.expect("it may")
}

async fn begin(pool: &PgPool, guard: &Guard) -> Result<(), SqlError> {
    FencedTx::begin(pool, guard).await?.commit().await
}

#[tokio::test]
async fn one_holder_at_a_time_and_fences_that_grow() {
    let pool = database().await;
    // As another program would see them: with no connection in common.
    let (here, there) = (lock(&pool), lock(&pool));
    let first = here.acquire(&42).await.expect("it is free");
    assert!(there.try_acquire(&42).await.expect("it answers").is_none());
    assert!(
        here.try_acquire(&42).await.expect("it answers").is_none(),
        "it is not reentrant"
    );
    let other = there.try_acquire(&43).await.expect("it answers").expect("another key");
    assert_eq!(
        (first.resource(), other.resource()),
        ("lock:{invoices:42}", "lock:{invoices:43}")
    );
    begin(&pool, &first).await.expect("it is the latest");
    let fence = first.fence().expect("it is exclusive");
    assert!(first.release().await.expect("it answers").was_held());

    let second = there
        .try_acquire(&42)
        .await
        .expect("it answers")
        .expect("it was given back");
    assert!(second.fence() > Some(fence), "{fence:?} {second:?}");
    drop(second);
    // In the background.
    let third = here.acquire_within(&42, SOON).await.expect("it was dropped");
    begin(&pool, &third).await.expect("it is the latest");
}

#[tokio::test]
async fn who_waits_gets_it_or_hears_that_it_is_busy() {
    let pool = database().await;
    let lock = lock(&pool);
    let holder = lock.acquire("a").await.expect("it is free");
    let busy = lock
        .acquire_within("a", Duration::from_millis(20))
        .await
        .expect_err("it is held");
    assert!(busy.is_busy(), "{busy:?}");
    let waiting = tokio::spawn({
        let lock = lock.clone();
        async move { lock.acquire_within("a", SOON).await.map(|guard| guard.fence()) }
    });
    let fence = holder.fence();
    holder.release().await.expect("it answers");
    assert!(waiting.await.expect("no panic").expect("it was given back") > fence);
}

#[tokio::test]
async fn fences_go_on_growing_where_a_lock_comes_from_a_store() {
    let pool = database().await;
    let ahead: i64 = 9_000_000_000_000_000;
    let from_a_store = sqlx::query("INSERT INTO larder_fences VALUES ('lock:{invoices:42}', $1, 0)").bind(ahead);
    from_a_store.execute(&pool).await.expect("it is empty");
    let guard = lock(&pool).acquire(&42).await.expect("it is free");
    assert_eq!(guard.fence().map(i64::from), Some(ahead + 1));
}

#[tokio::test]
async fn a_holder_whose_connection_is_killed_hears_of_it_and_is_fenced_before_it_does() {
    let pool = database().await;
    let (here, there) = (soon_lost(&pool), lock(&pool));
    let holder = here.acquire(&42).await.expect("it is free");
    let work = holder.run(std::future::pending::<()>());
    let overtake = async {
        assert_eq!(terminate(&pool).await, 1);
        there.acquire_within(&42, SOON).await.expect("the server freed it")
    };
    let (stopped, next) = tokio::join!(work, overtake);
    assert!(
        matches!(stopped, Err(LockError::Lost { loss: Loss::Taken, .. })),
        "{stopped:?}"
    );
    assert!(holder.check().is_err() && next.check().is_ok());
    assert!(begin(&pool, &holder).await.expect_err("it is lost").is_fenced());
    assert!(!holder.release().await.expect("there is nothing to ask").was_held());
    begin(&pool, &next).await.expect("it is the latest");
}

/// Right after its connection is gone, a holder knows nothing yet.
#[tokio::test]
async fn the_next_grant_fences_the_holder_before_at_once() {
    let pool = database().await;
    let patient = PgLock::builder("invoices")
        .pool(&pool)
        .ttl(SOON * 60)
        .build()
        .expect("the settings are right");
    let holder = patient.acquire(&42).await.expect("it is free");
    assert_eq!(terminate(&pool).await, 1);
    let next = lock(&pool)
        .acquire_within(&42, SOON)
        .await
        .expect("the server freed it");
    assert!(holder.check().is_ok(), "its next heartbeat is in twenty minutes");
    let refused = begin(&pool, &holder).await.expect_err("the next one was granted it");
    assert!(matches!(refused, SqlError::Fenced { .. }), "{refused:?}");
    drop(next);
}

#[tokio::test]
async fn nobody_is_granted_it_while_a_transaction_of_the_holder_before_is_open() {
    let pool = database().await;
    let (here, there) = (soon_lost(&pool), soon_lost(&pool));
    let holder = here.acquire(&42).await.expect("it is free");
    let open = FencedTx::begin(&pool, &holder).await.expect("it is the latest");
    terminate(&pool).await;
    eventually(SOON, async || holder.check().is_err()).await;
    assert!(there.try_acquire(&42).await.expect("it answers").is_none());
    drop(open);
    let next = there.acquire_within(&42, SOON).await.expect("nothing is open any more");
    next.release().await.expect("it answers");
}

#[tokio::test]
async fn a_lock_is_lost_with_its_server_and_taken_again_when_it_is_back() {
    let mut server = PgServer::start().await;
    let pool = pool(&server.database()).await;
    Fences::new(pool.clone()).prepare().await.expect("it can be made");
    let lock = soon_lost(&pool);
    let holder = lock.acquire(&42).await.expect("it is free");
    let fence = holder.fence();
    server.kill();
    holder.lost().await;
    let failed = lock.try_acquire(&42).await.expect_err("nobody answers");
    assert!(matches!(failed, LockError::Backend(_)), "{failed:?}");
    server.restart().await;
    let mut again = None;
    eventually(SOON, async || {
        again = lock.try_acquire(&42).await.ok().flatten();
        again.is_some()
    })
    .await;
    assert!(again.is_some_and(|again| again.fence() > fence));
}

#[tokio::test]
async fn more_locks_than_connections_wait_for_one() {
    let pool = database().await;
    let lock = PgLock::builder("invoices")
        .pool(&pool)
        .held(1)
        .build()
        .expect("the settings are right");
    let first = lock.acquire(&1).await.expect("it is free");
    let second = tokio::spawn({
        let lock = lock.clone();
        async move { lock.acquire(&2).await.map(|guard| guard.fence()) }
    });
    first.release().await.expect("it answers");
    second.await.expect("no panic").expect("there is a connection again");
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused() {
    let pool = pool(&PgServer::shared().await.database()).await;
    let without_fences = lock(&pool).try_acquire(&1).await.expect_err("there is no table");
    let LockError::Backend(why) = without_fences else {
        panic!("{without_fences:?}")
    };
    assert!(why.to_string().contains("larder sql fences"), "{why}");
    for (wrong, names) in [
        (PgLock::builder("invoices"), ".pool(&pool)"),
        (PgLock::builder("invoices").pool(&pool).ttl(Duration::ZERO), "ttl"),
        (PgLock::builder("invoices").pool(&pool).ttl(Duration::MAX), "ttl"),
        (PgLock::builder("In Voices").pool(&pool), "In Voices"),
    ] {
        let refused = wrong.build().expect_err("it is wrong").to_string();
        assert!(refused.contains(names), "{refused}");
    }
    let shared: Arc<dyn Lock<u64>> = Arc::new(lock(&pool));
    Fences::new(pool.clone()).prepare().await.expect("it can be made");
    let guard = shared.acquire_within(&1, SOON).await.expect("nothing was left locked");
    guard.release().await.expect("it answers");
}
