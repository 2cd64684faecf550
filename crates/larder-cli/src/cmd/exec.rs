//! `larder exec`: one command on a store.

use redis::{Cmd, ErrorKind, Value, aio::ConnectionLike};

use crate::{
    context::Context,
    failure::{Failure, Outcome},
    flags::LiveStore,
    reply,
};

/// Run one Redis command and print its reply as redis-cli does.
///
/// On a terminal types are told apart; into a pipe go the values alone. An error reply makes the exit code 1.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    store: LiveStore,
    /// The command and its arguments.
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "CMD ARG"
    )]
    command: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Outcome {
    let store = args.store.open().await?;
    let mut connection = store.dedicated().await?;
    let command = command(&args.command);
    let reply = connection
        .req_packed_command(&command)
        .await
        .and_then(Value::extract_error);
    match reply {
        Ok(reply) => print(&reply, context),
        Err(error) => return Err(Failure::new(reply::error_text(&error))),
    }
    Ok(())
}

/// The command of these words.
pub(super) fn command<W: redis::ToRedisArgs>(words: &[W]) -> Cmd {
    let mut command = Cmd::new();
    for word in words {
        command.arg(word);
    }
    command
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

/// Whether the connection itself failed, so that no further command can succeed on it.
pub(super) fn is_broken(error: &redis::RedisError) -> bool {
    error.is_unrecoverable_error() || error.kind() == ErrorKind::Io
}
