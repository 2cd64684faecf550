//! Rate limits: what a caller is told, several limits as one, limits changed while in use, how many at once, and a store
//! that is away.
//!
//! `cargo run -p larder --example limit [redis://127.0.0.1:6379]`

use std::time::Duration;

use larder::{
    BoxError, Store,
    limit::{self, Basis, ConcurrencyLimit, Entry, FixedWindow, Gcra, LimitError, Limiter, Limits},
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "embedded:".to_owned());
    let store = Store::open(&url).await?;
    let api = build(&store)?;
    for user in ["ada", "grace", "alan"] {
        api.reset(user).await?;
    }
    too_fast(&api).await?;
    let mut answer = handle(&api, "ada").await?;
    while answer.0 != 429 {
        answer = handle(&api, "ada").await?;
    }
    assert_eq!(answer.1.len(), 4, "three of the limit, and when to come back");
    whole_or_not_at_all(&api).await?;
    patience(&api).await?;
    change(&api).await?;
    at_once(&store).await?;
    away().await
}

fn build(store: &Store) -> Result<Limiter, LimitError> {
    Limiter::builder("example-api")
        .store(store)
        .limit(Gcra::per_second(10).burst(5)) // five at once, then one every 100 ms
        .limit_as("daily", FixedWindow::per_day(1_000)) // and never more than this a day
        .on_store_down(limit::OnStoreDown::Open) // without this line it does not compile
        .build()
}

async fn too_fast(api: &Limiter) -> Result<(), BoxError> {
    let mut denied = None;
    for call in 1..=50 {
        let decision = api.check("ada").await?;
        if !decision.allowed {
            println!("call {call} is denied by `{}`", decision.limit);
            for (name, value) in decision.headers().pairs() {
                println!("  {name}: {value}");
            }
            denied = Some(decision);
            break;
        }
    }
    let denied = denied.ok_or("fifty calls in a row are more than ten a second")?;
    assert_eq!((&*denied.limit, denied.headers().retry_after), ("gcra", Some(1)));
    assert!(
        denied
            .retry_after
            .is_some_and(|wait| wait <= Duration::from_millis(100))
    );
    Ok(())
}

/// What an HTTP handler answers: the status, and the headers.
async fn handle(api: &Limiter, user: &str) -> Result<(u16, Vec<(String, String)>), BoxError> {
    let decision = api.check(user).await?;
    let mut headers = Vec::new();
    for (name, value) in decision.headers().pairs() {
        headers.push((name.to_owned(), value.to_string()));
    }
    let status = if decision.allowed { 200 } else { 429 };
    Ok((status, headers))
}

/// A call may cost more than one, and is charged to all limits or to none.
async fn whole_or_not_at_all(api: &Limiter) -> Result<(), BoxError> {
    let page = api.check_cost("grace", 4).await?;
    let more = api.check_cost("grace", 6).await?; // a burst is five: never
    println!(
        "4 of 5: {}; 6 of 5: {}, retry after {:?}",
        page.allowed, more.allowed, more.retry_after
    );
    assert!(page.allowed && !more.allowed && more.retry_after.is_none());

    let first = api.check_once("alan", 3, "message 7").await?;
    let again = api.check_once("alan", 3, "message 7").await?; // the broker delivered it twice
    println!(
        "message 7 is charged once: {} left, and {} left",
        first.remaining, again.remaining
    );
    assert!(first.allowed && again.allowed && again.remaining >= 2);
    Ok(())
}

async fn patience(api: &Limiter) -> Result<(), BoxError> {
    let mut calls = 0;
    while api.check("ada").await?.allowed {
        calls += 1;
    }
    let decision = api.acquire("ada", 1, Duration::from_secs(5)).await?; // waits for room, 5 s at most
    println!("after {calls} more calls ada waits, and goes on: {}", decision.allowed);
    let error = api.acquire("ada", 5, Duration::from_millis(1)).await; // says so at once
    println!("{}", error.as_ref().err().map(ToString::to_string).unwrap_or_default());
    Ok(())
}

async fn change(api: &Limiter) -> Result<(), BoxError> {
    let (revision, _) = api.look().await?;
    let more = Limits::new()
        .limit(Gcra::per_second(100))
        .limit_as("daily", FixedWindow::per_day(50_000));
    let revision = api.reconfigure_from(revision, more).await?; // in every process within a second
    let decision = api.check("ada").await?;
    println!(
        "revision {revision}: ada has {} of {}",
        decision.remaining, decision.capacity
    );
    assert_eq!(decision.capacity, 100);
    api.restore().await?; // the limits of the program
    assert_eq!(api.check("ada").await?.capacity, 5);
    Ok(())
}

async fn at_once(store: &Store) -> Result<(), BoxError> {
    let exports = ConcurrencyLimit::builder("example-exports")
        .store(store)
        .limit(2)
        .lease(Duration::from_secs(30)) // a process that dies gives its places back after this
        .on_store_down(limit::OnStoreDown::Local { share: 0.5 })
        .build()?;
    let (one, other) = (exports.enter("tenant 1").await?, exports.enter("tenant 1").await?);
    match exports.enter("tenant 1").await? {
        Entry::Admitted(_) => return Err("two are in".into()),
        Entry::Full(decision) => println!(
            "{} are in, all of {}",
            decision.capacity - decision.remaining,
            decision.capacity
        ),
    }
    drop(one); // in the background; `permit.release().await` says when
    if let Entry::Admitted(permit) = other {
        permit.run(export()).await?; // stopped before somebody else can have the place, should it be lost
        println!("exported");
        assert!(permit.release().await);
    }
    Ok(())
}

/// Stands for what takes a while.
async fn export() {}

async fn away() -> Result<(), BoxError> {
    let nobody = Store::lazy("redis://127.0.0.1:1?max_attempts=1")?;
    let logins = Limiter::builder("example-logins")
        .store(&nobody)
        .limit(FixedWindow::per_hour(8))
        .on_store_down(limit::OnStoreDown::Local { share: 0.25 }) // four processes: two an hour each
        .build()?;
    let mut admitted = 0;
    for _ in 0..5 {
        let decision = logins.check("ada").await?;
        assert_eq!(decision.basis, Basis::Share);
        assert_eq!(decision.headers().remaining, None); // nobody knows what is left
        admitted += u32::from(decision.allowed);
    }
    println!("without a store this process admits {admitted} of 5");
    assert_eq!(admitted, 2);
    Ok(())
}
