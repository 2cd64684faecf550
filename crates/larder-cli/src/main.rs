//! The `larder` command: a tour, a server, and the tools that operate a live cache.
//!
//! Exit code 0 means success, 1 failure, 2 wrong usage, 130 interrupted by Ctrl-C, 143 by SIGTERM.
//! One command is one file under `cmd/` and one line in its table.

mod behind;
mod cmd;
mod context;
mod exact;
mod failure;
mod flags;
mod lines;
mod own_keys;
mod progress;
mod reply;
mod shown;
mod signals;
mod ui;

use std::process::ExitCode;

use clap::Parser;

use crate::{context::Context, failure::Failure, signals::Interrupted, ui::Ui};

/// Larder: a typed two-tier cache over Redis, Valkey or an engine in process.
#[derive(Debug, Parser)]
#[command(
    name = "larder",
    version,
    disable_help_subcommand = true,
    after_help = "Begin with `larder demo`, which needs nothing installed; `larder COMMAND --help` explains each.\n\
        Exit codes: 0 success, 1 failure, 2 wrong usage, 130 Ctrl-C, 143 SIGTERM."
)]
struct Cli {
    /// Print one JSON document instead of text.
    #[arg(long, global = true, display_order = 1_000)]
    json: bool,
    #[command(subcommand)]
    command: cmd::Command,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refused(&error),
    };
    let ui = Ui::new(cli.json);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return ui.fail(&Failure::from(error)),
    };
    let ended = runtime.block_on(run(cli.command, &ui));
    // A thread may still sit in a read of stdin, which nothing can end but the end of the process.
    runtime.shutdown_background();
    match ended {
        Ok(done) => match done.and_then(|()| ui.finish()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => ui.fail(&failure),
        },
        Err(interrupted) => interrupted.exit_code(),
    }
}

/// What clap says of the command line: help, which is no failure, or what is wrong with it; under `--json` as the document
/// too.
fn refused(error: &clap::Error) -> ExitCode {
    let is_json = std::env::args_os().any(|word| word == "--json");
    if is_json && error.use_stderr() {
        let text = error.render().to_string();
        let (what, rest) = text.split_once('\n').unwrap_or((&text, ""));
        let what = what.strip_prefix("error: ").unwrap_or(what);
        Ui::new(true).document(&serde_json::json!({ "error": [what], "hint": rest.trim() }));
    }
    // Nobody is left to tell if it cannot be printed.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Runs `command` until it ends or a signal does: whatever it holds (a temporary folder) is dropped before return.
async fn run(command: cmd::Command, ui: &Ui) -> Result<Result<(), Failure>, Interrupted> {
    // Listening starts first, so that no moment is left in which Ctrl-C would skip the cleaning up.
    let mut signals = match signals::Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return Ok(Err(Failure::from(error))),
    };
    let context = Context::new(ui.clone());
    let mut work = std::pin::pin!(command.run(&context));
    let interrupted = tokio::select! {
        ended = &mut work => return Ok(ended),
        signal = signals.next() => signal,
    };
    let Some(tidy) = context.stop() else {
        return Err(interrupted);
    };
    tokio::select! {
        ended = &mut work => match ended {
            Err(failure) if failure.is_interrupted => Err(interrupted),
            ended => Ok(ended),
        },
        () = context.clock.sleep(tidy) => Err(interrupted),
        second = signals.next() => Err(second),
    }
}
