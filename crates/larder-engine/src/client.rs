//! What the engine knows of each client.

use std::{sync::Arc, time::Duration};

use crate::{Reply, pubsub::Subscriptions, tracking::TrackingMode, transaction::Transaction, wait::Wait};

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

    /// The engine has closed this client (`CLIENT KILL`, `QUIT`): nothing more will come, and every further
    /// command of it fails.
    fn close(&self) {}
}

/// Where a client's connection leads; empty for a session in process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The client's end, as `CLIENT LIST` shows it: `127.0.0.1:40000` or `/path:0`.
    pub(crate) addr: String,
    /// The server's end.
    pub(crate) laddr: String,
}

/// Which replies a client wants: `CLIENT REPLY`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ReplyMode {
    #[default]
    On,
    Off,
    /// Set by `CLIENT REPLY SKIP`: the next command gets no reply.
    SkipNext,
    /// The command now running gets no reply, the one after it does.
    Skip,
}

/// A client's state. All clients live in the engine's core, because others reach them: `CLIENT KILL`, `PUBLISH`.
pub(crate) struct Client {
    pub(crate) id: ClientId,
    pub(crate) db: usize,
    pub(crate) resp: Resp,
    pub(crate) name: Vec<u8>,
    pub(crate) tracking: Option<TrackingMode>,
    pub(crate) transaction: Transaction,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) wait: Wait,
    pub(crate) sink: Option<Arc<dyn PushSink>>,
    /// Set by `CLIENT KILL`, by a full output buffer, by `QUIT`: the server closes the connection, a session
    /// answers every further command with an error.
    pub(crate) closing: bool,
    /// Whether it may run commands: it gave the password, or there was none when it connected.
    pub(crate) authenticated: bool,
    pub(crate) peer: Peer,
    /// Unix time.
    pub(crate) connected_at: Duration,
    /// Unix time of the last command.
    pub(crate) active_at: Duration,
    /// In capitals, with its subcommand: `CLIENT|LIST`.
    pub(crate) last_command: Option<&'static str>,
    pub(crate) reply_mode: ReplyMode,
    /// `CLIENT NO-EVICT`: kept for `CLIENT LIST`; clients are never evicted here.
    pub(crate) no_evict: bool,
    /// `CLIENT NO-TOUCH`: its commands do not make keys look recently used.
    pub(crate) no_touch: bool,
    /// `CLIENT SETINFO LIB-NAME` and `LIB-VER`.
    pub(crate) library: (Vec<u8>, Vec<u8>),
}

impl Client {
    pub(crate) fn new(id: ClientId, sink: Option<Arc<dyn PushSink>>, now: Duration) -> Self {
        Self {
            id,
            db: 0,
            resp: Resp::V2,
            name: Vec::new(),
            tracking: None,
            transaction: Transaction::default(),
            subscriptions: Subscriptions::default(),
            wait: Wait::default(),
            sink,
            closing: false,
            authenticated: true,
            peer: Peer::default(),
            connected_at: now,
            active_at: now,
            last_command: None,
            reply_mode: ReplyMode::On,
            no_evict: false,
            no_touch: false,
            library: (Vec::new(), Vec::new()),
        }
    }

    /// Hands a push on; a sink that is full closes the client.
    pub(crate) fn push(&mut self, message: Reply) {
        if self.closing {
            return;
        }
        let taken = self.sink.as_ref().is_none_or(|sink| sink.push(message));
        if !taken {
            self.close();
        }
    }

    /// Ends the client: the connection is closed after what was already answered is written.
    pub(crate) fn close(&mut self) {
        self.closing = true;
        if let Some(sink) = &self.sink {
            sink.close();
        }
        self.wait.bell.notify_one();
    }

    /// Whether it subscribed to anything, which in RESP2 leaves it only the commands about subscribing.
    pub(crate) fn is_subscriber(&self) -> bool {
        self.subscriptions.count() > 0
    }
}
