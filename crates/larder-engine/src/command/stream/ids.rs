//! Ids among the arguments.

use crate::{ErrorReply, command::Args, value::StreamId};

/// Argument `i` as `<ms>` or `<ms>-<seq>`; the first of its millisecond if the second part is missing.
pub(super) fn id(args: &Args<'_>, i: usize) -> Result<StreamId, ErrorReply> {
    StreamId::parse(args.bytes(i), 0).ok_or(ErrorReply::STREAM_ID)
}

/// Argument `i` as the start of a range, an id or `(id` or `-`.
pub(super) fn start(args: &Args<'_>, i: usize) -> Result<StreamId, ErrorReply> {
    let (id, is_open) = bound(args.bytes(i), 0)?;
    if is_open {
        id.next().ok_or(ErrorReply::INTERVAL_START)
    } else {
        Ok(id)
    }
}

/// Argument `i` as the end of a range, an id or `(id` or `+`; the last of its millisecond if the second part is
/// missing.
pub(super) fn end(args: &Args<'_>, i: usize) -> Result<StreamId, ErrorReply> {
    let (id, is_open) = bound(args.bytes(i), u64::MAX)?;
    if is_open {
        id.previous().ok_or(ErrorReply::INTERVAL_END)
    } else {
        Ok(id)
    }
}

/// An id, and whether the range stops short of it.
fn bound(text: &[u8], seq_missing: u64) -> Result<(StreamId, bool), ErrorReply> {
    let (id, is_open) = match text {
        [b'(', rest @ ..] if !rest.is_empty() => (StreamId::parse(rest, seq_missing), true),
        text => (StreamId::parse_open(text, seq_missing), false),
    };
    id.map(|id| (id, is_open)).ok_or(ErrorReply::STREAM_ID)
}
