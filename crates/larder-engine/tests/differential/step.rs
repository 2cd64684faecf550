//! What is sent: steps, and actions of several steps that belong together.

use std::fmt;

use crate::rule::Rule;

/// Who sends a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    Main,
    /// Someone else, who changes keys that the first one watches.
    Other,
    /// A client that also receives what it did not ask for.
    Listener,
    /// Clients whose commands may wait, in line.
    First,
    Second,
}

impl Client {
    pub(crate) const COUNT: usize = Self::ALL.len();
    pub(crate) const ALL: [Self; 5] = [Self::Main, Self::Other, Self::Listener, Self::First, Self::Second];

    pub(crate) const fn may_wait(self) -> bool {
        matches!(self, Self::First | Self::Second)
    }
}

/// One command and how its two replies are compared.
#[derive(Clone, PartialEq)]
pub(crate) struct Step {
    pub(crate) client: Client,
    pub(crate) rule: Rule,
    pub(crate) args: Vec<Vec<u8>>,
}

impl fmt::Debug for Step {
    /// As one would type it into redis-cli.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.client {
            Client::Main => {}
            Client::Other => f.write_str("(other client) ")?,
            Client::Listener => f.write_str("(listener) ")?,
            Client::First => f.write_str("(first to wait) ")?,
            Client::Second => f.write_str("(second to wait) ")?,
        }
        let plain = |arg: &[u8]| !arg.is_empty() && arg.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'"');
        let shown = self.args.iter().map(|arg| match plain(arg) {
            true => arg.escape_ascii().to_string(),
            false => format!("\"{}\"", arg.escape_ascii()),
        });
        f.write_str(&shown.collect::<Vec<_>>().join(" "))
    }
}

/// Steps that only make sense together, as `SMEMBERS` and the `SPOP` it is needed to judge.
#[derive(Clone, PartialEq)]
pub(crate) struct Action(pub(crate) Vec<Step>);

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<_> = self.0.iter().map(|step| format!("{step:?}")).collect();
        f.write_str(&steps.join(" ; "))
    }
}
