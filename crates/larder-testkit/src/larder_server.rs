//! `larder serve` as a process of its own: the program that users start, killed on drop.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use rustix::process::Signal;

use crate::{
    child::OwnedChild,
    port::{PORTS_TRIED_MAX, free_port},
};

/// The variable that names the `larder` program to test with.
pub const PROGRAM_VARIABLE: &str = "LARDER_BIN";

/// A running `larder serve` on a free loopback port, on the machine's clock.
///
/// # Which program
/// The one that `LARDER_BIN` names. Without it, in Larder's own workspace under `cargo test`, the program is built in
/// the profile of the test, and is the one next to it; else it is the one next to the test, or the `larder` on the path.
#[derive(Debug)]
pub struct LarderServer {
    child: OwnedChild,
    port: u16,
    program: PathBuf,
    options: Vec<String>,
}

impl LarderServer {
    /// Starts one and waits until it says that it is ready.
    ///
    /// # Panics
    /// If the program is missing or ends instead.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with more options of `larder serve`, such as `&["--maxmemory", "2mb"]`.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn start_with(options: &[&str]) -> Self {
        Self::start_program(&program(), options)
    }

    /// Starts `program serve`, with more options: for a program that starts itself.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn start_program(program: &Path, options: &[&str]) -> Self {
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let mut tries = 1;
        loop {
            let port = free_port();
            match launch(program, port, &options) {
                Ok(child) => {
                    return Self {
                        child,
                        port,
                        program: program.to_owned(),
                        options,
                    };
                }
                Err(printed) => assert!(tries < PORTS_TRIED_MAX, "{printed}"),
            }
            tries += 1;
        }
    }

    /// `redis://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// `kill -9`. [`restart`](Self::restart) brings it back.
    pub fn kill(&mut self) {
        self.child.kill();
    }

    /// SIGSTOP: connections stay open and nothing answers.
    ///
    /// # Panics
    /// If the process is gone.
    pub fn pause(&self) {
        self.child.signal(Signal::STOP).expect("the server is running");
    }

    /// SIGCONT after [`pause`](Self::pause).
    ///
    /// # Panics
    /// If the process is gone.
    pub fn resume(&self) {
        self.child.signal(Signal::CONT).expect("the server is running");
    }

    /// Kills it and starts it on the same port, empty.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn restart(&mut self) {
        self.kill();
        self.child = launch(&self.program, self.port, &self.options).unwrap_or_else(|printed| panic!("{printed}"));
    }
}

/// Starts the program on a loopback port and waits until it says that it is ready; else what it said.
fn launch(program: &Path, port: u16, options: &[String]) -> Result<OwnedChild, String> {
    let mut command = Command::new(program);
    command
        .args(["serve", "--bind", &format!("127.0.0.1:{port}")])
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = OwnedChild::spawn(command)
        .unwrap_or_else(|error| panic!("could not start {}: {error}; set {PROGRAM_VARIABLE}", program.display()));
    let stdout = child.take_stdout().expect("the output is piped");
    let mut line = String::new();
    BufReader::new(stdout)
        .read_line(&mut line)
        .expect("what it prints is text");
    if line.starts_with("ready ") {
        Ok(child)
    } else {
        Err(format!("`larder serve` printed `{}`, not `ready <addr>`", line.trim()))
    }
}

fn program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM
        .get_or_init(|| named().or_else(built).unwrap_or_else(|| PathBuf::from("larder")))
        .clone()
}

fn named() -> Option<PathBuf> {
    std::env::var_os(PROGRAM_VARIABLE).map(PathBuf::from)
}

/// Builds the program beside the running test, which lies in `target/<profile>/deps`. A program of an earlier state
/// of the code would make a test pass or fail for the wrong reason.
fn built() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.parent()?;
    let folder = std::env::current_exe().ok()?.parent()?.parent()?.to_path_buf();
    let program = folder.join("larder");
    let Some(cargo) = std::env::var_os("CARGO").filter(|_| workspace.join("crates/larder-cli").is_dir()) else {
        return program.exists().then_some(program);
    };
    let mut build = Command::new(cargo);
    build
        .args(["build", "--quiet", "--workspace", "--bin", "larder"])
        .current_dir(workspace);
    if folder.file_name()? == "release" {
        build.arg("--release");
    }
    let built = build.stdin(Stdio::null()).status().is_ok_and(|status| status.success());
    assert!(built, "`cargo build --workspace --bin larder` failed");
    Some(program)
}
