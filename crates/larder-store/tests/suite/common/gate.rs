//! A proxy that can hold back what one connection sends while later connections pass, as a network path that is slow for
//! one flow does.

use std::sync::Arc;

use larder_base::Tasks;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// The proxy. Connections are numbered from 0 in the order in which they come.
pub(crate) struct Gate {
    port: u16,
    open: Arc<Mutex<Vec<watch::Sender<bool>>>>,
    _tasks: Tasks,
}

impl Gate {
    pub(crate) async fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (open, tasks) = (Arc::new(Mutex::new(Vec::new())), Tasks::new());
        let (gates, inner) = (open.clone(), Tasks::new());
        tasks.spawn("gate", async move {
            while let Ok((client, _)) = listener.accept().await {
                let (gate, passing) = watch::channel(true);
                gates.lock().push(gate);
                let server = TcpStream::connect(("127.0.0.1", upstream))
                    .await
                    .expect("the server is up");
                inner.spawn("gated connection", carry(client, server, passing));
            }
        });
        Self {
            port,
            open,
            _tasks: tasks,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// How many connections came so far.
    pub(crate) fn connections(&self) -> usize {
        self.open.lock().len()
    }

    /// Lets what connection `n` sends pass, or holds it back; its replies always pass.
    pub(crate) fn set(&self, n: usize, open: bool) {
        self.open.lock()[n].send_replace(open);
    }
}

/// Carries one connection. What was taken from the client goes on to the server even after the client has left.
async fn carry(client: TcpStream, server: TcpStream, mut passing: watch::Receiver<bool>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = async {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = from_client.read(&mut buffer).await {
            if passing.wait_for(|open| *open).await.is_err() || to_server.write_all(&buffer[..n]).await.is_err() {
                return;
            }
        }
    };
    let replies = async { _ = tokio::io::copy(&mut from_server, &mut to_client).await };
    tokio::join!(requests, replies);
}
