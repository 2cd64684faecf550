//! Lines of standard input, read by a thread of its own: a read that blocks must not hold up the runtime.

use std::io::{self, BufRead};

use tokio::sync::mpsc;

/// Lines read ahead of what was asked for: enough for a paste, little enough to hold.
const AHEAD: usize = 64;

/// The lines of standard input, without their ends. They need not be UTF-8.
pub(crate) struct Lines(mpsc::Receiver<io::Result<Vec<u8>>>);

impl Lines {
    /// Starts the thread. It ends at the end of input or, blocked in a read, with the process.
    pub(crate) fn of_stdin() -> io::Result<Self> {
        let (send, lines) = mpsc::channel(AHEAD);
        let read = move || {
            for line in io::stdin().lock().split(b'\n') {
                let is_last = line.is_err();
                if send.blocking_send(line.map(without_return)).is_err() || is_last {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("stdin".to_owned()).spawn(read)?;
        Ok(Self(lines))
    }

    /// The next line; `None` at the end of input.
    ///
    /// # Errors
    /// Input that cannot be read; nothing comes after it.
    ///
    /// # Cancel safety
    /// No line is lost.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.0.recv().await.transpose()
    }
}

fn without_return(mut line: Vec<u8>) -> Vec<u8> {
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    line
}
