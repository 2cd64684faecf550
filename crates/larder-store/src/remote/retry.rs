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

/// What follows from a server's error reply to a script or to another command.
#[inline]
pub(super) fn of_reply(error: &ServerError, script: bool) -> Verdict {
    let verdict = match error.kind() {
        Some(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown,
        ) => Verdict::NotNow,
        Some(ServerErrorKind::ReadOnly) => Verdict::Elsewhere,
        // MOVED and ASK among them: one node of a cluster answers so for slots that it does not have, and only
        // `redis+cluster://` follows.
        Some(_) => Verdict::Final,
        None if error.code() == "BUSY" => Verdict::NotNow,
        None => Verdict::Final,
    };
    // A script may answer `BUSY` in words of its own, after it has done half its work.
    if script && verdict != Verdict::Final && !is_servers_own(error) {
        return Verdict::Final;
    }
    verdict
}

/// Whether the words are those of a server that did not begin with the script, or in which a script could not write.
fn is_servers_own(error: &ServerError) -> bool {
    const WORDS: &[(&str, &str)] = &[
        ("LOADING", "Redis is loading"),
        ("LOADING", "Valkey is loading"),
        ("BUSY", "Redis is busy"),
        ("BUSY", "Valkey is busy"),
        ("TRYAGAIN", "Multiple keys request during rehashing"),
        ("CLUSTERDOWN", "Hash slot not served"),
        ("CLUSTERDOWN", "The cluster is down"),
        ("MASTERDOWN", "Link with MASTER is down"),
        ("READONLY", "You can't write against a read only"),
        ("READONLY", "Can not run script with write flag"),
    ];
    let details = error.details().unwrap_or_default();
    WORDS
        .iter()
        .any(|(code, words)| error.code() == *code && details.starts_with(words))
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

    fn verdict(text: &str, script: bool) -> Verdict {
        let Ok(Value::ServerError(error)) = redis::parse_redis_value(format!("-{text}\r\n").as_bytes()) else {
            panic!("{text} is no error")
        };
        of_reply(&error, script)
    }

    #[test]
    fn a_scripts_own_words_are_final() {
        assert_eq!(verdict("BUSY the lock is held", true), Verdict::Final);
        assert_eq!(verdict("TRYAGAIN later", true), Verdict::Final);
        assert_eq!(verdict("BUSY Redis is busy running a script.", true), Verdict::NotNow);
        assert_eq!(
            verdict("READONLY You can't write against a read only replica. script: x", true),
            Verdict::Elsewhere
        );
    }

    #[test]
    fn the_table() {
        let verdict = |text| verdict(text, false);
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
