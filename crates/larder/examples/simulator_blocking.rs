//! A database of 1,000 users behind a cache, read by ids from the keyboard: the blocking face. `simulator.rs` does the same job
//! in the async one.
//!
//! It makes a SQLite file of its own, loads the users in batches, and says of each answer where it came from and how long it
//! took. Without a keyboard it asks for a few by itself.
//!
//! `cargo run -p larder --example simulator_blocking [redis://127.0.0.1:6379]`

use std::{
    io::{IsTerminal as _, Write as _, stdin, stdout},
    time::Duration,
};

use larder::{
    BoxError, Clock, PoolConfig, SqlTable, Tier,
    blocking::{Cache, Store},
};
use serde::{Deserialize, Serialize};

const USERS: u64 = 1_000;
const BATCH: u64 = 100;

#[derive(Debug, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    team: u64,
}

fn main() -> Result<(), BoxError> {
    let folder = tempfile::tempdir()?;
    let url = std::env::args().nth(1).unwrap_or_else(|| "embedded:".to_owned());
    let store = Store::open(&url)?;
    // What has no blocking form is waited for on the runtime of the store.
    let file = PoolConfig::path(folder.path().join("users.db")).create();
    let pool = store.runtime().block_on(file.open_sqlite())?;
    let table = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, team INTEGER NOT NULL)";
    store.runtime().block_on(sqlx::raw_sql(table).execute(&pool))?;

    let users: Cache<u64, User> = Cache::builder("example-simulator-blocking")
        .store(&store)
        .near(10_000)
        .ttl(Duration::from_secs(300))
        .source(SqlTable::new(pool.clone(), "users"))
        .build()?;
    fill(&users)?;
    // What was just written is cached: without it the first reads go to the database.
    users.clear()?;

    if stdin().is_terminal() {
        ask(&users)?;
    } else {
        assert_eq!(
            answer(&users, "7")?,
            Some(Tier::Source),
            "the first time from the database"
        );
        assert_eq!(answer(&users, "7")?, Some(Tier::Near), "then from this process");
        assert_eq!(answer(&users, "5000")?, None);
        assert_eq!(answer(&users, "Ada")?, None);
    }
    users.clear()?;
    Ok(())
}

/// Writes the users through the cache, a batch at a time.
fn fill(users: &Cache<u64, User>) -> Result<(), BoxError> {
    for first in (1..=USERS).step_by(BATCH as usize) {
        let batch = (first..first + BATCH).map(|id| {
            let (name, team) = (format!("User {id}"), id % 10);
            (id, User { id, name, team })
        });
        let _receipt = users.put_many(batch)?;
        let done = first + BATCH - 1;
        println!(
            "Progress: {:.1}% ({done}/{USERS} records)",
            100.0 * done as f64 / USERS as f64
        );
    }
    Ok(())
}

/// Until the end of input.
fn ask(users: &Cache<u64, User>) -> Result<(), BoxError> {
    println!("Ask for a user by an id from 1 to {USERS}; an empty line ends.");
    loop {
        print!("id> ");
        stdout().flush()?;
        let mut line = String::new();
        if stdin().read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok(());
        }
        answer(users, line.trim())?;
    }
}

/// Says what is known of the id; where it came from, if there is such a user.
fn answer(users: &Cache<u64, User>, id: &str) -> Result<Option<Tier>, BoxError> {
    let Ok(id) = id.parse::<u64>() else {
        println!("`{id}` is not a number: an id is one from 1 to {USERS}");
        return Ok(None);
    };
    let clock = Clock::system();
    let began = clock.monotonic();
    let found = users.lookup(&id)?;
    let took = clock.monotonic() - began;
    let Some(user) = found.value() else {
        println!("there is no user {id}: ids go from 1 to {USERS} ({took:?})");
        return Ok(None);
    };
    println!(
        "{} of team {}: from {:?} in {took:?}",
        user.name,
        user.team,
        found.tier()
    );
    Ok(Some(found.tier()))
}
