//! Runs: none is lost, each has a bound, and what is given up leaves nothing behind.

use std::{
    pin::pin,
    sync::atomic::{AtomicU32, Ordering},
    task::{Context, Waker},
    time::Duration,
};

use larder_kit::transaction::{Attempt, TransactionError, Transactions, Watched};
use larder_store::{Store, StoreConfig};
use larder_testkit::{Topology, for_each_topology};
use redis::AsyncCommands as _;
use tokio::task::JoinSet;

use super::mutants::Checking;
use crate::immortal::no_immortal_keys;

/// Long enough that no test ends before it.
const TTL: u64 = 600;

fn transactions(store: &Store) -> Transactions {
    Transactions::builder("tests").store(store).build().expect("builds")
}

/// Waits for `work`, whose pauses are on the clock of `t`.
async fn driven<T>(t: &Topology, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = t.advance(1) => {}
        }
    }
}

/// Adds one to `key`, by reading and writing.
async fn step(mut watched: Watched) -> Result<Attempt<()>, TransactionError> {
    let n: Option<u64> = watched.get("n").await?;
    tokio::task::yield_now().await;
    let write = redis::pipe().set_ex("n", n.unwrap_or(0) + 1, TTL).ignore().to_owned();
    watched.commit(write).await
}

#[test]
fn steps_of_many_callers_are_all_counted() {
    const CALLERS: u64 = 5;
    const STEPS: u64 = 12;
    for_each_topology(async |t: Topology| {
        let mut tasks = JoinSet::new();
        for _ in 0..CALLERS {
            let store = t.another_store().await;
            let builder = Transactions::builder("tests").store(&store).attempts(1_000);
            let transactions = builder.build().expect("builds");
            tasks.spawn(async move {
                for _ in 0..STEPS {
                    transactions.run(["n"], step).await.expect("it goes through");
                }
            });
        }
        driven(&t, async {
            while let Some(ended) = tasks.join_next().await {
                ended.expect("no caller failed");
            }
        })
        .await;
        let n: u64 = t.store().await.get("n").await.expect("read");
        assert_eq!(n, CALLERS * STEPS);
        no_immortal_keys(&t, 1);
    });
}

#[test]
fn a_caller_who_always_loses_is_told_after_how_many_attempts() {
    for_each_topology(async |t: Topology| {
        let (store, beside) = (t.store().await, t.another_store().await);
        let builder = Transactions::builder("unlucky").store(&store).attempts(3);
        let unlucky = builder.build().expect("builds");
        let tries = AtomicU32::new(0);
        let overtaken = async |watched: Watched| {
            tries.fetch_add(1, Ordering::Relaxed);
            let _: () = beside.clone().set_ex("n", 7, TTL).await?;
            watched
                .commit::<()>(redis::pipe().set_ex("m", 1, TTL).ignore().to_owned())
                .await
        };
        let error = driven(&t, unlucky.run(["n"], overtaken))
            .await
            .expect_err("overtaken each time");
        assert!(
            error.is_contended() && error.to_string().contains("`unlucky` lost 3 attempts"),
            "{error}"
        );
        assert_eq!(tries.load(Ordering::Relaxed), 3);
        assert!(
            !store.clone().exists::<_, bool>("m").await.expect("answered"),
            "nothing was written"
        );
    });
}

pub(crate) fn what_is_decided_against_writes_nothing_and_reads_can_be_checked_to_belong_together(
    t: &Topology,
) -> Checking<'_> {
    Box::pin(async move {
        let mut store = t.store().await;
        let ours = transactions(&store);
        let said = ours
            .run(["n"], async |watched: Watched| {
                Ok::<_, TransactionError>(watched.leave("no"))
            })
            .await;
        assert_eq!(said.expect("left"), "no");
        for overtaken in [false, true] {
            let mut watched = ours.watch(&["a", "b"]).await.expect("watched");
            let _: Option<u64> = watched.get("a").await.expect("read");
            if overtaken {
                let _: () = store.set_ex("b", 1, TTL).await.expect("set");
            }
            let _: Option<u64> = watched.get("b").await.expect("read");
            let attempt = watched.commit::<()>(redis::pipe()).await.expect("answered");
            assert_eq!(attempt.is_lost(), overtaken);
        }
    })
}

