//! The pool that tables are read from, with limits that suit a cache.

use std::{path::PathBuf, str::FromStr, time::Duration};

use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::SqlError;

/// How a SQLite database is opened.
///
/// | setting | default |
/// |---|---|
/// | [`connections`](Self::connections) | 4: loads are capped elsewhere, and SQLite readers share one page cache each |
/// | [`acquire_timeout`](Self::acquire_timeout) | 5 s waiting for a free connection |
/// | [`busy_timeout`](Self::busy_timeout) | 2 s waiting for another process's lock, then a retryable error |
/// | [`read_only`](Self::read_only), [`create`](Self::create) | off: an existing file, read and written |
#[derive(Clone, Debug)]
#[must_use = "a configuration does nothing until opened"]
pub struct PoolConfig {
    at: Location,
    connections: u32,
    acquire_timeout: Duration,
    busy_timeout: Duration,
    read_only: bool,
    create: bool,
}

#[derive(Clone, Debug)]
enum Location {
    Memory,
    Url(String),
    Path(PathBuf),
}

impl PoolConfig {
    /// The database at `at`: a path, or a URL `sqlite:PATH?option=..` as sqlx reads it. [`open`](Self::open) refuses
    /// other URLs.
    pub fn new(at: &str) -> Self {
        if at.starts_with("sqlite:") || scheme(at).is_some() {
            Self::at(Location::Url(at.to_owned()))
        } else {
            Self::path(at)
        }
    }

    /// The database in the file `path`, whatever characters it has.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        Self::at(Location::Path(path.into()))
    }

    /// A database in memory, for tests: one connection, because each would see a database of its own.
    pub fn in_memory() -> Self {
        Self::at(Location::Memory).connections(1)
    }

    fn at(at: Location) -> Self {
        Self {
            at,
            connections: 4,
            acquire_timeout: Duration::from_secs(5),
            busy_timeout: Duration::from_secs(2),
            read_only: false,
            create: false,
        }
    }

    /// Most connections open at a time (default 4, at least 1).
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// How long a caller waits for a free connection (default 5 s).
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = timeout;
        self
    }

    /// How long a statement waits for a lock that another connection holds (default 2 s).
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Opens the file so that nothing can be written through this pool.
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Creates the file where it is missing, with a write-ahead log, so that readers and a writer do not wait for
    /// each other.
    pub fn create(mut self) -> Self {
        self.create = true;
        self
    }

    /// Opens the pool and one connection.
    ///
    /// # Errors
    /// [`SqlError::NotBuilt`] for a URL that is not `sqlite:`; [`SqlError::NoPath`] if no file is named;
    /// [`SqlError::Open`] if the URL cannot be read, the file is missing or is no database.
    pub async fn open(self) -> Result<SqlitePool, SqlError> {
        self.check()?;
        let failed = |source| SqlError::Open {
            at: self.name(),
            source,
        };
        let options = self.options().map_err(failed)?;
        let pool = self.pool().connect_with(options).await.map_err(failed)?;
        // SQLite looks into the file only at the first read: a file that is no database must fail here.
        if let Err(source) = sqlx::query("SELECT count(*) FROM sqlite_schema").execute(&pool).await {
            pool.close().await;
            return Err(failed(source));
        }
        Ok(pool)
    }

    /// SQLite would take an empty path for a database that vanishes when it is closed.
    fn check(&self) -> Result<(), SqlError> {
        let is_empty = match &self.at {
            Location::Memory => false,
            Location::Path(path) => path.as_os_str().is_empty(),
            Location::Url(url) => match url.strip_prefix("sqlite:") {
                Some(rest) => matches!(rest.trim_start_matches("//").as_bytes(), [] | [b'?', ..]),
                None => {
                    let scheme = scheme(url).unwrap_or_default().to_owned();
                    return Err(SqlError::NotBuilt { scheme });
                }
            },
        };
        if is_empty { Err(SqlError::NoPath) } else { Ok(()) }
    }

    fn pool(&self) -> SqlitePoolOptions {
        let pool = SqlitePoolOptions::new()
            .max_connections(self.connections)
            .acquire_timeout(self.acquire_timeout);
        match self.at {
            // Closing the only connection would empty the database.
            Location::Memory => pool.min_connections(1).idle_timeout(None).max_lifetime(None),
            _ => pool,
        }
    }

    fn options(&self) -> Result<SqliteConnectOptions, sqlx::Error> {
        let options = match &self.at {
            Location::Memory => SqliteConnectOptions::from_str("sqlite::memory:")?,
            Location::Url(url) => SqliteConnectOptions::from_str(url)?,
            Location::Path(path) => SqliteConnectOptions::new().filename(path),
        };
        let options = options.busy_timeout(self.busy_timeout);
        if self.read_only {
            return Ok(options.read_only(true));
        }
        if self.create {
            return Ok(options
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Normal));
        }
        Ok(options)
    }

    fn name(&self) -> String {
        match &self.at {
            Location::Memory => "memory".to_owned(),
            Location::Url(url) => url.clone(),
            Location::Path(path) => path.display().to_string(),
        }
    }
}

/// What stands before `://`, if it reads as the scheme of a URL.
fn scheme(at: &str) -> Option<&str> {
    let (scheme, _) = at.split_once("://")?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    is_scheme.then_some(scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refusal(at: &str) -> String {
        PoolConfig::new(at).create().open().await.expect_err(at).to_string()
    }

    #[tokio::test]
    async fn other_databases_are_refused_by_name_and_without_their_password() {
        for url in ["postgres://me:hunter2@db/shop", "mysql://me:hunter2@db/shop"] {
            let text = refusal(url).await;
            let (scheme, _) = url.split_once(':').expect("a URL");
            assert!(text.contains(scheme) && text.contains("not built yet"), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[tokio::test]
    async fn a_database_without_a_path_is_refused() {
        for at in ["", "sqlite:", "sqlite://", "sqlite:?mode=rwc"] {
            assert!(refusal(at).await.contains("empty"), "{at:?}");
        }
    }
}
