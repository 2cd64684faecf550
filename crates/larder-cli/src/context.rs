//! What every command is handed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_base::{Clock, Random};
use tokio_util::sync::CancellationToken;

use crate::ui::Ui;

/// How long a command that ends by itself may take over it after the signal, unless it says otherwise.
const TIDY_END: Duration = Duration::from_secs(10);

/// The outside world of a command: where it prints, its clock and randomness, and the signal to stop.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) ui: Ui,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    stopping: CancellationToken,
    /// For how long the command may go on after the signal, in milliseconds; 0 if it does not end by itself.
    tidy: Arc<AtomicU64>,
}

impl Context {
    pub(crate) fn new(ui: Ui) -> Self {
        Self {
            ui,
            clock: Clock::system(),
            random: Random::default(),
            stopping: CancellationToken::new(),
            tidy: Arc::default(),
        }
    }

    /// The stop signal, for a command that ends by itself when told to (a server that finishes its replies), within 10 s.
    ///
    /// A command that never asks for it is dropped at its next await instead.
    pub(crate) fn stop_signal(&self) -> CancellationToken {
        self.stop_signal_within(TIDY_END)
    }

    /// The same for a command whose end may take so long.
    pub(crate) fn stop_signal_within(&self, tidy: Duration) -> CancellationToken {
        let millis = u64::try_from(tidy.as_millis()).unwrap_or(u64::MAX).max(1);
        // Relaxed: read by the task that polls the command, hence after this line.
        self.tidy.fetch_max(millis, Ordering::Relaxed);
        self.stopping.clone()
    }

    /// Gives the stop signal; for how long to wait, if the command asked for it and will end by itself.
    pub(crate) fn stop(&self) -> Option<Duration> {
        self.stopping.cancel();
        match self.tidy.load(Ordering::Relaxed) {
            0 => None,
            millis => Some(Duration::from_millis(millis)),
        }
    }
}
