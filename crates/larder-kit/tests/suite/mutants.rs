//! Lines of scripts changed one at a time: each must be noticed by a named test.

use std::panic::{AssertUnwindSafe, catch_unwind};

use larder_kit::altered;

/// A script, a piece of its text, what stands there instead, and the test that notices, with its name.
pub(crate) type Mutant = (&'static str, &'static str, &'static str, Killer);
pub(crate) type Killer = (&'static str, fn());

/// A test under its own name.
macro_rules! killer {
    ($($path:ident)::+) => {
        (stringify!($($path)::+), $($path)::+ as fn())
    };
}
pub(crate) use killer;

/// Runs each test with its line changed, and fails for those that go through all the same. What they say when they fail is
/// meant to be there.
pub(crate) fn all_die(mutants: &[Mutant]) {
    let mut living = Vec::new();
    for &(script, from, to, (name, test)) in mutants {
        let dies = altered::with(script, from, to, || catch_unwind(AssertUnwindSafe(test)).is_err());
        if !dies {
            living.push(format!("{script}: `{from}` -> `{to}`, {name}"));
        }
    }
    assert!(living.is_empty(), "nobody noticed:\n{}", living.join("\n"));
}
