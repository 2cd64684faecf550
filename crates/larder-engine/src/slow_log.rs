//! The log of commands that took long, for `SLOWLOG`.
//!
//! Reference: <https://redis.io/commands/slowlog-get/>. Times come from the kernel's coarse clock, so they are right to
//! a tick of it, at most 4 ms.

use std::{collections::VecDeque, time::Duration};

use crate::{command::Args, ctx::Ctx};

/// What is logged, and how much of it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlowLogLimits {
    /// `slowlog-log-slower-than`; `None` logs nothing.
    pub(crate) threshold: Option<Duration>,
    /// `slowlog-max-len`.
    pub(crate) len_max: usize,
}

impl Default for SlowLogLimits {
    fn default() -> Self {
        Self {
            threshold: Some(Duration::from_millis(10)),
            len_max: 128,
        }
    }
}

/// The newest entries first.
#[derive(Debug, Default)]
pub(crate) struct SlowLog {
    pub(crate) entries: VecDeque<Slow>,
    next: i64,
}

/// A command that took long.
#[derive(Debug)]
pub(crate) struct Slow {
    pub(crate) number: i64,
    /// Unix time.
    pub(crate) at: Duration,
    pub(crate) spent: Duration,
    /// The arguments, cut to what is worth keeping.
    pub(crate) args: Vec<Vec<u8>>,
    pub(crate) addr: String,
    pub(crate) name: Vec<u8>,
}

impl Ctx<'_> {
    /// Logs a command if it took long.
    pub(crate) fn note_if_slow(&mut self, spent: Duration, args: &Args<'_>) {
        let limits = self.core.settings.slow_log;
        if limits.threshold.is_none_or(|threshold| spent < threshold) {
            return;
        }
        let client = self.client();
        let (addr, name) = (client.peer.addr.clone(), client.name.clone());
        let at = self.time();
        let log = &mut self.core.slow_log;
        log.entries.push_front(Slow {
            number: log.next,
            at,
            spent,
            args: shortened(args.all()),
            addr,
            name,
        });
        log.next += 1;
        log.entries.truncate(limits.len_max);
    }
}

/// As Redis keeps them: 32 arguments of 128 bytes, with a note of what was left out.
fn shortened(args: &[&[u8]]) -> Vec<Vec<u8>> {
    const ARGS_MAX: usize = 32;
    const BYTES_MAX: usize = 128;
    let shown = if args.len() > ARGS_MAX {
        ARGS_MAX - 1
    } else {
        args.len()
    };
    let mut list: Vec<Vec<u8>> = args[..shown]
        .iter()
        .map(|arg| match arg.len().checked_sub(BYTES_MAX) {
            None | Some(0) => arg.to_vec(),
            Some(more) => [&arg[..BYTES_MAX], format!("... ({more} more bytes)").as_bytes()].concat(),
        })
        .collect();
    if shown < args.len() {
        list.push(format!("... ({} more arguments)", args.len() - shown).into_bytes());
    }
    list
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn long_arguments_and_lists_are_cut_with_a_note() {
        let long = vec![b'x'; 130];
        let args = vec![long.as_slice(); 40];
        let kept = shortened(&args);
        assert_eq!(kept.len(), 32);
        assert!(kept[0].ends_with(b"x... (2 more bytes)"));
        assert_eq!(kept[31], b"... (9 more arguments)");
    }
}
