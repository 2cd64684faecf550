//! Where a store's connections come from, if not from sockets: for tests that imagine a network.
//!
//! Everything else stays as it is: the whole client, its reconnection, its heartbeats and its deadlines, on bytes that
//! travel as the test decides and on the clock that it moves.

use std::{fmt, future::Future, io, pin::Pin, sync::Arc};

use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes both ways: what a socket is to a connection.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// What [`Dial::dial`] answers with, when it has taken its time.
pub type Dialing<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn ByteStream>>> + Send + 'a>>;

/// Makes connections to a server, in the place of sockets.
pub trait Dial: Send + Sync + fmt::Debug {
    /// A new connection. It is dropped when the client gives it up.
    ///
    /// # Errors
    /// Whatever a connection attempt may fail with: the store tries again as it does with a socket.
    fn dial(&self) -> Dialing<'_>;
}

/// A dialer among the settings of a store.
pub(crate) type Dialer = Arc<dyn Dial>;
