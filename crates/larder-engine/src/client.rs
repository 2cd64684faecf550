//! What the engine knows of each client.

use std::sync::Arc;

use crate::{Reply, tracking::TrackingMode};

/// Identifies a client for as long as the engine lives; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// The protocol version a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resp {
    /// RESP2, which every client starts with.
    #[default]
    V2,
    /// RESP3, after `HELLO 3`.
    V3,
}

/// Where a client receives what it did not ask for: invalidations and messages.
///
/// It is called under the engine's lock, in the very call that changed the key, so an invalidation is applied
/// before the change is acknowledged. It must be short, must not block and must not call the engine.
pub trait PushSink: Send + Sync {
    /// Takes one push. `false` says that this client cannot take any more and is to be closed.
    fn push(&self, message: Reply) -> bool;
}

/// A client's state. All clients live in the engine's core, because others reach them: `CLIENT KILL`, `PUBLISH`.
pub(crate) struct Client {
    pub(crate) id: ClientId,
    pub(crate) db: usize,
    pub(crate) resp: Resp,
    pub(crate) name: Vec<u8>,
    pub(crate) tracking: Option<TrackingMode>,
    pub(crate) sink: Option<Arc<dyn PushSink>>,
    /// Set by `CLIENT KILL`, by a full output buffer, by `QUIT`: the server closes the connection, a session
    /// answers every further command with an error.
    pub(crate) closing: bool,
}

impl Client {
    pub(crate) fn new(id: ClientId, sink: Option<Arc<dyn PushSink>>) -> Self {
        Self {
            id,
            db: 0,
            resp: Resp::V2,
            name: Vec::new(),
            tracking: None,
            sink,
            closing: false,
        }
    }

    /// Hands a push on; a sink that is full closes the client.
    pub(crate) fn push(&mut self, message: Reply) {
        let taken = self.sink.as_ref().is_none_or(|sink| sink.push(message));
        self.closing |= !taken;
    }
}
