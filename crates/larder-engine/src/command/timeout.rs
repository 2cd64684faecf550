//! How long a command may wait for what is not there.

use std::time::Duration;

use crate::{
    ErrorReply,
    command::Args,
    number::{LongDouble, read},
};

/// Argument `i` as seconds, to the millisecond above; none for ever, which is written 0.
pub(in crate::command) fn seconds(args: &Args<'_>, i: usize) -> Result<Option<Duration>, ErrorReply> {
    let text = args.bytes(i);
    let number = LongDouble::parse(text).and_then(|_| read(text));
    let millis = (number.ok_or(ErrorReply::TIMEOUT_NOT_FLOAT)? * 1e3).ceil();
    if millis >= i64::MAX as f64 {
        // What Redis makes of it: the conversion to an integer overflows.
        return Err(ErrorReply::TIMEOUT_NEGATIVE);
    }
    span(millis as i64)
}

/// Argument `i` as milliseconds; none for ever, which is written 0.
pub(in crate::command) fn millis(args: &Args<'_>, i: usize) -> Result<Option<Duration>, ErrorReply> {
    span(args.int(i).map_err(|_| ErrorReply::TIMEOUT_NOT_INTEGER)?)
}

fn span(millis: i64) -> Result<Option<Duration>, ErrorReply> {
    match millis {
        ..0 => Err(ErrorReply::TIMEOUT_NEGATIVE),
        0 => Ok(None),
        _ => Ok(Some(Duration::from_millis(millis.unsigned_abs()))),
    }
}
