//! `cargo xtask test`: every test, with what they need installed first.

use std::fs;

use anyhow::{Context as _, Result};

use crate::{
    Task, packages,
    shell::{cargo, root, run},
};

pub(crate) const TASK: Task = Task {
    name: "test",
    about: "install what the tests need where it is missing, then run every test, doctest and example",
    run: test,
};

/// Arguments are handed to `cargo test`, as in `cargo xtask test -p larder-engine`; examples then do not run.
fn test(args: &[String]) -> Result<()> {
    packages::ensure()?;
    // Tests start `larder serve` as a process; cargo builds a program only for tests of its own crate.
    run(&mut cargo([
        "build",
        "--workspace",
        "--locked",
        "--quiet",
        "--bin",
        "larder",
    ]))?;
    if !args.is_empty() {
        return run(cargo(["test", "--locked"]).args(args));
    }
    run(&mut cargo(["test", "--workspace", "--locked", "--no-fail-fast"]))?;
    examples()
}

/// Runs every example to its end: each proves its lesson by its output.
fn examples() -> Result<()> {
    let crates = root().join("crates");
    for entry in fs::read_dir(&crates).context("could not list the crates")? {
        let folder = entry?.path();
        let Ok(files) = fs::read_dir(folder.join("examples")) else {
            continue;
        };
        let package = folder
            .file_name()
            .context("a crate has a name")?
            .to_string_lossy()
            .into_owned();
        for file in files {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path
                    .file_stem()
                    .context("an example has a name")?
                    .to_string_lossy()
                    .into_owned();
                run(&mut cargo([
                    "run",
                    "--quiet",
                    "--locked",
                    "-p",
                    package.as_str(),
                    "--all-features",
                    "--example",
                    name.as_str(),
                ]))?;
            }
        }
    }
    Ok(())
}
