//! The scripts themselves, at moments that a test chooses, and with lines changed.

use larder_engine::Engine;
use larder_testkit::{Topology, Wire};

const TEXTS: [(&str, &str); 5] = [
    ("gcra", include_str!("../../../src/limit/gcra.lua")),
    ("fixed", include_str!("../../../src/limit/fixed_window.lua")),
    ("counter", include_str!("../../../src/limit/sliding_counter.lua")),
    ("log", include_str!("../../../src/limit/sliding_log.lua")),
    ("concurrency", include_str!("../../../src/limit/concurrency.lua")),
];

/// The kinds whose scripts take two numbers and a cost.
pub(super) const RATES: [&str; 4] = ["gcra", "fixed", "counter", "log"];

/// The one line in which a script reads the clock, and one that takes it from the last two arguments.
const CLOCK: [&str; 2] = ["redis.call('TIME')", "{ARGV[#ARGV - 1], ARGV[#ARGV]}"];

/// A server with the scripts, of which one may be changed.
pub(super) struct Lab {
    wire: Wire,
    changed: Option<Change>,
}

/// Other text in one script.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) script: &'static str,
    pub(super) text: &'static str,
    pub(super) other: &'static str,
}

/// What a script answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) allowed: bool,
    pub(super) remaining: u64,
    /// -1: never.
    pub(super) retry: i64,
    pub(super) reset: i64,
    pub(super) now: u64,
}

impl Lab {
    pub(super) fn on(t: &Topology) -> Self {
        Self {
            wire: t.wire(),
            changed: None,
        }
    }

    /// A fresh engine, on which one script is changed.
    pub(super) fn changed(change: Change) -> Self {
        assert!(
            as_written(change.script).contains(change.text),
            "{change:?} is not in the script"
        );
        Self {
            wire: Wire::embedded(&Engine::new()),
            changed: Some(change),
        }
    }

    /// Asks a script, at the server's own time.
    pub(super) fn ask(&mut self, script: &str, keys: &[&str], args: &[u64]) -> Said {
        let text = self.text(script);
        self.run(&text, keys, args)
    }

    /// Asks a script at a moment in µs.
    pub(super) fn ask_at(&mut self, at: u64, script: &str, key: &str, args: &[u64]) -> Said {
        let text = self.text(script).replace(CLOCK[0], CLOCK[1]);
        assert!(text.contains(CLOCK[1]), "{script} reads the clock in one line");
        let args = [args, &[at / 1_000_000, at % 1_000_000]].concat();
        self.run(&text, &[key], &args)
    }

    /// Whether a place under `key` is taken by `id`.
    pub(super) fn enter(&mut self, key: &str, id: &str, limit: u64, lease_ms: u64) -> bool {
        let (text, limit, lease) = (self.text("concurrency"), limit.to_string(), lease_ms.to_string());
        let answer = self
            .wire
            .call(&["EVAL", &text, "1", key, "acquire", id, &limit, &lease]);
        answer.expect("the script runs").list()[0].int() == 1
    }

    /// Whether the place of `id` was given back.
    pub(super) fn leave(&mut self, key: &str, id: &str) -> bool {
        let text = self.text("concurrency");
        let answer = self.wire.call(&["EVAL", &text, "1", key, "release", id]);
        answer.expect("the script runs").int() == 1
    }

    /// Its milliseconds to live; below zero if it has none, or is not there.
    pub(super) fn ttl(&mut self, key: &str) -> i64 {
        self.wire.call(&["PTTL", key]).expect("the server answers").int()
    }

    fn text(&self, script: &str) -> String {
        let text = as_written(script);
        match self.changed {
            Some(change) if change.script == script => text.replace(change.text, change.other),
            _ => text.to_owned(),
        }
    }

    fn run(&mut self, text: &str, keys: &[&str], args: &[u64]) -> Said {
        let args: Vec<String> = args.iter().map(u64::to_string).collect();
        let count = keys.len().to_string();
        let mut command = vec!["EVAL", text, &count];
        command.extend(keys);
        command.extend(args.iter().map(String::as_str));
        let answer = self.wire.call(&command).expect("the script runs");
        let at = |index: usize| answer.list()[index].int();
        let whole = |index: usize| u64::try_from(at(index)).expect("not below zero");
        Said {
            allowed: at(0) == 1,
            remaining: whole(1),
            retry: at(2),
            reset: at(3),
            now: whole(4),
        }
    }
}

fn as_written(script: &str) -> &'static str {
    let found = TEXTS.iter().find(|(name, _)| *name == script);
    found.expect("there is such a script").1
}
