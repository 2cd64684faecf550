//! The connection on which keys are watched, from the `WATCH` to the `EXEC`.

use std::{error::Error, fmt, io};

use larder_store::{Dedicated, StoreError};
use redis::{
    Cmd, FromRedisValue, Pipeline, RedisError, RedisFuture, RedisResult, ToRedisArgs, Value, aio::ConnectionLike,
};

use super::{
    attempt::{Attempt, End},
    error::TransactionError,
};
use crate::mutant::{self, Mutant};

/// A connection of one's own on which keys are watched: read on it what is decided by, then [`commit`](Self::commit).
///
/// Every command of the `redis` crate works on it ([`redis::AsyncCommands`]), but those that would end the watch unseen:
/// `EXEC`, `DISCARD`, `UNWATCH`, `MULTI`, atomic pipelines, `SELECT`, `RESET`. Dropping it writes nothing.
#[derive(Debug)]
pub struct Watched {
    own: Dedicated,
}

impl Watched {
    /// Begins to watch `keys` on `own`.
    pub(super) async fn begin<K: ToRedisArgs>(mut own: Dedicated, keys: &[K]) -> Result<Self, TransactionError> {
        if !mutant::lives(Mutant::T1) {
            redis::cmd("WATCH").arg(keys).exec_async(&mut own).await?;
        }
        Ok(Self { own })
    }

    /// Writes: runs the commands of `pipeline` as one transaction, if nobody changed a watched key since it was watched;
    /// otherwise none of them, and the attempt is lost. `T` is what the pipeline's replies read as, such as `(i64, String)`,
    /// or `()`.
    ///
    /// A pipeline without commands writes nothing, and says whether what was read belongs together.
    ///
    /// # Errors
    /// [`TransactionError::Partly`] if it was committed and commands in it failed; [`TransactionError::Reply`] if it was
    /// committed and its replies are no `T`; [`TransactionError::EndsWatch`] for a pipeline with a command in it that would
    /// write past the watch, such as `EXEC`: nothing was sent; [`TransactionError::Store`]: nothing was written, unless the
    /// outcome is unknown.
    ///
    /// # Cancel safety
    /// It may have been committed, as a whole.
    pub async fn commit<T: FromRedisValue>(mut self, mut pipeline: Pipeline) -> Result<Attempt<T>, TransactionError> {
        pipeline.cmd_iter().try_for_each(check)?;
        pipeline.atomic();
        let mut exec = Exec {
            own: &mut self.own,
            is_committed: false,
            failed: Vec::new(),
        };
        let reply = pipeline.query_async::<Option<T>>(&mut exec).await;
        let (is_committed, mut failed) = (exec.is_committed, std::mem::take(&mut exec.failed));
        if !failed.is_empty() && !mutant::lives(Mutant::T3) {
            return Err(TransactionError::Partly {
                failed: failed.len(),
                source: failed.swap_remove(0),
            });
        }
        match reply {
            Ok(Some(value)) => Ok(Attempt(End::Committed(value))),
            Ok(None) => Ok(Attempt(End::Lost(Box::new(self.own)))),
            Err(error) if is_committed => Err(TransactionError::Reply { source: error.into() }),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends it without writing, with what is to be answered.
    pub fn leave<T>(self, value: T) -> Attempt<T> {
        Attempt(End::Left(value))
    }
}

/// Runs a transaction, and keeps whether it was committed, and what commands in it answered that failed: the crate shows
/// the one and the other as an error of the whole.
struct Exec<'a> {
    own: &'a mut Dedicated,
    is_committed: bool,
    failed: Vec<StoreError>,
}

impl ConnectionLike for Exec<'_> {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        self.own.req_packed_command(cmd)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let values = self.own.req_packed_commands(pipeline, offset, count).await?;
            if let Some(Value::Array(replies)) = values.last() {
                self.is_committed = true;
                let failed = replies.iter().filter(|reply| matches!(reply, Value::ServerError(_)));
                self.failed = failed
                    .filter_map(|reply| reply.clone().extract_error().err())
                    .map(StoreError::from)
                    .collect();
            }
            Ok(values)
        })
    }

    fn get_db(&self) -> i64 {
        self.own.get_db()
    }
}

/// Commands after which nothing is watched any more, or something else.
const ENDING: &[&str] = &["EXEC", "DISCARD", "UNWATCH", "MULTI", "SELECT", "RESET", "QUIT"];

/// A refusal on its way through the `redis` crate.
#[derive(Debug)]
struct Ends(String);

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = self.0.clone();
        TransactionError::EndsWatch { command }.fmt(f)
    }
}

impl Error for Ends {}

/// The refusal in an error of the `redis` crate, if it is one.
pub(super) fn ends_watch(error: &RedisError) -> Option<TransactionError> {
    // The crate hands its cause out inside the `Arc` in which it keeps it.
    let cause = error
        .source()
        .and_then(|source| source.downcast_ref::<std::sync::Arc<dyn Error + Send + Sync>>())
        .and_then(|source| source.downcast_ref::<io::Error>())
        .and_then(io::Error::get_ref)
        .and_then(|inner| inner.downcast_ref::<Ends>())?;
    let command = cause.0.clone();
    Some(TransactionError::EndsWatch { command })
}

fn refuse(command: String) -> RedisError {
    io::Error::new(io::ErrorKind::Unsupported, Ends(command)).into()
}

fn check(cmd: &Cmd) -> RedisResult<()> {
    let Some(redis::Arg::Simple(name)) = cmd.args_iter().next() else {
        return Ok(());
    };
    match ENDING
        .iter()
        .find(|ending| ending.as_bytes().eq_ignore_ascii_case(name))
    {
        Some(ending) if !mutant::lives(Mutant::T2) => Err(refuse((*ending).to_owned())),
        _ => Ok(()),
    }
}

impl ConnectionLike for Watched {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match check(cmd) {
            Ok(()) => self.own.req_packed_command(cmd),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let checked = match pipeline.is_transaction() {
            true => Err(refuse("an atomic pipeline".to_owned())),
            false => pipeline.cmd_iter().try_for_each(check),
        };
        match checked {
            Ok(()) => self.own.req_packed_commands(pipeline, offset, count),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn get_db(&self) -> i64 {
        self.own.get_db()
    }
}