#[test]
fn a_key_that_expires_while_it_is_watched_counts_as_changed() {
    for_each_topology(async |t: Topology| {
        let mut store = t.store().await;
        let _: () = store.pset_ex("n", 1, 100).await.expect("set");
        let mut watched = transactions(&store).watch(&["n"]).await.expect("watched");
        assert_eq!(watched.get::<_, Option<u64>>("n").await.expect("read"), Some(1));
        t.advance(4).await;
        assert!(watched.commit::<()>(redis::pipe()).await.expect("answered").is_lost());
    });
}

#[test]
fn an_error_of_the_caller_comes_back_and_nothing_is_written() {
    #[derive(Debug)]
    enum Mine {
        NoMoney,
        Transaction,
    }
    impl From<TransactionError> for Mine {
        fn from(_: TransactionError) -> Self {
            Self::Transaction
        }
    }
    for_each_topology(async |t: Topology| {
        let ours = transactions(&t.store().await);
        let error = ours
            .run(["n"], async |_watched: Watched| Err::<Attempt<()>, _>(Mine::NoMoney))
            .await;
        assert!(matches!(error, Err(Mine::NoMoney)));
        let none = Transactions::builder("none")
            .store(&t.store().await)
            .attempts(0)
            .build();
        assert!(matches!(none, Err(TransactionError::Settings(_))));
        let failed: Result<(), Mine> = Err(Mine::from(none.expect_err("refused")));
        assert!(matches!(failed, Err(Mine::Transaction)));
    });
}

pub(crate) fn what_would_end_the_watch_unseen_is_refused(t: &Topology) -> Checking<'_> {
    Box::pin(async move {
        let mut store = t.store().await;
        let ours = transactions(&store);
        let mut watched = ours.watch(&["n"]).await.expect("watched");
        for command in ["UNWATCH", "multi", "EXEC", "DISCARD", "RESET"] {
            let error = redis::cmd(command).exec_async(&mut watched).await.expect_err(command);
            let error = TransactionError::from(error);
            assert!(
                matches!(&error, TransactionError::EndsWatch { command: said } if said.eq_ignore_ascii_case(command))
            );
        }
        let error = redis::cmd("SELECT")
            .arg(1)
            .exec_async(&mut watched)
            .await
            .expect_err("another database");
        assert!(error.to_string().contains("Watched::commit"), "{error}");
        let mut atomic = redis::pipe();
        let error = atomic
            .atomic()
            .get("n")
            .exec_async(&mut watched)
            .await
            .expect_err("it would end the watch");
        assert!(matches!(
            TransactionError::from(error),
            TransactionError::EndsWatch { .. }
        ));
        let mut hidden = redis::pipe();
        let error = hidden
            .get("n")
            .cmd("UNWATCH")
            .exec_async(&mut watched)
            .await
            .expect_err("hidden in a pipeline");
        assert!(matches!(
            TransactionError::from(error),
            TransactionError::EndsWatch { .. }
        ));
        // It still watches.
        let _: () = store.set_ex("n", 1, TTL).await.expect("set");
        assert!(watched.commit::<()>(redis::pipe()).await.expect("answered").is_lost());
    })
}

