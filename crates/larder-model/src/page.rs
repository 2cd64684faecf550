//! The page that says which mutants each model finds.

use std::fmt::Debug;

const PAGE: &str = include_str!("../../../docs/verification.md");

/// Fails unless the page says of `model` that it finds `mutants`, in this order.
pub(crate) fn names(model: &str, mutants: &[impl Debug]) {
    let names: Vec<String> = mutants.iter().map(|mutant| format!("{mutant:?}")).collect();
    let (begins, ends) = (format!("| `{model}` |"), format!("| {} |", names.join(" ")));
    let says = PAGE
        .lines()
        .any(|line| line.starts_with(&begins) && line.ends_with(&ends));
    assert!(says, "docs/verification.md should have a line `{begins} .. {ends}`");
}
