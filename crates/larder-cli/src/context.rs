//! What every command is handed.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use larder_base::{Clock, Random};
use tokio_util::sync::CancellationToken;

use crate::ui::Ui;

/// The outside world of a command: where it prints, its clock and randomness, and the signal to stop.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) ui: Ui,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    stopping: CancellationToken,
    tidy: Arc<AtomicBool>,
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

    /// The stop signal, for a command that ends by itself when told to (a server that finishes its replies).
    ///
    /// A command that never asks for it is dropped at its next await instead.
    pub(crate) fn stop_signal(&self) -> CancellationToken {
        // Relaxed: read by the task that polls the command, hence after this line.
        self.tidy.store(true, Ordering::Relaxed);
        self.stopping.clone()
    }

    /// Gives the stop signal; `true` if the command asked for it and will end by itself.
    pub(crate) fn stop(&self) -> bool {
        self.stopping.cancel();
        self.tidy.load(Ordering::Relaxed)
    }
}
