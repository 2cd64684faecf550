//! Serving an engine to other processes: RESP2 and RESP3 over TCP and Unix sockets.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! use std::time::Duration;
//! use larder_engine::{Engine, serve::{ServeConfig, Server}};
//!
//! let server = Server::start(Engine::new(), ServeConfig::new().bind("127.0.0.1:0")).await?;
//! println!("ready {}", server.local_addr().expect("a TCP address was given"));
//! assert!(server.shutdown(Duration::from_secs(5)).await);
//! # Ok(())
//! # }
//! ```
//!
//! Each connection is one task. The commands of one read run under one lock of the engine and their replies leave
//! with one write, so a pipeline costs little more than its commands.

mod config;
mod connection;
mod decode;
mod encode;
mod listen;
mod outbox;
mod output;
mod server;

pub use config::ServeConfig;
pub use decode::split_line;
pub use listen::ListenError;
pub use server::Server;
