//! What a run was asked for, as text above its results and as the first fields of its document.

use std::fmt::{self, Display};

use clap::ValueEnum;
use larder_store::Store;
use larder_testkit::verify::Fault;
use serde_json::{Value, json};

use super::Args;

/// Everything that decides what a run does, but for the timing of the machine.
pub(super) struct Setup<'a> {
    args: &'a Args,
    store: String,
    pub(super) seed: u64,
}

impl<'a> Setup<'a> {
    pub(super) fn new(args: &'a Args, store: &Store, seed: u64) -> Self {
        let store = store.to_string();
        Self { args, store, seed }
    }

    fn faults(&self) -> Vec<&'static str> {
        self.args.faults.iter().copied().map(Fault::name).collect()
    }

    pub(super) fn json(&self) -> Value {
        let args = self.args;
        json!({
            "seed": self.seed,
            "store": self.store,
            "ops": args.ops,
            "processes": args.processes,
            "faults": self.faults(),
            "write": word(&args.write),
            "consistency": word(&args.consistency),
            "coherence": word(&args.coherence),
            "max_staleness_ms": args.max_staleness.as_secs_f64() * 1e3,
        })
    }
}

impl Display for Setup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let args = self.args;
        let faults = if args.faults.is_empty() {
            "none".to_owned()
        } else {
            self.faults().join(", ")
        };
        let (ops, processes, store) = (args.ops, args.processes, &self.store);
        writeln!(f, "verify: {ops} operations by {processes} processes on {store}")?;
        writeln!(f, "    seed {}, faults: {faults}", self.seed)?;
        write!(
            f,
            "    write {}, consistency {}, coherence {}, max staleness {:?}",
            word(&args.write),
            word(&args.consistency),
            word(&args.coherence),
            args.max_staleness
        )
    }
}

/// The word that a flag takes for `value`.
fn word(value: &impl ValueEnum) -> String {
    let known = value.to_possible_value();
    known.expect("no value is hidden").get_name().to_owned()
}
