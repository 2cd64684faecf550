//! JSON under the bare key, as redis-cli and services in other languages read and write it.
//!
//! `cargo run -p larder --example plain [redis://127.0.0.1:6379]`

use std::time::Duration;

use larder::{BoxError, PlainStore as _, Store, redis};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "embedded:".to_owned());
    let mut store = Store::open(&url).await?;
    let users = store.plain::<User>("example-user");
    users
        .put(&42, &User { name: "Ada".to_owned() }, Duration::from_secs(60))
        .await?;

    // What `redis-cli GET example-user:42` shows.
    let raw: String = redis::cmd("GET").arg("example-user:42").query_async(&mut store).await?;
    println!("GET example-user:42 -> {raw}");
    assert_eq!(raw, r#"{"name":"Ada"}"#);

    // What another service writes is read as well.
    redis::cmd("SET")
        .arg("example-user:43")
        .arg(r#"{"name":"Grace"}"#)
        .exec_async(&mut store)
        .await?;
    let grace = users.get(&43).await?;
    println!("user 43, written as JSON by hand, is {grace:?}");
    assert_eq!(
        grace,
        Some(User {
            name: "Grace".to_owned()
        })
    );
    redis::cmd("DEL")
        .arg("example-user:42")
        .arg("example-user:43")
        .exec_async(&mut store)
        .await?;
    Ok(())
}
