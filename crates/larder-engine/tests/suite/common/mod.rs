//! A served engine and a bare connection that shows every byte.

#![allow(unreachable_pub, dead_code, reason = "each test file uses a part of it")]

use std::time::Duration;

use larder_engine::{
    Engine,
    serve::{ServeConfig, Server},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// For what should take no time at all, on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Serves `engine` on a free port.
pub async fn serve(engine: &Engine, config: ServeConfig) -> (Server, u16) {
    let server = Server::start(engine.clone(), config.bind("127.0.0.1:0"))
        .await
        .expect("a free loopback port can be listened on");
    let port = server.local_addr().expect("a TCP address was given").port();
    (server, port)
}

/// One raw connection.
pub struct Raw {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Raw {
    pub async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a server listens");
        stream.set_nodelay(true).expect("a TCP socket takes this option");
        Self {
            stream,
            received: Vec::new(),
        }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        timeout(PATIENCE, self.stream.write_all(bytes.as_ref()))
            .await
            .expect("the server reads")
            .expect("the connection stands");
    }

    /// Reads until what was not yet returned ends with `end`; returns it.
    pub async fn until(&mut self, end: &str) -> String {
        while !self.received.ends_with(end.as_bytes()) {
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.received)).await;
            let shown = || self.received.escape_ascii().to_string();
            match read {
                Ok(Ok(0)) => panic!("closed after `{}`, before `{end}`", shown()),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => panic!("{error} after `{}`", shown()),
                Err(_) => panic!("nothing more after `{}`, waiting for `{end}`", shown()),
            }
        }
        String::from_utf8_lossy(&std::mem::take(&mut self.received)).into_owned()
    }

    /// Sends a line and returns all that is answered up to the answer of a `PING` behind it.
    pub async fn ask(&mut self, line: &str) -> String {
        const END: &str = "$8\r\nsentinel\r\n";
        self.send(format!("{line}\r\nPING sentinel\r\n")).await;
        let answer = self.until(END).await;
        answer.trim_end_matches(END).to_owned()
    }

    /// Reads to the end of the stream. A reset ends it too.
    pub async fn read_to_end(&mut self) -> String {
        loop {
            match timeout(PATIENCE, self.stream.read_buf(&mut self.received)).await {
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(_)) => {}
                Err(_) => panic!("the server should have closed this connection"),
            }
        }
        String::from_utf8_lossy(&std::mem::take(&mut self.received)).into_owned()
    }
}