pub(crate) fn a_command_that_fails_inside_is_told_and_the_others_took_effect(t: &Topology) -> Checking<'_> {
    Box::pin(async move {
        let mut store = t.store().await;
        let _: () = store.set_ex("text", "no number", TTL).await.expect("set");
        let watched = transactions(&store).watch(&["text"]).await.expect("watched");
        let mut pipe = redis::pipe();
        pipe.incr("text", 1).set_ex("other", 1, TTL);
        let error = watched.commit::<()>(pipe).await.expect_err("no number");
        assert!(matches!(error, TransactionError::Partly { failed: 1, .. }), "{error}");
        assert!(
            store.exists::<_, bool>("other").await.expect("answered"),
            "the other took effect"
        );

        // A command that the server does not take at all is another matter: nothing is done.
        let watched = transactions(&store).watch(&["text"]).await.expect("watched");
        let mut pipe = redis::pipe();
        pipe.set_ex("third", 1, TTL).cmd("NOSUCH");
        let error = watched.commit::<()>(pipe).await.expect_err("no such command");
        assert!(
            matches!(error, TransactionError::Store(_)) && !error.is_unknown_outcome(),
            "{error}"
        );
        assert!(!store.exists::<_, bool>("third").await.expect("answered"));
    })
}

/// A store whose pool has one connection, so that the next user gets the one that was given up.
async fn with_one_connection(t: &Topology) -> Store {
    match t.port() {
        Some(port) => {
            let config = StoreConfig::tcp("127.0.0.1", port)
                .clock(t.clock().clone())
                .pool_size(1);
            Store::connect(config).await.expect("connects")
        }
        None => t.another_store().await,
    }
}

/// What the next user of the connection does must be his own: not queued, and not ended by another's watch.
async fn as_new(store: &Store, beside: &mut Store) {
    let mut next = store.dedicated().await.expect("one is there");
    let said: String = redis::cmd("SET")
        .arg("next")
        .arg(1)
        .arg("EX")
        .arg(TTL)
        .query_async(&mut next)
        .await
        .expect("set");
    assert_eq!(said, "OK", "it is not in a transaction");
    let _: () = beside.set_ex("n", 99, TTL).await.expect("set");
    let mut pipe = redis::pipe();
    pipe.atomic().get("n");
    let read: Option<(u64,)> = pipe.query_async(&mut next).await.expect("answered");
    assert_eq!(read, Some((99,)), "nobody's watch ended it");
}

#[test]
fn a_run_that_is_given_up_leaves_a_connection_as_new() {
    for_each_topology(async |t: Topology| {
        let (store, mut beside) = (with_one_connection(&t).await, t.another_store().await);
        let ours = transactions(&store);
        // An error of the work.
        let failed = ours.run(["n"], async |mut watched: Watched| {
            let _: Option<u64> = watched.get("n").await?;
            Err::<Attempt<()>, _>(TransactionError::Settings("enough".to_owned()))
        });
        failed.await.expect_err("given up");
        as_new(&store, &mut beside).await;

        // Dropped while the work reads and thinks.
        let (inside, mut is_inside) = tokio::sync::mpsc::channel::<()>(1);
        let thinking = ours.run(["n"], async |mut watched: Watched| {
            let _: Option<u64> = watched.get("n").await?;
            inside.send(()).await.expect("somebody waits");
            std::future::pending::<Result<Attempt<()>, TransactionError>>().await
        });
        tokio::select! {
            _ = thinking => unreachable!("it never ends"),
            _ = is_inside.recv() => {}
        }
        as_new(&store, &mut beside).await;

        // Dropped with the transaction on its way.
        let watched = ours.watch(&["n"]).await.expect("watched");
        {
            let write = redis::pipe().set_ex("n", 5, TTL).ignore().to_owned();
            let mut commit = pin!(watched.commit::<()>(write));
            let _ = commit.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        as_new(&store, &mut beside).await;
        no_immortal_keys(&t, 1);
    });
}

/// `run` can be spawned: what it makes is `Send`.
#[tokio::test]
async fn a_run_can_be_a_task() {
    let store = Store::open("embedded:").await.expect("opens");
    let ours = Transactions::builder("spawned")
        .store(&store)
        .pause(Duration::ZERO, Duration::ZERO)
        .build()
        .expect("builds");
    let task = tokio::spawn(async move { ours.run(["n"], step).await });
    task.await.expect("it ran").expect("it went through");
    assert_eq!(store.clone().get::<_, u64>("n").await.expect("read"), 1);
}
