//! A child process that ends with its owner, also when a test panics.

use std::{
    io,
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus},
};

use rustix::process::{Pid, Signal, kill_process};

/// Owns a process: signals go to its pid alone, and dropping it kills and reaps.
#[derive(Debug)]
pub(crate) struct OwnedChild(Child);

impl OwnedChild {
    /// Starts `command`.
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        command.spawn().map(Self)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// How it ended; `None` while it runs.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().ok().flatten()
    }

    /// Its standard input, where that is piped.
    pub(crate) fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.0.stdin.take()
    }

    /// Its standard output, where that is piped.
    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.0.stdout.take()
    }

    /// Waits for its own end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.0.wait().expect("a child can be waited for")
    }

    /// `kill -9`, then waits until the process is gone; nothing if it already is.
    pub(crate) fn kill(&mut self) {
        // Already gone is what was wanted. SIGKILL also ends a stopped process, so the wait is short.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let raw = i32::try_from(self.pid()).map_err(io::Error::other)?;
        let pid = Pid::from_raw(raw).ok_or_else(|| io::Error::other("a process has a positive id"))?;
        Ok(kill_process(pid, signal)?)
    }
}

impl Drop for OwnedChild {
    fn drop(&mut self) {
        self.kill();
    }
}
