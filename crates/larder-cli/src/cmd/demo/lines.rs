//! Lines of standard input, read by a thread of its own: a read that blocks must not hold up the runtime.

use std::{
    io::{self, BufRead, IsTerminal},
    time::Duration,
};

use larder_base::Clock;
use tokio::sync::mpsc;

/// Lines read ahead of what the prompt has answered: enough for a paste, little enough to hold.
const AHEAD: usize = 64;

/// A pipe that stays open but says nothing (as a service manager or a build server leaves it) must not keep the
/// demo waiting for ever; someone at a terminal may think as long as they like.
const PIPE_PATIENCE: Duration = Duration::from_secs(5);

/// The lines of standard input.
pub(super) struct Lines {
    lines: mpsc::Receiver<String>,
    patience: Option<Duration>,
}

impl Lines {
    /// Starts the thread. It ends at the end of input or, blocked in a read, with the process.
    pub(super) fn of_stdin() -> io::Result<Self> {
        let (send, lines) = mpsc::channel(AHEAD);
        let read = move || {
            let lines = io::stdin().lock().lines().map_while(Result::ok);
            for line in lines {
                if send.blocking_send(line).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("stdin".to_owned()).spawn(read)?;
        let patience = (!io::stdin().is_terminal()).then_some(PIPE_PATIENCE);
        Ok(Self { lines, patience })
    }

    /// The next line; `None` at the end of input, or when a pipe has said nothing for 5 s.
    ///
    /// # Cancel safety
    /// No line is lost.
    pub(super) async fn next(&mut self, clock: &Clock) -> Option<String> {
        match self.patience {
            None => self.lines.recv().await,
            Some(patience) => clock.timeout(patience, self.lines.recv()).await.flatten(),
        }
    }
}
