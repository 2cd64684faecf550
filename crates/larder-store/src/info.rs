//! Reading the text of `INFO`.

use std::sync::Arc;

use redis::Value;

/// The value of `name:value`.
pub(crate) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

/// The text of a reply; empty for an error, as a user without the right to `INFO` gets.
pub(crate) fn text(reply: Value) -> String {
    match reply {
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => text,
        Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        _ => String::new(),
    }
}

/// Which run of which server a connection leads to. Another one means that what was acknowledged may be gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Generation {
    /// Drawn at each start of the server; empty if it does not tell.
    pub run_id: Arc<str>,
    /// Drawn at each promotion of a replica; empty if it does not tell.
    pub replication_id: Arc<str>,
}

impl Generation {
    pub(crate) fn parse(info: &str) -> Self {
        Self {
            run_id: field(info, "run_id").unwrap_or_default().into(),
            replication_id: field(info, "master_replid").unwrap_or_default().into(),
        }
    }
}
