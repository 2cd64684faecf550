//! What to do about a failure: a table by kind of error.

use redis::{ErrorKind, RedisError, ServerError, ServerErrorKind};

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// An answer like any other: the caller's business.
    Final,
    /// The server did not run it and may soon: wait and send again.
    NotNow,
    /// The server did not run it, and another connection may lead to one that does: a replica after a failover.
    Elsewhere,
    /// The connection broke: it may have run.
    Unknown,
}

/// What follows from a server's error reply.
#[inline]
pub(super) fn of_reply(error: &ServerError) -> Verdict {
    match error.kind() {
        Some(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown,
        ) => Verdict::NotNow,
        Some(ServerErrorKind::ReadOnly) => Verdict::Elsewhere,
        // One node of a cluster answers so for slots that it does not have; only `redis+cluster://` follows.
        Some(ServerErrorKind::Moved | ServerErrorKind::Ask) => Verdict::Final,
        Some(_) => Verdict::Final,
        None if error.code() == "BUSY" => Verdict::NotNow,
        None => Verdict::Final,
    }
}

/// What follows from an error of the connection.
pub(super) fn of_error(error: &RedisError) -> Verdict {
    match error.kind() {
        ErrorKind::Io | ErrorKind::Parse => Verdict::Unknown,
        _ => Verdict::Final,
    }
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;

    #[test]
    fn the_table() {
        let verdict = |text: &str| {
            let Ok(Value::ServerError(error)) = redis::parse_redis_value(format!("-{text}\r\n").as_bytes()) else {
                panic!("{text} is no error")
            };
            of_reply(&error)
        };
        for text in [
            "LOADING x",
            "BUSY Redis is busy",
            "TRYAGAIN x",
            "CLUSTERDOWN x",
            "MASTERDOWN x",
        ] {
            assert_eq!(verdict(text), Verdict::NotNow, "{text}");
        }
        assert_eq!(verdict("READONLY You can't write"), Verdict::Elsewhere);
        for text in [
            "ERR x",
            "OOM x",
            "NOSCRIPT x",
            "WRONGTYPE x",
            "MOVED 1 h:1",
            "ASK 1 h:1",
            "NOAUTH x",
            "BUSYKEY x",
        ] {
            assert_eq!(verdict(text), Verdict::Final, "{text}");
        }
    }
}
