//! The invariants of ARCHITECTURE.md that a program can check: who may depend on whom, and what a script says of itself.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::shell::{cargo, output, root};

/// A crate, and what must not be among the crates it is built from (its own tests left aside).
struct Knows {
    krate: &'static str,
    nothing_of: &'static [&'static str],
    because: &'static str,
}

const KNOWLEDGE: &[Knows] = &[
    Knows {
        krate: "larder-base",
        nothing_of: &[
            "redis",
            "mlua",
            "sqlx",
            "larder-engine",
            "larder-store",
            "larder-near",
            "larder-cache",
        ],
        because: "everything stands on it, and it does no I/O",
    },
    Knows {
        krate: "larder-near",
        nothing_of: &[
            "tokio",
            "redis",
            "serde",
            "serde_json",
            "futures-util",
            "larder-store",
            "larder-engine",
        ],
        because: "the near tier knows no async, no Redis and no serialisation",
    },
    Knows {
        krate: "larder-disk",
        nothing_of: &[
            "tokio",
            "redis",
            "serde",
            "larder-engine",
            "larder-store",
            "larder-cache",
        ],
        because: "a seam to the file system knows neither async nor what is written",
    },
    Knows {
        krate: "larder-engine",
        nothing_of: &["larder-store", "larder-near", "larder-cache", "sqlx"],
        because: "the engine knows nothing of caches",
    },
    Knows {
        krate: "larder-store",
        nothing_of: &["larder-cache", "larder-near", "sqlx"],
        because: "the store moves commands and knows no key layout",
    },
    Knows {
        krate: "larder-cache",
        nothing_of: &["sqlx", "larder-sql", "larder-kit", "axum", "hyper"],
        because: "the cache knows neither SQL nor HTTP nor the kit",
    },
    Knows {
        krate: "larder-kit",
        nothing_of: &["sqlx", "larder-sql", "larder-cache", "larder-near", "axum", "hyper"],
        because: "the kit knows neither SQL nor HTTP nor the cache",
    },
    Knows {
        krate: "larder-testkit",
        nothing_of: &["larder-cache", "larder-kit"],
        because: "the cache and the kit use it in their own tests",
    },
];

/// Crates that must not come in by any way, each with the reason (deny.toml says the same to cargo-deny).
const BARRED: &[(&str, &str)] = &[
    ("bincode", "unmaintained"),
    ("backoff", "unmaintained; backon does it"),
    ("fred", "dormant; the redis crate is the client"),
    ("openssl-sys", "TLS is rustls on ring"),
];

/// What the header of every Lua script has to state.
const SCRIPT_HEADER: &[&str] = &["-- KEYS", "-- ARGV", "-- REPLY"];

/// Runs every check and names all that fail at once.
pub(crate) fn check() -> Result<()> {
    eprintln!("$ invariants of ARCHITECTURE.md");
    let mut broken = Vec::new();
    for knows in KNOWLEDGE
        .iter()
        .filter(|knows| root().join("crates").join(knows.krate).exists())
    {
        let built_from = dependencies(&["-p", knows.krate])?;
        for other in knows.nothing_of.iter().filter(|other| built_from.contains(**other)) {
            broken.push(format!("{} depends on {other}, but {}", knows.krate, knows.because));
        }
    }
    let all = dependencies(&["--workspace"])?;
    for (name, because) in BARRED.iter().filter(|(name, _)| all.contains(*name)) {
        broken.push(format!("{name} is barred: {because}"));
    }
    no_client_side_caching(&mut broken)?;
    scripts_state_their_contract(&mut broken)?;
    if !broken.is_empty() {
        bail!("{} invariants are broken:\n  {}", broken.len(), broken.join("\n  "));
    }
    Ok(())
}

/// Names of the crates that a build of `selection` is made from, tests left out.
fn dependencies(selection: &[&str]) -> Result<BTreeSet<String>> {
    let mut tree = cargo([
        "tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}",
    ]);
    let text = output(tree.args(selection))?;
    Ok(text
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect())
}

/// The `cache-aio` feature of redis 1.x serves stale values after a reconnect.
fn no_client_side_caching(broken: &mut Vec<String>) -> Result<()> {
    let mut tree = cargo([
        "tree",
        "--locked",
        "--workspace",
        "--edges",
        "normal,features",
        "--prefix",
        "none",
    ]);
    if output(&mut tree)?.contains("redis feature \"cache-aio\"") {
        broken.push("the feature cache-aio of redis is on, and it serves stale values".to_owned());
    }
    Ok(())
}

fn scripts_state_their_contract(broken: &mut Vec<String>) -> Result<()> {
    let mut scripts = Vec::new();
    find(&root().join("crates"), "lua", &mut scripts)?;
    // What the engine itself is made of is no script that a client sends.
    let engine = root().join("crates").join("larder-engine");
    for path in scripts.into_iter().filter(|path| !path.starts_with(&engine)) {
        let text = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
        let shown = path.strip_prefix(root()).unwrap_or(&path).display();
        for part in SCRIPT_HEADER.iter().filter(|part| !text.contains(**part)) {
            broken.push(format!("{shown} does not state its {}", part.trim_start_matches("-- ")));
        }
    }
    Ok(())
}

/// Collects the files under `dir` whose name ends in `.extension`.
fn find(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("could not list {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, extension, found)?;
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    Ok(())
}
