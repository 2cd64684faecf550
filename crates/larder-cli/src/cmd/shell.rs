//! `larder shell`: command after command on one connection.

use std::io::IsTerminal as _;

use larder_engine::serve::split_line;

use super::exec::{ask, error_text, is_broken, print};
use crate::{
    context::Context,
    failure::{Failure, Outcome},
    flags::LiveStore,
    lines::Lines,
};

/// Run Redis commands as they are typed, on one connection: SELECT, MULTI and WATCH work as in redis-cli.
///
/// `exit`, `quit` or the end of input ends it. A line that fails is reported and the next one is read.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    store: LiveStore,
}

pub(crate) async fn run(args: Args, context: &Context) -> Outcome {
    if context.ui.is_json() {
        return Err(
            Failure::usage("a shell prints many replies, not one JSON document").hint("use `larder exec --json`")
        );
    }
    let store = args.store.open().await?;
    let mut connection = store.dedicated().await?;
    let is_asked = std::io::stdin().is_terminal() && context.ui.is_terminal();
    let mut lines = Lines::of_stdin()?;
    loop {
        if is_asked {
            context.ui.text(format_args!("{}> ", store.url()));
        }
        let Some(line) = lines.next().await? else {
            return Ok(());
        };
        let Some(words) = split_line(&line) else {
            context.ui.line("(error) unbalanced quotes");
            continue;
        };
        match words.first().map(|word| word.to_ascii_lowercase()).as_deref() {
            None => continue,
            Some(b"exit" | b"quit") => return Ok(()),
            Some(_) => {}
        }
        match ask(&mut connection, &words).await {
            Ok(reply) => print(&reply, context),
            Err(error) if is_broken(&error) => return Err(error.into()),
            Err(error) => context.ui.line(format_args!("(error) {}", error_text(&error))),
        }
    }
}
