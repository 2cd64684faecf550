//! Where a command prints: text for people, or one JSON document, never both.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::Serialize;

use crate::failure::Failure;

/// The output of one command. A reader that has gone (`larder demo | head -1`) is no failure: the rest is dropped. A
/// full disk is one: what was asked for is not there.
#[derive(Clone, Debug)]
pub(crate) struct Ui {
    json: bool,
    terminal: bool,
    is_cut: Arc<AtomicBool>,
}

impl Ui {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            terminal: io::stdout().is_terminal() && io::stderr().is_terminal(),
            is_cut: Arc::default(),
        }
    }

    /// Writes a part of the result and notes if it could not be.
    fn write(&self, text: impl Display) {
        let mut out = io::stdout().lock();
        if let Err(error) = write!(out, "{text}").and_then(|()| out.flush())
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            // Relaxed: read by the one thread that ends the process, after the command has ended.
            self.is_cut.store(true, Ordering::Relaxed);
        }
    }

    /// Fails if a part of the result could not be written.
    pub(crate) fn finish(&self) -> Result<(), Failure> {
        if self.is_cut.load(Ordering::Relaxed) {
            return Err(Failure::new("the output could not be written whole").hint("is the disk full?"));
        }
        Ok(())
    }

    /// Whether one JSON document was asked for.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether someone looks at a terminal: only then are bars and redrawn lines of use.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal && !self.json
    }

    /// Prints a line of text; nothing under `--json`.
    pub(crate) fn line(&self, text: impl Display) {
        if !self.json {
            self.write(format_args!("{text}\n"));
        }
    }

    /// Prints text without ending the line, for a prompt; nothing under `--json`.
    pub(crate) fn text(&self, text: impl Display) {
        if !self.json {
            self.write(text);
        }
    }

    /// Prints a line beside the result: on stderr under `--json`, so that stdout stays one document.
    pub(crate) fn note(&self, text: impl Display) {
        if self.json {
            self.remark(text);
        } else {
            self.line(text);
        }
    }

    /// Prints a line on stderr, where it cannot be taken for a part of the result.
    pub(crate) fn remark(&self, text: impl Display) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Prints the one JSON document; nothing without `--json`.
    pub(crate) fn document(&self, document: &impl Serialize) {
        if self.json {
            let text = serde_json::to_string_pretty(document).expect("documents have text keys and finite numbers");
            self.write(format_args!("{text}\n"));
        }
    }

    /// Reports why a command failed: on stderr, and under `--json` as the document too.
    pub(crate) fn fail(&self, failure: &Failure) -> ExitCode {
        if self.json && !failure.is_told_in_json {
            let chain: Vec<String> = failure.chain().collect();
            self.document(&serde_json::json!({ "error": chain, "hint": failure.hint_text() }));
        }
        let _ = writeln!(io::stderr().lock(), "{failure}");
        ExitCode::from(failure.code)
    }
}

/// The number with the word that goes with it.
pub(crate) fn count(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
