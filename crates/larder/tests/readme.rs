//! The start that the README shows compiles, runs, and is the one that is shown.

use std::{error::Error, path::Path, time::Duration};

use larder::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct User {
    team: u64,
}

async fn start() -> Result<Option<u64>, Box<dyn Error + Send + Sync>> {
    // README begins
    let store = Store::open("embedded:").await?; // or redis://127.0.0.1:6379
    let pool = PoolConfig::new("sqlite:shop.db").create().open().await?; // an existing file needs no `create`
    let users: Cache<u64, User> = Cache::builder("user")
        .store(&store)
        .near(10_000) // kept in process; 0 turns the tier off
        .ttl(Duration::from_secs(300)) // fresh for this long
        .grace(Duration::from_secs(60)) // then stale while one caller refreshes
        .tags(|u: &User| [format!("team:{}", u.team)])
        .source(SqlTable::new(pool, "users"))
        .build()
        .await?;
    let user = users.get(&42).await?; // Option<Arc<User>>
    users.invalidate_tag("team:7").await?; // after a write
    // README ends
    Ok(user.map(|user| user.team))
}

#[tokio::test]
async fn the_start_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shop.db");
    let pool = PoolConfig::path(&path).create().open_sqlite().await.expect("creates");
    sqlx::raw_sql("CREATE TABLE users (id INTEGER PRIMARY KEY, team INTEGER); INSERT INTO users VALUES (42, 7)")
        .execute(&pool)
        .await
        .expect("fills");
    pool.close().await;
    // The start opens a file of the working folder.
    std::env::set_current_dir(folder.path()).expect("the folder exists");
    let team = start().await.expect("runs");
    assert_eq!(team, Some(7));
}

/// What runs above is what the README shows.
#[test]
fn the_readme_shows_this_start() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(readme).expect("the README exists");
    let shown = readme
        .split("```rust")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("it shows a start");
    let shown = shown
        .trim_start()
        .strip_prefix("use std::time::Duration;\nuse larder::prelude::*;\n")
        .expect("its imports");
    let here = include_str!("readme.rs");
    let (_, run) = here.split_once("// README begins\n").expect("the marker exists");
    let (run, _) = run.split_once("// README ends\n").expect("the marker exists");
    let bare = |text: &str| text.split_whitespace().collect::<String>();
    assert_eq!(bare(shown), bare(run));
}
