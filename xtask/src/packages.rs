//! What the tests need from the system, and how it gets there.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Result, bail};

use crate::shell::{output, run, succeeds};

/// Scripts with shebang flags and `PEXPIRETIME` came with this version.
const REDIS_MAJOR_MIN: u32 = 7;

/// The oldest that its makers still mend.
const POSTGRES_MAJOR_MIN: u32 = 14;

/// Installs Debian packages and keeps their services from starting.
const INSTALL: &str = include_str!("install.sh");

/// Makes sure that a C compiler, a redis-server and PostgreSQL are there; installs the latter two where that is possible.
pub(crate) fn ensure() -> Result<()> {
    if !succeeds("cc", &["--version"]) {
        bail!("no C compiler `cc` was found, and Lua and SQLite are built from C; install gcc or clang");
    }
    if let Some(missing) = redis_problem() {
        install(&["redis-server"], &missing)?;
        if let Some(still) = redis_problem() {
            bail!("the package redis-server was installed, but {still}; set LARDER_REDIS to a newer binary");
        }
    }
    if let Some(missing) = postgres_problem() {
        install(&["postgresql"], &missing)?;
        if let Some(still) = postgres_problem() {
            bail!("the package postgresql was installed, but {still}; set LARDER_PG_BIN to the folder of its programs");
        }
    }
    Ok(())
}

/// The server that tests start: `LARDER_REDIS`, or the one on the path.
fn redis_server() -> PathBuf {
    std::env::var_os("LARDER_REDIS").map_or_else(|| PathBuf::from("redis-server"), PathBuf::from)
}

/// Why the server cannot be used; `None` if it can.
fn redis_problem() -> Option<String> {
    let mut command = Command::new(redis_server());
    let Ok(text) = output(command.arg("--version").stdin(Stdio::null())) else {
        return Some(format!("`{}` could not be started", redis_server().display()));
    };
    match major_version(&text) {
        Some(major) if major >= REDIS_MAJOR_MIN => None,
        Some(major) => Some(format!(
            "version {major} of redis-server is older than {REDIS_MAJOR_MIN}"
        )),
        None => Some(format!("its version could not be read from `{}`", text.trim())),
    }
}

/// The `7` of `Redis server v=7.0.15 sha=...`; Valkey prints the same.
fn major_version(text: &str) -> Option<u32> {
    let version = text.split_once("v=")?.1;
    version.split('.').next()?.parse().ok()
}

/// Why PostgreSQL cannot be used; `None` if it can. Debian keeps its programs off the path, by version.
fn postgres_problem() -> Option<String> {
    let folders = match std::env::var_os("LARDER_PG_BIN") {
        Some(folder) => vec![PathBuf::from(folder)],
        None => debian_versions(),
    };
    let starts = |program: PathBuf| output(Command::new(program).arg("--version").stdin(Stdio::null()));
    let versions: Vec<String> = match folders.as_slice() {
        [] => starts(PathBuf::from("postgres")).ok().into_iter().collect(),
        folders => folders
            .iter()
            .filter_map(|folder| starts(folder.join("postgres")).ok())
            .collect(),
    };
    let newest = versions.iter().filter_map(|text| postgres_version(text)).max();
    match newest {
        Some(major) if major >= POSTGRES_MAJOR_MIN => None,
        Some(major) => Some(format!(
            "version {major} of PostgreSQL is older than {POSTGRES_MAJOR_MIN}"
        )),
        None => Some("PostgreSQL's programs were not found".to_owned()),
    }
}

fn debian_versions() -> Vec<PathBuf> {
    let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") else {
        return Vec::new();
    };
    versions
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .collect()
}

/// The `15` of `postgres (PostgreSQL) 15.10 (Debian 15.10-0+deb12u1)`.
fn postgres_version(text: &str) -> Option<u32> {
    let version = text.split_once("(PostgreSQL) ")?.1;
    let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// Installs Debian packages when this is root on Debian; else names them.
fn install(names: &[&str], because: &str) -> Result<()> {
    let root = rustix::process::geteuid().is_root();
    if !root || !succeeds("apt-get", &["--version"]) {
        bail!(
            "the tests need the Debian packages {} ({because}); install them, or run this as root on Debian",
            names.join(" ")
        );
    }
    eprintln!("note: {because}; installing {}", names.join(" "));
    run(Command::new("sh")
        .args(["-eu", "-c", INSTALL, "install"])
        .args(names)
        .stdin(Stdio::null()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_postgres_is_read() {
        assert_eq!(
            postgres_version("postgres (PostgreSQL) 15.10 (Debian 15.10-0+deb12u1)"),
            Some(15)
        );
        assert_eq!(postgres_version("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(postgres_version("something else"), None);
    }

    #[test]
    fn the_version_of_redis_and_valkey_is_read() {
        let redis = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=1";
        assert_eq!(major_version(redis), Some(7));
        assert_eq!(major_version("Valkey server v=8.1.1 sha=00000000:0"), Some(8));
        assert_eq!(major_version("something else"), None);
    }
}
