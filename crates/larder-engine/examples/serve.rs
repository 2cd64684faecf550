//! An engine as a server: start it, then try `redis-cli -p 7379`.
//!
//! `cargo run --release -p larder-engine --example serve -- 127.0.0.1:7379`

use std::time::Duration;

use larder_engine::{
    Engine,
    serve::{ServeConfig, Server},
};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7379".into());
    let server = Server::start(Engine::new(), ServeConfig::new().bind(address)).await?;
    println!("ready {}", server.local_addr().expect("a TCP address was given"));
    tokio::signal::ctrl_c().await?;
    server.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
