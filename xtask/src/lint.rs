//! `cargo xtask lint`: everything that can be said about the code without running it.

use anyhow::Result;

use crate::{
    Task, invariants,
    shell::{cargo, run, succeeds},
};

pub(crate) const TASK: Task = Task {
    name: "lint",
    about: "format, clippy, documentation, dependencies and the invariants of ARCHITECTURE.md",
    run: lint,
};

fn lint(_args: &[String]) -> Result<()> {
    run(&mut cargo(["fmt", "--all", "--check"]))?;
    run(&mut cargo([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ]))?;
    run(cargo(["doc", "--workspace", "--no-deps", "--locked", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    invariants::check()?;
    dependencies()
}

/// `cargo deny` where it is installed: licences, sources and barred crates (`deny.toml`).
///
/// Advisories are left out: they need the network and change without a change here.
fn dependencies() -> Result<()> {
    if !succeeds("cargo-deny", &["--version"]) {
        eprintln!(
            "note: cargo-deny is not installed, so deny.toml was not checked (cargo install --locked cargo-deny)"
        );
        return Ok(());
    }
    run(&mut cargo(["deny", "check", "bans", "licenses", "sources"]))
}
