//! The signals that end a command, and the exit code each leaves behind.

use std::{io, process::ExitCode};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Which signal ended the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupted {
    /// SIGINT, as Ctrl-C sends it.
    CtrlC,
    /// SIGTERM, as service managers send it.
    Terminate,
}

impl Interrupted {
    /// 128 + the signal's number, as shells report it.
    pub(crate) fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::CtrlC => 130,
            Self::Terminate => 143,
        })
    }
}

/// Both signals, listened to from construction on.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next of them.
    pub(crate) async fn next(&mut self) -> Interrupted {
        tokio::select! {
            _ = self.interrupt.recv() => Interrupted::CtrlC,
            _ = self.terminate.recv() => Interrupted::Terminate,
        }
    }
}
