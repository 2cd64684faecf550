//! Locks: one at a time, what happens when a lock is lost, handing one on, readers and writers, permits, leaders.
//!
//! `cargo run -p larder --example lock [redis://127.0.0.1:6379]`

use std::time::Duration;

use larder::{
    BoxError, Store,
    lock::{Election, Guard, Lock, LockError, OwnerToken, ReadWriteLock, Semaphore, StoreLock},
    redis::AsyncCommands as _,
};
use tokio::task::JoinSet;

/// Tasks that count at once, and how far each counts.
const TASKS: u64 = 8;
const EACH: u64 = 25;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "embedded:".to_owned());
    let store = Store::open(&url).await?;
    let invoices = StoreLock::builder("example-invoices")
        .store(&store)
        .ttl(Duration::from_secs(1)) // how long a holder that died keeps others out
        .wait(Duration::from_secs(30)) // how long `acquire` waits
        .build()?;
    one_at_a_time(&store, &invoices).await?;
    lost(&store, &invoices).await?;
    hand_on(&invoices).await?;
    readers_and_writers(&store).await?;
    permits(&store).await?;
    leaders(&store).await
}

/// Reads a counter, thinks, and writes one more, many times at once: what comes of it.
async fn counted(store: &Store, invoices: Option<&StoreLock>) -> Result<u64, BoxError> {
    const COUNTER: &str = "example-lock:counter";
    let mut store = store.clone();
    store.set_ex::<_, _, ()>(COUNTER, 0, 60).await?;
    let mut tasks: JoinSet<Result<(), BoxError>> = JoinSet::new();
    for _ in 0..TASKS {
        let (mut store, invoices) = (store.clone(), invoices.cloned());
        tasks.spawn(async move {
            for _ in 0..EACH {
                let guard: Option<Guard> = match &invoices {
                    Some(invoices) => Some(invoices.acquire("counter").await?),
                    None => None,
                };
                let count: u64 = store.get(COUNTER).await?;
                tokio::task::yield_now().await;
                store.set_ex::<_, _, ()>(COUNTER, count + 1, 60).await?;
                if let Some(guard) = guard {
                    guard.release().await?;
                }
            }
            Ok(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(store.get(COUNTER).await?)
}

async fn one_at_a_time(store: &Store, invoices: &StoreLock) -> Result<(), BoxError> {
    let (by_hand, locked) = (counted(store, None).await?, counted(store, Some(invoices)).await?);
    println!(
        "counted {by_hand} of {} without a lock, {locked} with one",
        TASKS * EACH
    );
    assert!(by_hand < locked);
    assert_eq!(locked, TASKS * EACH);

    let guard = invoices.acquire(&42).await?; // `try_acquire` does not wait, `acquire_within` says how long
    guard.run(send(42)).await?; // stopped, should the lock be lost
    guard.release().await?; // dropping it does so in the background

    let guard = invoices.acquire(&42).await?;
    assert!(invoices.try_acquire(&42).await?.is_none());
    let busy = invoices.acquire_within(&42, Duration::from_millis(20)).await;
    println!("the second one: {}", busy.expect_err("it is held"));
    guard.release().await?;
    Ok(())
}

/// What only one may do at a time.
async fn send(invoice: u64) {
    println!("invoice {invoice} is sent");
}

/// Somebody deletes the key of a lock that is held.
async fn lost(store: &Store, invoices: &StoreLock) -> Result<(), BoxError> {
    let guard = invoices.acquire(&42).await?;
    store.clone().del::<_, ()>("lock:{example-invoices:42}").await?;
    let next = invoices.acquire(&42).await?;

    let sent = guard.run(std::future::pending::<()>()).await; // work that takes long
    match sent {
        Ok(()) => unreachable!("it does not end by itself"),
        Err(error @ LockError::Lost { .. }) => println!("the work was stopped: {error}"),
        Err(error) => return Err(error.into()),
    }
    assert!(
        next.fence() > guard.fence(),
        "what the lock protects can tell the two apart"
    );
    assert!(!guard.release().await?.was_held());
    assert!(next.release().await?.was_held(), "and nobody releases another's");
    Ok(())
}

/// One process takes the lock, another one does the work.
async fn hand_on(invoices: &StoreLock) -> Result<(), BoxError> {
    let guard = invoices.acquire(&43).await?;
    let text = guard.into_token().expect("a store's lock has one").reveal(); // a secret: goes into the job

    let token: OwnerToken = text.parse()?; // in the other process
    let guard = invoices.adopt(&43, token.clone()).await?;
    let twice = invoices.adopt(&43, token).await;
    println!("the second to adopt it: {}", twice.expect_err("a token is good once"));
    guard.release().await?;
    Ok(())
}

async fn readers_and_writers(store: &Store) -> Result<(), BoxError> {
    let sheets = ReadWriteLock::builder("example-sheets").store(store).build()?;
    let reader = sheets.reading().acquire(&7).await?;
    let another = sheets.reading().acquire(&7).await?;
    assert!(sheets.writing().try_acquire(&7).await?.is_none());
    reader.release().await?;
    another.release().await?;
    let writer = sheets.writing().acquire(&7).await?; // from the first attempt on, no new reader is let in
    assert!(sheets.reading().try_acquire(&7).await?.is_none());
    println!(
        "two read, one writes, with fence {}",
        writer.fence().expect("a writer has one")
    );
    writer.release().await?;
    Ok(())
}

async fn permits(store: &Store) -> Result<(), BoxError> {
    let exports = Semaphore::builder("example-exports", 2).store(store).build()?;
    let first = exports.acquire("eu").await?;
    let _second = exports.acquire("eu").await?;
    assert!(exports.try_acquire("eu").await?.is_none());
    first.release().await?;
    assert!(exports.try_acquire("eu").await?.is_some());
    println!("two export at a time");
    Ok(())
}

async fn leaders(store: &Store) -> Result<(), BoxError> {
    let here = Election::builder("example-jobs", "worker-1").store(store).build()?; // the process's own name
    let there = Election::builder("example-jobs", "worker-2").store(store).build()?;

    let leadership = here.campaign("relay").await?; // waits until it is this process's turn
    let leader = there.leader("relay").await?.expect("somebody leads");
    println!("{} leads, term {}", leader.name, leader.term);
    leadership.resign().await?;

    let done = there
        .run_while_leader("relay", |term| async move { format!("done in term {term}") })
        .await?;
    println!("worker-2: {done}");
    Ok(())
}
