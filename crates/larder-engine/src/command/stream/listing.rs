//! Entries as replies.

use crate::{Reply, value::StreamEntry};

/// An entry: its id, then its fields and values.
pub(super) fn entry(entry: StreamEntry<'_>) -> Reply {
    Reply::Array(vec![
        Reply::bulk(entry.id.to_string()),
        Reply::Array(entry.texts().map(Reply::bulk).collect()),
    ])
}

/// Entries, all of them or the first so many.
pub(super) fn entries<'a>(all: impl Iterator<Item = StreamEntry<'a>>, count: Option<usize>) -> Reply {
    Reply::Array(all.take(count.unwrap_or(usize::MAX)).map(entry).collect())
}
