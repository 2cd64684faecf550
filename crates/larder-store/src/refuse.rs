//! Commands that the shared handle refuses, because they would block or change what all callers share.
//!
//! On one multiplexed connection a `BLPOP` stalls everyone behind it and may lose the element it pops, a
//! `SELECT` moves everyone to another database, a `WATCH` mixes with a stranger's `EXEC`.

use redis::{Cmd, Pipeline};

use crate::{
    StoreError,
    command::{self, Wait},
};

const BLOCKS: &str = "waits on the connection that all callers share";
const SESSION: &str = "changes the connection that all callers share";
const DEDICATED: &str = "Store::dedicated()";
const SUBSCRIBE: &str = "Store::subscribe()";

/// What a command would do, and what to use in its place.
type Refusal = (&'static str, &'static str);

/// Refuses `cmd` if it may not run on the shared handle.
#[inline]
pub(crate) fn check(cmd: &Cmd) -> Result<(), StoreError> {
    match refusal(cmd) {
        None => Ok(()),
        Some((why, instead)) => Err(StoreError::Refused {
            handle: "the shared handle",
            command: command::label(cmd).to_string(),
            why,
            instead,
        }),
    }
}

/// Refuses what not even a connection of one's own can carry: without one answer per command, answers and commands fall
/// out of step.
pub(crate) fn check_dedicated(cmd: &Cmd) -> Result<(), StoreError> {
    const UNPAIRED: &str = "is not answered once, so that later answers would go to the wrong commands";
    let name = command::Name::of(cmd);
    let instead = match name.as_bytes() {
        b"SUBSCRIBE" | b"PSUBSCRIBE" | b"SSUBSCRIBE" | b"UNSUBSCRIBE" | b"PUNSUBSCRIBE" | b"SUNSUBSCRIBE" => SUBSCRIBE,
        b"CLIENT" if command::Name::nth(cmd, 1).as_bytes() == b"TRACKING" => "Store::listen()",
        b"CLIENT" if command::Name::nth(cmd, 1).as_bytes() == b"REPLY" => "a connection of the `redis` crate",
        b"MONITOR" | b"SYNC" | b"PSYNC" => "a connection of the `redis` crate",
        _ => return Ok(()),
    };
    Err(StoreError::Refused {
        handle: "a dedicated connection",
        command: command::label(cmd).to_string(),
        why: UNPAIRED,
        instead,
    })
}

/// Whether `cmd` leaves the connection other than it found it, so that it must be reset before its next use.
pub(crate) fn changes_session(cmd: &Cmd) -> bool {
    matches!(refusal(cmd), Some((SESSION, _)))
}

/// Refuses a pipeline that holds such a command. The `MULTI` and `EXEC` of an atomic pipeline are the crate's
/// own, sent in one piece, and fine.
pub(crate) fn check_all(pipeline: &Pipeline) -> Result<(), StoreError> {
    pipeline.cmd_iter().try_for_each(check)
}

fn refusal(cmd: &Cmd) -> Option<Refusal> {
    let name = command::Name::of(cmd);
    match name.as_bytes() {
        b"BLPOP" | b"BRPOP" | b"BLMOVE" | b"BRPOPLPUSH" | b"BLMPOP" | b"BZPOPMIN" | b"BZPOPMAX" | b"BZMPOP"
        | b"WAIT" | b"WAITAOF" | b"XREAD" | b"XREADGROUP" => Wait::of(cmd).may_wait().then_some((BLOCKS, DEDICATED)),
        b"SUBSCRIBE" | b"PSUBSCRIBE" | b"SSUBSCRIBE" | b"UNSUBSCRIBE" | b"PUNSUBSCRIBE" | b"SUNSUBSCRIBE" => {
            Some((SESSION, SUBSCRIBE))
        }
        b"SELECT" | b"WATCH" | b"UNWATCH" | b"MULTI" | b"EXEC" | b"DISCARD" | b"MONITOR" | b"HELLO" | b"AUTH"
        | b"RESET" | b"QUIT" | b"READONLY" | b"READWRITE" | b"ASKING" | b"SYNC" | b"PSYNC" => {
            Some((SESSION, DEDICATED))
        }
        b"CLIENT" => client(cmd),
        b"SCRIPT" => (command::Name::nth(cmd, 1).as_bytes() == b"DEBUG").then_some((SESSION, DEDICATED)),
        _ => None,
    }
}

fn client(cmd: &Cmd) -> Option<Refusal> {
    match command::Name::nth(cmd, 1).as_bytes() {
        b"TRACKING" | b"CACHING" => Some((SESSION, "Store::listen()")),
        b"SETNAME" => Some((SESSION, "StoreConfig::client_name()")),
        b"REPLY" | b"NO-EVICT" | b"NO-TOUCH" => Some((SESSION, DEDICATED)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(line: &str) -> Result<(), String> {
        let mut cmd = Cmd::new();
        line.split(' ').for_each(|arg| _ = cmd.arg(arg));
        check(&cmd).map_err(|error| error.to_string())
    }

    #[test]
    fn commands_that_block_or_change_the_session_name_what_to_use() {
        for line in [
            "BLPOP q 0",
            "brpop q 0",
            "BLMOVE a b LEFT LEFT 0",
            "BRPOPLPUSH a b 0",
            "BLMPOP 0 1 a LEFT",
            "BZPOPMIN z 0",
            "BZPOPMAX z 0",
            "BZMPOP 0 1 z MIN",
            "WAIT 1 0",
            "WAITAOF 1 0 0",
            "XREAD BLOCK 0 STREAMS s $",
            "XREADGROUP GROUP g c block 0 STREAMS s >",
            "SELECT 1",
            "WATCH k",
            "UNWATCH",
            "MULTI",
            "EXEC",
            "DISCARD",
            "MONITOR",
            "CLIENT REPLY OFF",
            "HELLO 3",
            "AUTH pw",
            "RESET",
            "QUIT",
        ] {
            let error = verdict(line).expect_err(line);
            assert!(error.contains("Store::dedicated()"), "{line}: {error}");
        }
        for line in [
            "SUBSCRIBE c",
            "PSUBSCRIBE c*",
            "SSUBSCRIBE c",
            "UNSUBSCRIBE",
            "PUNSUBSCRIBE",
            "SUNSUBSCRIBE",
        ] {
            assert!(verdict(line).unwrap_err().contains("Store::subscribe()"), "{line}");
        }
        assert!(verdict("client tracking on").unwrap_err().contains("Store::listen()"));
    }

    #[test]
    fn everything_else_passes() {
        for line in [
            "GET k",
            "XREAD STREAMS block 0",
            "CLIENT ID",
            "CLIENT KILL ID 3",
            "SCRIPT LOAD x",
            "PUBLISH c m",
        ] {
            verdict(line).expect(line);
        }
    }

    #[test]
    fn a_pipeline_is_refused_for_any_of_its_commands() {
        let mut pipe = redis::pipe();
        pipe.set("a", 1).cmd("SELECT").arg(1);
        assert!(check_all(&pipe).is_err());
        let mut atomic = redis::pipe();
        atomic.atomic().set("a", 1).incr("b", 1);
        assert!(check_all(&atomic).is_ok());
    }
}
