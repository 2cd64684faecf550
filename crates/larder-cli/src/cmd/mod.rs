//! The commands: one file each, with its flags (`Args`, whose doc comment is the help text) and its `run`.
//!
//! A new command is a file, a `mod` line and a line in the table below.

mod bench;
mod demo;
mod dlq;
mod exec;
mod health;
mod invalidate;
mod keys;
mod serve;
mod shell;
mod sql;
mod stats;
mod verify;
mod worker;

pub(crate) use self::keys::scan;
use crate::{context::Context, failure::Outcome};

macro_rules! commands {
    ($($name:ident => $module:ident),* $(,)?) => {
        /// What `larder` was asked to do.
        #[derive(Debug, clap::Subcommand)]
        pub(crate) enum Command {
            $($name($module::Args)),*
        }

        impl Command {
            /// Runs the command that was named.
            pub(crate) async fn run(self, context: &Context) -> Outcome {
                match self {
                    // Boxed: the futures of commands are large, and only one of them ever runs.
                    $(Self::$name(args) => Box::pin($module::run(args, context)).await),*
                }
            }
        }
    };
}

commands! {
    Bench => bench,
    Demo => demo,
    Serve => serve,
    Verify => verify,
    Exec => exec,
    Health => health,
    Invalidate => invalidate,
    Keys => keys,
    Shell => shell,
    Sql => sql,
    Worker => worker,
    Dlq => dlq,
    Stats => stats,
}
