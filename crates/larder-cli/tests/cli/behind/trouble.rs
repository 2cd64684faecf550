//! Deadlocks and commits in doubt, as PostgreSQL makes them: tried again, and applied once.

use larder_testkit::{PgServer, Proxy, eventually};

use super::desk::{Desk, SOON, Server, named};

/// Counts how often each row was written.
const AUDIT: &str = "CREATE TABLE audit (id bigint);
     CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit VALUES (NEW.id); RETURN NULL; END $$;
     CREATE TRIGGER note AFTER INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION note()";

const WAITS: &str = "SELECT count(*) FROM pg_stat_activity \
     WHERE application_name = 'larder worker' AND wait_event_type = 'Lock' AND datname = current_database()";

/// Both wait for a row of the other: PostgreSQL ends the transaction of the worker with 40P01, and it comes again.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_is_tried_again_and_applied_once() {
    let desk = Desk::postgres(Server::redis().await).await;
    // Whoever waits first looks for a deadlock first, once: that long after it began to wait.
    let database = desk.db.rsplit('/').next().expect("a URL has a path");
    desk.run(&format!("ALTER DATABASE {database} SET deadlock_timeout = '3s'"))
        .await;
    let service = desk.service::<u64>(|behind| behind).await;
    for id in 1..=2 {
        service.put(&id, named("old")).await.expect("is accepted");
    }
    let worker = desk.worker(&[]).await;
    desk.comes_to("SELECT count(*) FROM users", 2).await;
    desk.run(AUDIT).await;

    let pool = desk.pool.postgres().expect("it is");
    let mut round = 0;
    loop {
        round += 1;
        let mut other = pool.begin().await.expect("begins");
        let lock = |id: i64| sqlx::query("SELECT 1 FROM users WHERE id = $1 FOR UPDATE").bind(id);
        sqlx::query("SET LOCAL deadlock_timeout = '1h'")
            .execute(&mut *other)
            .await
            .expect("sets");
        lock(2).execute(&mut *other).await.expect("locks");
        let both = [1, 2].map(|id| (id, named(&format!("new {round}"))));
        service.put_many(both).await.expect("is accepted");
        eventually(SOON, async || desk.count(WAITS).await > 0).await;
        // The worker may have taken the two one after the other, or given up waiting: then there was no deadlock.
        let won = lock(1).execute(&mut *other).await.is_ok();
        other.rollback().await.expect("unlocks");
        desk.comes_to(&format!("SELECT count(*) FROM users WHERE name = 'new {round}'"), 2)
            .await;
        if won && worker.said().contains("deadlock detected") {
            break;
        }
        assert!(round < 10, "no deadlock: {}", worker.said());
    }
    assert_eq!(
        desk.count("SELECT count(*) FROM audit").await,
        2 * round,
        "each change once"
    );
    worker.says("flushed again").await;
    let (code, said) = worker.end();
    assert_eq!(code, Some(0), "{said}");
}

/// The answer to COMMIT is lost, and the row is there: it is flushed again, to no effect.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_in_doubt_is_tried_again_and_applied_once() {
    let desk = Desk::postgres(Server::larder()).await;
    desk.run(AUDIT).await;
    // The commit waits for lock 1.
    desk.run(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END $$;
         CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()",
    )
    .await;
    let server = PgServer::shared().await;
    let proxy = Proxy::start(server.port()).await.expect("loopback has a free port");
    let through = desk.db.replace(&server.port().to_string(), &proxy.port().to_string());
    let service = desk.service::<u64>(|behind| behind).await;
    let mut holder = desk.pool.postgres().expect("it is").acquire().await.expect("connects");
    sqlx::query("SELECT pg_advisory_lock(1)")
        .execute(&mut *holder)
        .await
        .expect("locks");
    service.put(&1, named("Ada")).await.expect("is accepted");
    let worker = desk.worker_on(&through, &[]).await;
    eventually(SOON, async || desk.count(WAITS).await > 0).await;
    proxy.reset();
    worker.says("not flushed, and tried again: 1 change").await;
    sqlx::query("SELECT pg_advisory_unlock(1)")
        .execute(&mut *holder)
        .await
        .expect("unlocks");
    desk.comes_to("SELECT count(*) FROM users", 1).await;
    eventually(SOON, async || service.lag().await.expect("answers").entries == 0).await;
    assert_eq!(desk.count("SELECT count(*) FROM audit").await, 1, "applied once");
    assert_eq!(desk.letters(), Vec::<String>::new());
    worker.says("flushed again").await;
    let (code, said) = worker.end();
    assert_eq!(code, Some(0), "{said}");
}
