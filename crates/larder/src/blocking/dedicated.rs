//! A connection of one's own.

use std::fmt;

use crate::redis::{self, Cmd, RedisResult, Value, aio::ConnectionLike as _};

use super::{on::On, packed};

/// [`Dedicated`](larder_store::Dedicated), blocking: for `BLPOP` and its kin, `WATCH`, `MULTI` by hand, `SELECT`. It goes back to
/// the pool on drop.
pub struct Dedicated {
    pub(super) on: On<larder_store::Dedicated>,
}

impl fmt::Debug for Dedicated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.on, f)
    }
}

impl redis::ConnectionLike for Dedicated {
    fn req_packed_command(&mut self, cmd: &[u8]) -> RedisResult<Value> {
        self.req_command(&packed::command(cmd)?)
    }

    fn req_packed_commands(&mut self, cmd: &[u8], offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        let pipeline = packed::pipeline(cmd, offset)?;
        self.on
            .wait_mut(|own| own.req_packed_commands(&pipeline, offset, count))
    }

    fn req_command(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        self.on.wait_mut(|own| own.req_packed_command(cmd))
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
