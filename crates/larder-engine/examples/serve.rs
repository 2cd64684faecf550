//! Any Redis client talks to a served engine: here, one that speaks the protocol by hand.
//!
//! `cargo run -p larder-engine --example serve`

use std::time::Duration;

use larder_engine::{
    Engine,
    serve::{ServeConfig, Server},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let server = Server::start(Engine::new(), ServeConfig::new().bind("127.0.0.1:0")).await?;
    let address = server.local_addr().expect("a TCP address was given");
    println!("ready {address}");

    let mut client = TcpStream::connect(address).await?;
    client
        .write_all(b"SET greeting hello\r\nGET greeting\r\nQUIT\r\n")
        .await?;
    let mut replies = String::new();
    client.read_to_string(&mut replies).await?;
    assert_eq!(replies, "+OK\r\n$5\r\nhello\r\n+OK\r\n");
    println!("three commands, three replies: {replies:?}");

    server.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
