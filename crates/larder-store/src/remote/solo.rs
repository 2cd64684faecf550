//! A connection of one's own: for a dedicated handle, or for a subscription.

use std::{sync::Arc, time::Duration};

use larder_base::Tasks;
use redis::{
    Pipeline, PushInfo, PushKind, Value,
    aio::{AsyncPushSender, MultiplexedConnection, SendError},
};

use super::{
    connect::{self, Cause, Setup},
    link::Life,
};
use crate::{
    Resp, StoreConfig, StoreError,
    figures::{Figures, Own},
    listen::Listeners,
};

/// A connection that nobody else uses. Dropping it closes the socket.
#[derive(Debug)]
pub(crate) struct Solo {
    pub(super) conn: MultiplexedConnection,
    life: Arc<Life>,
    /// When it was opened, on the store's clock.
    pub(super) opened: Duration,
    /// Ends the connection's own task with the connection.
    _tasks: Tasks,
    _counted: Own,
}

impl Solo {
    /// Opens one, trying as often as the retry policy says; `pushed` hears what the server sends unasked.
    ///
    /// # Cancel safety
    /// Dropping the future closes the socket.
    pub(super) async fn open(
        config: &StoreConfig,
        pushed: impl Fn(PushInfo) + Clone + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        let mut failures = 0;
        loop {
            match Self::attempt(config, pushed.clone()).await {
                Ok(solo) => return Ok(solo),
                Err(source) => {
                    failures += 1;
                    if failures >= config.retry.max_attempts {
                        return Err(StoreError::Connect {
                            address: config.address(),
                            attempts: failures,
                            source,
                        });
                    }
                }
            }
            config.clock.sleep(config.retry.pause(failures, &config.random)).await;
        }
    }

    async fn attempt(config: &StoreConfig, pushed: impl Fn(PushInfo) + Send + Sync + 'static) -> Result<Self, Cause> {
        let limit = config.connect_timeout;
        let connecting = Self::connect(config, pushed);
        let outcome = config.clock.timeout(limit, connecting).await;
        outcome.unwrap_or_else(|| Err(connect::too_slow(limit)))
    }

    async fn connect(config: &StoreConfig, pushed: impl Fn(PushInfo) + Send + Sync + 'static) -> Result<Self, Cause> {
        let tasks = Tasks::new();
        // Nobody listens for invalidations here.
        let life = Life::new(Listeners::new(0), 0);
        let pushes = (config.resp == Resp::V3).then(|| Pushes {
            life: life.clone(),
            pushed,
        });
        let setup = Setup {
            config,
            pushes,
            load: None,
            life: &life,
            tasks: &tasks,
        };
        let mut conn = setup.open().await?;
        if let Some(name) = &config.client_name {
            connect::name(&mut conn, name).await?;
        }
        Ok(Self {
            conn,
            life,
            opened: config.clock.monotonic(),
            _tasks: tasks,
            _counted: Figures::of(&config.address()).own(),
        })
    }

    /// Whether the server is still at the other end, as far as is known.
    pub(super) fn is_up(&self) -> bool {
        !self.life.is_over()
    }

    /// Returns when the connection ends.
    pub(super) async fn over(&self) {
        self.life.over.cancelled().await;
    }

    /// Undoes what commands may have changed: transaction, watches, database, name, protocol. `false` if the server does
    /// not go along; then the connection is of no more use.
    pub(super) async fn reset(&mut self, config: &StoreConfig) -> bool {
        let pipe = reset_commands(config);
        let replies = self.conn.send_packed_commands(&pipe, 0, pipe.len());
        match config.clock.timeout(config.command_deadline(), replies).await {
            Some(Ok(replies)) => !replies.iter().any(|reply| matches!(reply, Value::ServerError(_))),
            _ => false,
        }
    }
}

/// `RESET` logs out and goes back to RESP2 and database 0, so the greeting follows once more.
fn reset_commands(config: &StoreConfig) -> Pipeline {
    let mut pipe = redis::pipe();
    pipe.cmd("RESET");
    let user = config.username.as_deref().unwrap_or("default");
    match (config.resp, &config.password) {
        (Resp::V3, Some(password)) => _ = pipe.cmd("HELLO").arg(3).arg("AUTH").arg(user).arg(password.expose()),
        (Resp::V3, None) => _ = pipe.cmd("HELLO").arg(3),
        (Resp::V2, Some(password)) => {
            pipe.cmd("AUTH");
            if let Some(user) = &config.username {
                pipe.arg(user);
            }
            pipe.arg(password.expose());
        }
        (Resp::V2, None) => {}
    }
    if config.db != 0 {
        pipe.cmd("SELECT").arg(config.db);
    }
    if let Some(name) = &config.client_name {
        pipe.cmd("CLIENT").arg("SETNAME").arg(name);
    }
    pipe
}

/// Takes the pushes of such a connection, in the task that reads it.
struct Pushes<F> {
    life: Arc<Life>,
    pushed: F,
}

impl<F: Fn(PushInfo) + Send + Sync + 'static> AsyncPushSender for Pushes<F> {
    fn send(&self, push: PushInfo) -> Result<(), SendError> {
        match push.kind {
            PushKind::Disconnection => self.life.end(),
            _ => (self.pushed)(push),
        }
        Ok(())
    }
}
