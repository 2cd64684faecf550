//! `cargo xtask bench`: Larder and its peers side by side.

use anyhow::{Result, bail};

use crate::{
    Task,
    shell::{cargo, root, run},
};

pub(crate) const TASK: Task = Task {
    name: "bench",
    about: "measure Larder and its peers in one run (arguments go to the benchmark program)",
    run: bench,
};

/// The benchmarks are a workspace of their own, so that peers never enter the lock file of the library.
fn bench(args: &[String]) -> Result<()> {
    let manifest = root().join("bench").join("Cargo.toml");
    if !manifest.exists() {
        bail!("there is no benchmark workspace at bench/Cargo.toml");
    }
    run(cargo(["run", "--release", "--manifest-path"])
        .arg(manifest)
        .arg("--")
        .args(args))
}
