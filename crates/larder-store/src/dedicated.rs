//! A connection of one's own, for commands that block or change the session.

use std::{fmt, sync::Arc, time::Duration};

use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value, aio::ConnectionLike};

#[cfg(feature = "embedded")]
use crate::embedded::Embedded;
use crate::{
    Store, StoreConfig, StoreError,
    command::{self, Wait},
    refuse,
    remote::Loan,
};
#[cfg(feature = "embedded")]
use larder_engine::Receipt;

/// A connection that nobody else uses: for `BLPOP` and its kin, `WATCH` and `MULTI` by hand, `SELECT`.
///
/// It comes from a pool of at most [`pool_size`](StoreConfig::pool_size) connections and goes back on drop; whatever was
/// changed on it is undone before the next user gets it. Commands are not retried here, for what was set up before them may
/// be gone with the connection.
///
/// # Deadlines
/// A command that waits by its own words (`BLPOP key 30`) may take that long and the command deadline on top; one that waits
/// for ever (`BLPOP key 0`) has no deadline.
///
/// # Cancel safety
/// Dropping the future of a command and then the handle closes the connection, so that a `BLPOP` nobody waits for pops
/// nothing. After a dropped future every further command is [`StoreError::Abandoned`].
///
/// ```
/// use larder_store::{Store, redis::{self, AsyncCommands}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Store::open("embedded:").await?;
/// let mut own = store.dedicated().await?;
/// redis::cmd("SELECT").arg(1).exec_async(&mut own).await?;
/// let _: () = own.set("k", "in database 1").await?;
/// let elsewhere: Option<String> = store.clone().get("k").await?;
/// assert_eq!(elsewhere, None);
/// # Ok(())
/// # }
/// ```
pub struct Dedicated {
    conn: Conn,
    config: StoreConfig,
}

enum Conn {
    #[cfg(feature = "embedded")]
    Embedded(Embedded),
    Remote(Loan),
}

impl fmt::Debug for Dedicated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dedicated").field(&self.config.to_string()).finish()
    }
}

impl Dedicated {
    #[cfg(feature = "embedded")]
    pub(crate) fn embedded(conn: Embedded, config: &StoreConfig) -> Self {
        Self {
            conn: Conn::Embedded(conn),
            config: config.clone(),
        }
    }

    pub(crate) fn remote(loan: Loan, config: &StoreConfig) -> Self {
        Self {
            conn: Conn::Remote(loan),
            config: config.clone(),
        }
    }

    async fn execute(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        refuse::check_dedicated(cmd)?;
        match &mut self.conn {
            #[cfg(feature = "embedded")]
            Conn::Embedded(embedded) => {
                let mut receipt = Receipt::default();
                let answer = if Wait::of(cmd).may_wait() {
                    embedded.command_waiting(cmd, &mut receipt).await
                } else {
                    embedded.command(cmd, &mut receipt)
                };
                embedded.settled(receipt, || command::label(cmd).into()).await?;
                Ok(answer)
            }
            Conn::Remote(loan) => {
                let limit = limit(Wait::of(cmd), &self.config);
                let label = || command::label(cmd);
                loan.dirty |= refuse::changes_session(cmd);
                carry(loan, &self.config, limit, label, async |conn| {
                    conn.send_packed_command(cmd).await
                })
                .await
            }
        }
    }

    async fn execute_all(&mut self, pipeline: &Pipeline, offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        pipeline.cmd_iter().try_for_each(refuse::check_dedicated)?;
        match &mut self.conn {
            #[cfg(feature = "embedded")]
            Conn::Embedded(embedded) => {
                let mut receipt = Receipt::default();
                let waits = pipeline.cmd_iter().any(|cmd| Wait::of(cmd).may_wait());
                // In a transaction nobody waits.
                let answers = if waits && !pipeline.is_transaction() {
                    Ok(embedded.commands_waiting(pipeline, offset, count, &mut receipt).await)
                } else {
                    embedded.commands(pipeline, offset, count, &mut receipt)
                };
                embedded.settled(receipt, || "pipeline".into()).await?;
                answers
            }
            Conn::Remote(loan) => {
                let wait = pipeline.cmd_iter().map(Wait::of).fold(Wait::None, Wait::then);
                let limit = limit(wait, &self.config);
                let label = || Arc::from("a pipeline");
                loan.dirty |= pipeline.cmd_iter().any(refuse::changes_session);
                carry(loan, &self.config, limit, label, async |conn| {
                    conn.send_packed_commands(pipeline, offset, count).await
                })
                .await
            }
        }
    }
}

/// How long to wait for an answer; `None` is for ever.
fn limit(wait: Wait, config: &StoreConfig) -> Option<Duration> {
    match wait {
        Wait::None => Some(config.command_deadline()),
        Wait::Span(span) => Some(span.saturating_add(config.command_deadline())),
        Wait::Forever => None,
    }
}

/// Sends over a connection on loan. It stays marked as in flight unless an answer came.
async fn carry<T>(
    loan: &mut Loan,
    config: &StoreConfig,
    limit: Option<Duration>,
    label: impl Fn() -> Arc<str>,
    send: impl AsyncFnOnce(&mut redis::aio::MultiplexedConnection) -> RedisResult<T>,
) -> RedisResult<T> {
    if std::mem::replace(&mut loan.in_flight, true) {
        return Err(StoreError::Abandoned {
            address: config.address(),
        }
        .into());
    }
    let answer = send(loan.conn());
    let outcome = match limit {
        Some(limit) => config.clock.timeout(limit, answer).await,
        None => Some(answer.await),
    };
    let address = config.address();
    match outcome {
        Some(Ok(answer)) => {
            loan.in_flight = false;
            Ok(answer)
        }
        Some(Err(error)) if error.is_unrecoverable_error() => Err(StoreError::Lost {
            address,
            command: label(),
        }
        .into()),
        Some(Err(error)) => {
            loan.in_flight = false;
            Err(error)
        }
        None => Err(StoreError::Timeout {
            address,
            command: label(),
            waited: limit.unwrap_or_default(),
            sent: true,
        }
        .into()),
    }
}

impl ConnectionLike for Dedicated {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(self.execute(cmd))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(self.execute_all(pipeline, offset, count))
    }

    /// The database selected at first; `SELECT` is not followed.
    fn get_db(&self) -> i64 {
        i64::from(self.config.db)
    }
}

impl Store {
    /// Takes a connection of one's own from the pool, opening one if none is idle.
    ///
    /// # Errors
    /// [`StoreError::PoolTimeout`] if all are in use for longer than `pool_timeout`; [`StoreError::Connect`] if none can be
    /// opened.
    ///
    /// # Cancel safety
    /// Dropping the future takes nothing.
    pub async fn dedicated(&self) -> Result<Dedicated, StoreError> {
        self.take_dedicated().await
    }
}
