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
    /// The database at `at`: a path, or a URL `sqlite:PATH?option=..` as sqlx reads it.
    pub fn new(at: &str) -> Self {
        if at.starts_with("sqlite:") {
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
    /// [`SqlError::Open`] if the URL cannot be read, the file is missing or is no database.
    pub async fn open(self) -> Result<SqlitePool, SqlError> {
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
