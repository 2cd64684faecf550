//! Why a command failed: its exit code, the chain of causes, and what to try next.

use std::fmt::{self, Display};

/// What a command returns.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// A failure with its exit code (1, or 2 for wrong usage) and, where there is one, a hint.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    error: anyhow::Error,
    hint: Option<String>,
    pub(crate) is_interrupted: bool,
    pub(crate) is_told_in_json: bool,
}

impl Failure {
    /// Something went wrong while doing what was asked.
    pub(crate) fn new(what: impl Display) -> Self {
        Self::from(anyhow::anyhow!("{what}"))
    }

    /// What was asked makes no sense as it stands.
    pub(crate) fn usage(what: impl Display) -> Self {
        Self::new(what).into_usage()
    }

    /// This failure, as one of what was asked rather than of doing it.
    pub(crate) fn into_usage(self) -> Self {
        Self { code: 2, ..self }
    }

    /// A signal ended what was asked, and everything was put away.
    pub(crate) fn interrupted() -> Self {
        Self {
            is_interrupted: true,
            ..Self::new("interrupted")
        }
    }

    /// The document has been printed and says it all: under `--json` nothing is added to it.
    pub(crate) fn told_in_json(self) -> Self {
        Self {
            is_told_in_json: true,
            ..self
        }
    }

    /// Adds the line that says what to try.
    pub(crate) fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Puts a line above that says what was being done.
    pub(crate) fn heading(self, heading: impl Display) -> Self {
        Self {
            error: self.error.context(heading.to_string()),
            ..self
        }
    }

    /// The causes, outermost first, without those that the line before tells already: drivers repeat their causes.
    pub(crate) fn chain(&self) -> impl Iterator<Item = String> + '_ {
        let mut before = String::new();
        self.error.chain().map(ToString::to_string).filter(move |cause| {
            let is_told = before.contains(cause.as_str());
            if !is_told {
                before.clone_from(cause);
            }
            !is_told
        })
    }

    pub(crate) fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            code: 1,
            error: error.into(),
            hint: None,
            is_interrupted: false,
            is_told_in_json: false,
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.error)?;
        for cause in self.chain().skip(1) {
            write!(f, "\n  caused by: {cause}")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Adds a hint or a heading to the error of a result.
pub(crate) trait OrHint<T> {
    /// Turns the error into a [`Failure`] with a hint.
    fn or_hint(self, hint: impl Display) -> Outcome<T>;

    /// Turns the error into a [`Failure`] whose first line says what was being done.
    fn or_while(self, doing: impl Display) -> Outcome<T>;
}

impl<T, E: Into<Failure>> OrHint<T> for Result<T, E> {
    fn or_hint(self, hint: impl Display) -> Outcome<T> {
        self.map_err(|error| error.into().hint(hint))
    }

    fn or_while(self, doing: impl Display) -> Outcome<T> {
        self.map_err(|error| error.into().heading(doing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_prints_its_chain_and_its_hint() {
        let cause = std::io::Error::new(std::io::ErrorKind::NotFound, "no such file");
        let failed: Outcome = Err(cause).or_while("cannot open the database").or_hint("check --db");
        let failure = failed.expect_err("it was an error");
        assert_eq!(
            failure.to_string(),
            "error: cannot open the database\n  caused by: no such file\nhint: check --db"
        );
        assert_eq!((failure.code, Failure::usage("x").code), (1, 2));
    }
    #[test]
    fn a_cause_that_the_line_before_tells_is_not_repeated() {
        let error = anyhow::anyhow!("no such file")
            .context("open: no such file")
            .context("cannot start");
        assert_eq!(
            Failure::from(error).to_string(),
            "error: cannot start\n  caused by: open: no such file"
        );
    }
}
