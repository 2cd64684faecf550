//! The connection on which keys are watched.

use std::fmt;

use crate::{
    blocking::{on::On, packed},
    redis::{self, Cmd, FromRedisValue, Pipeline, RedisResult, Value, aio::ConnectionLike as _},
    transaction::{self, Attempt, TransactionError},
};

/// [`larder::transaction::Watched`](crate::transaction::Watched), blocking: the `redis` crate's blocking commands read on it
/// what is decided by, but those that would end the watch unseen.
pub struct Watched {
    on: On<transaction::Watched>,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.on, f)
    }
}

impl Watched {
    pub(super) const fn of(on: On<transaction::Watched>) -> Self {
        Self { on }
    }

    /// Writes: runs the commands of `pipeline` as one transaction, if nobody changed a watched key since it was watched;
    /// otherwise none of them, and the attempt is lost.
    ///
    /// # Errors
    /// As [the async method](crate::transaction::Watched::commit).
    #[track_caller]
    pub fn commit<T: FromRedisValue>(self, pipeline: Pipeline) -> Result<Attempt<T>, TransactionError> {
        let (watched, runtime) = self.on.take();
        runtime.block_on(watched.commit(pipeline))
    }

    /// Ends it without writing, with what is to be answered.
    pub fn leave<T>(self, value: T) -> Attempt<T> {
        let (watched, runtime) = self.on.take();
        runtime.inside(|| watched.leave(value))
    }
}

impl redis::ConnectionLike for Watched {
    fn req_packed_command(&mut self, cmd: &[u8]) -> RedisResult<Value> {
        self.req_command(&packed::command(cmd)?)
    }

    fn req_packed_commands(&mut self, cmd: &[u8], offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        let pipeline = packed::pipeline(cmd, offset)?;
        self.on
            .wait_mut(|watched| watched.req_packed_commands(&pipeline, offset, count))
    }

    fn req_command(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        self.on.wait_mut(|watched| watched.req_packed_command(cmd))
    }

    fn get_db(&self) -> i64 {
        self.on.get_db()
    }

    fn check_connection(&mut self) -> bool {
        self.req_command(&redis::cmd("PING")).is_ok()
    }

    fn is_open(&self) -> bool {
        true
    }
}
