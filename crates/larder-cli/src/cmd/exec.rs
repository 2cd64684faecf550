//! `larder exec`: one command on a store.

use std::{ffi::OsString, os::unix::ffi::OsStrExt as _};

use larder_store::{Dedicated, StoreError};
use redis::{Cmd, ErrorKind, RedisError, RedisResult, Value, aio::ConnectionLike as _};

use crate::{
    context::Context,
    failure::{Failure, Outcome},
    flags::LiveStore,
    reply,
};

/// Run one Redis command and print its reply as redis-cli does.
///
/// On a terminal types are told apart; into a pipe go the values alone. An error reply makes the exit code 1. Flags such as
/// --store come before the command.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    store: LiveStore,
    /// The command and its arguments, such as: GET greeting.
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "CMD ARG"
    )]
    command: Vec<OsString>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Outcome {
    let store = args.store.open().await?;
    let mut connection = store.dedicated().await?;
    // Bytes, as redis-cli sends them: a key need not be UTF-8.
    let words: Vec<&[u8]> = args.command.iter().map(|word| word.as_bytes()).collect();
    match ask(&mut connection, &words).await {
        Ok(reply) => print(&reply, context),
        Err(error) => return Err(Failure::new(error_text(&error))),
    }
    Ok(())
}

/// Runs the command of these words.
///
/// An error inside a list, as `EXEC` answers it, is part of the reply: what the other commands did must be seen.
pub(super) async fn ask<W: AsRef<[u8]>>(connection: &mut Dedicated, words: &[W]) -> RedisResult<Value> {
    let mut command = Cmd::new();
    for word in words {
        command.arg(word.as_ref());
    }
    match connection.req_packed_command(&command).await? {
        Value::ServerError(error) => Err(error.into()),
        reply => Ok(reply),
    }
}

/// Prints a reply in the form that the output asks for.
pub(super) fn print(reply: &Value, context: &Context) {
    let text = if context.ui.is_terminal() {
        reply::formatted(reply)
    } else {
        reply::raw(reply)
    };
    context.ui.line(text);
    context.ui.document(&reply::as_json(reply));
}

/// What to say about an error reply, or about a command that no connection of ours can carry.
pub(super) fn error_text(error: &RedisError) -> String {
    match StoreError::from(error.clone()) {
        StoreError::Refused { command, why, .. } => {
            format!("{command} is refused: it {why}; use redis-cli for {command}")
        }
        _ => reply::error_text(error),
    }
}

/// Whether the connection itself failed, so that no further command can succeed on it.
pub(super) fn is_broken(error: &RedisError) -> bool {
    // What was refused was never sent.
    let is_refused = StoreError::from(error.clone()).is_refused();
    !is_refused && (error.is_unrecoverable_error() || error.kind() == ErrorKind::Io)
}
