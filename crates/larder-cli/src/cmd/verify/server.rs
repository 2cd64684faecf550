//! A private server that a run may kill and stop.

use std::time::Duration;

use larder_base::Clock;
use larder_testkit::{LarderServer, OwnFolder, RedisServer};

use crate::failure::{Failure, Outcome};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    /// `redis-server` on the path, or what `LARDER_REDIS` names.
    Redis,
    /// This program's own `serve`.
    Larder,
}

pub(super) enum PrivateServer {
    Redis {
        server: RedisServer,
        is_logged: bool,
    },
    /// Its folder, where it has a log, goes with it.
    Larder {
        server: LarderServer,
        _folder: Option<OwnFolder>,
    },
}

impl PrivateServer {
    /// Starts one, with a log that is synced before each answer if `is_logged`.
    pub(super) async fn start(kind: Kind, is_logged: bool) -> Outcome<Self> {
        match kind {
            Kind::Redis => {
                let options: &[&str] = if is_logged {
                    &["--appendonly", "yes", "--appendfsync", "always"]
                } else {
                    &[]
                };
                let started = RedisServer::try_start_with(options).await;
                let failed = |error| {
                    Failure::new(format_args!("redis-server did not start: {error}"))
                        .hint("install redis-server, name one in LARDER_REDIS, or take --server larder")
                };
                let server = started.map_err(failed)?;
                Ok(Self::Redis { server, is_logged })
            }
            Kind::Larder => {
                let program = std::env::current_exe().map_err(|error| Failure::new(error).heading("own program"))?;
                let folder = is_logged.then(OwnFolder::new).transpose();
                let folder = folder.map_err(|error| Failure::new(error).heading("a folder for the log"))?;
                let options: Vec<&str> = match folder.as_ref().and_then(|folder| folder.path().to_str()) {
                    Some(folder) => vec!["--dir", folder, "--appendfsync", "always"],
                    None => Vec::new(),
                };
                let server = LarderServer::start_program(&program, &options);
                Ok(Self::Larder {
                    server,
                    _folder: folder,
                })
            }
        }
    }

    pub(super) fn url(&self) -> String {
        match self {
            Self::Redis { server, .. } => server.url(),
            Self::Larder { server, .. } => server.url(),
        }
    }

    /// `kill -9`; it comes back on its port at once, empty or with what its log has.
    pub(super) async fn kill(&mut self) {
        match self {
            Self::Redis {
                server,
                is_logged: true,
            } => server.restart_from_save().await,
            Self::Redis { server, .. } => server.restart_empty().await,
            Self::Larder { server, .. } => server.restart(),
        }
    }

    /// SIGSTOP, and SIGCONT after `span`, or when the future is dropped.
    pub(super) async fn pause(&self, clock: &Clock, span: Duration) {
        match self {
            Self::Redis { server, .. } => server.pause(),
            Self::Larder { server, .. } => server.pause(),
        }
        let _paused = Paused(self);
        clock.sleep(span).await;
    }
}

/// A server that stands still. An interrupted run removes its keys, for which the server has to go on.
struct Paused<'a>(&'a PrivateServer);

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        match self.0 {
            PrivateServer::Redis { server, .. } => server.resume(),
            PrivateServer::Larder { server, .. } => server.resume(),
        }
    }
}
