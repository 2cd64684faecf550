//! Runs the command. The only file that knows how.

use std::{
    io::Write,
    path::Path,
    process::{Child, Command, Stdio},
};

/// What came of one run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    /// The one JSON document on stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|why| panic!("stdout is one JSON document ({why}): {self:#?}"))
    }

    /// This run, if it ended with `code`.
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// This run, if stderr has each of `texts`.
    #[track_caller]
    pub(crate) fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.err.contains(text), "{text:?} is in stderr of {self:#?}");
        }
        self
    }
}

/// What the command reads from its environment, which is the tester's own.
const VARIABLES: [&str; 6] = [
    "LARDER_STORE",
    "LARDER_DB",
    "LARDER_REQUIREPASS",
    "REDIS_URL",
    "REDIS_HOST",
    "REDIS_PORT",
];

/// `larder` with these arguments, no store and no password in the environment.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command.args(args);
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    command
}

/// Runs it with an empty stdin.
pub(crate) fn larder(args: &[&str]) -> Run {
    finish(command(args).stdin(Stdio::null()))
}

/// Runs it on the store at `url`, which must answer with success.
#[track_caller]
pub(crate) fn larder_on(url: &str, args: &[&str]) -> Run {
    finish(command(args).env("LARDER_STORE", url).stdin(Stdio::null())).ended(0)
}

/// Runs it with `input` piped in.
pub(crate) fn larder_fed(args: &[&str], input: impl AsRef<[u8]>) -> Run {
    let mut child = command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(input.as_ref()).expect("the input fits into the pipe");
    drop(stdin);
    run_of(&child.wait_with_output().expect("the command ends"))
}

pub(crate) fn finish(command: &mut Command) -> Run {
    run_of(&command.output().expect("the command starts and ends"))
}

fn run_of(output: &std::process::Output) -> Run {
    Run {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

pub(crate) fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).expect("the process runs");
}

/// Names of what is in `folder`.
pub(crate) fn entries(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder exists");
    entries
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .collect()
}
