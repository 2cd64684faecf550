//! Runs the command. The only file that knows how.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
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

/// `larder` with these arguments, no store in the environment.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command.args(args).env_remove("LARDER_STORE");
    command
}

/// Runs it with an empty stdin.
pub(crate) fn larder(args: &[&str]) -> Run {
    finish(command(args).stdin(Stdio::null()))
}

/// Runs it with `input` piped in.
pub(crate) fn larder_fed(args: &[&str], input: &str) -> Run {
    let mut child = command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(input.as_bytes()).expect("the input fits into the pipe");
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

/// Names of what is in `folder`.
pub(crate) fn entries(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder exists");
    entries
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .collect()
}
