//! How a database is opened, with limits that suit a cache.

use std::{path::PathBuf, time::Duration};

use larder_base::Clock;

use crate::{
    Pool, SqlError,
    db::{self, Driver},
};

/// How a database is opened: SQLite by a path or `sqlite:PATH`, PostgreSQL by `postgres://user:password@host/name`.
///
/// | setting | default |
/// |---|---|
/// | [`connections`](Self::connections) | 4: loads are capped elsewhere, and a database does few things at a time |
/// | [`acquire_timeout`](Self::acquire_timeout) | 5 s waiting for a free connection |
/// | [`read_only`](Self::read_only) | off |
/// | SQLite: [`busy_timeout`](Self::busy_timeout) | 2 s waiting for another process's lock, then a retryable error |
/// | SQLite: [`create`](Self::create) | off: an existing file |
/// | PostgreSQL: [`connect_timeout`](Self::connect_timeout) | 5 s for the first connection |
/// | PostgreSQL: [`statement_timeout`](Self::statement_timeout) | 5 s, kept by the server |
/// | PostgreSQL: [`transaction_timeout`](Self::transaction_timeout) | 10 s idle within a transaction, kept by the server |
/// | PostgreSQL: [`application_name`](Self::application_name) | `larder`, unless the URL names one |
///
/// What a URL of PostgreSQL leaves out is taken from `PGHOST`, `PGUSER` and the like, and passwords from `~/.pgpass`, as
/// its own tools do. A setting that another database has is ignored, except `create`, which is refused.
#[derive(Clone, Debug)]
#[must_use = "a configuration does nothing until opened"]
pub struct PoolConfig {
    pub(crate) at: Location,
    pub(crate) connections: u32,
    pub(crate) acquire_timeout: Duration,
    pub(crate) busy_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) statement_timeout: Duration,
    pub(crate) transaction_timeout: Duration,
    pub(crate) application_name: String,
    pub(crate) read_only: bool,
    pub(crate) create: bool,
    pub(crate) clock: Clock,
}

#[derive(Clone)]
pub(crate) enum Location {
    Memory,
    Url(String),
    Path(PathBuf),
}

impl std::fmt::Debug for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Location {
    /// Where that is, without what may be a password.
    fn shown(&self) -> String {
        match self {
            Self::Memory => "memory".to_owned(),
            Self::Path(path) => without_password(path.display().to_string()),
            Self::Url(url) if url.starts_with("sqlite:") => without_password(url.clone()),
            Self::Url(url) => format!("{}://..", scheme(url).unwrap_or_default()),
        }
    }
}

impl PoolConfig {
    /// The database at `at`: a path, `sqlite:PATH?option=..` as sqlx reads it, or `postgres://..`. [`open`](Self::open)
    /// refuses other URLs.
    pub fn new(at: &str) -> Self {
        if at.starts_with("sqlite:") || scheme(at).is_some() {
            Self::at(Location::Url(at.to_owned()))
        } else {
            Self::path(at)
        }
    }

    /// The SQLite database in the file `path`, whatever characters it has.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        Self::at(Location::Path(path.into()))
    }

    /// A SQLite database in memory, for tests: one connection, because each would see a database of its own.
    pub fn in_memory() -> Self {
        Self::at(Location::Memory).connections(1)
    }

    fn at(at: Location) -> Self {
        Self {
            at,
            connections: 4,
            acquire_timeout: Duration::from_secs(5),
            busy_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(5),
            transaction_timeout: Duration::from_secs(10),
            application_name: "larder".to_owned(),
            read_only: false,
            create: false,
            clock: Clock::system(),
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

    /// SQLite: how long a statement waits for a lock that another connection holds (default 2 s).
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// PostgreSQL: how long [`open`](Self::open) waits for the server (default 5 s).
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// PostgreSQL: how long the server works on one statement before it gives up (default 5 s, to the millisecond;
    /// zero lifts the limit). It ends work that nobody waits for any more.
    pub fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = timeout;
        self
    }

    /// PostgreSQL: how long a transaction may stand idle before the server ends it and its locks (default 10 s, to
    /// the millisecond; zero lifts the limit): a process that is paused must not hold rows for ever.
    pub fn transaction_timeout(mut self, timeout: Duration) -> Self {
        self.transaction_timeout = timeout;
        self
    }

    /// PostgreSQL: the name under which `pg_stat_activity` shows the connections (default `larder`).
    pub fn application_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.application_name);
        self
    }

    /// Opens the database so that nothing can be written through this pool.
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// SQLite: creates the file where it is missing, with a write-ahead log, so that readers and a writer do not wait
    /// for each other.
    pub fn create(mut self) -> Self {
        self.create = true;
        self
    }

    /// The clock of [`connect_timeout`](Self::connect_timeout) (default: the system's).
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Opens the pool and one connection.
    ///
    /// # Errors
    /// [`SqlError::NotBuilt`] for the URL of another database; [`SqlError::NoPath`] if no file is named;
    /// [`SqlError::Open`] if the URL cannot be read, the file is missing or is no database, or the server does not
    /// answer or does not let one in.
    ///
    /// # Cancel safety
    /// Dropped early, nothing stays open.
    pub async fn open(self) -> Result<Pool, SqlError> {
        (self.driver()?.open)(self).await
    }

    /// As [`open`](Self::open), for the pool of sqlx itself: to run statements of one's own on.
    ///
    /// # Errors
    /// As for [`open`](Self::open), and [`SqlError::NotForDatabase`] if it is another database.
    ///
    /// # Cancel safety
    /// Dropped early, nothing stays open.
    #[cfg(feature = "sqlite")]
    pub async fn open_sqlite(self) -> Result<sqlx::SqlitePool, SqlError> {
        let other = SqlError::NotForDatabase {
            setting: "open_sqlite",
            product: self.driver()?.product,
        };
        let pool = self.open().await?;
        pool.sqlite().cloned().ok_or(other)
    }

    /// As [`open`](Self::open), for the pool of sqlx itself: to run statements of one's own on.
    ///
    /// # Errors
    /// As for [`open`](Self::open), and [`SqlError::NotForDatabase`] if it is another database.
    ///
    /// # Cancel safety
    /// Dropped early, nothing stays open.
    #[cfg(feature = "postgres")]
    pub async fn open_postgres(self) -> Result<sqlx::PgPool, SqlError> {
        let other = SqlError::NotForDatabase {
            setting: "open_postgres",
            product: self.driver()?.product,
        };
        let pool = self.open().await?;
        pool.postgres().cloned().ok_or(other)
    }

    fn driver(&self) -> Result<&'static Driver, SqlError> {
        let scheme = match &self.at {
            Location::Memory | Location::Path(_) => "sqlite",
            Location::Url(url) if url.starts_with("sqlite:") => "sqlite",
            Location::Url(url) => scheme(url).unwrap_or_default(),
        };
        db::driver(scheme).ok_or_else(|| SqlError::NotBuilt {
            scheme: scheme.to_owned(),
            built: db::schemes(),
        })
    }

    pub(crate) fn name(&self) -> String {
        self.at.shown()
    }
}

/// A URL that lost its `//`, or all of its scheme, is taken for a path, and may have a password before the `@`.
fn without_password(path: String) -> String {
    match path.rsplit_once('@') {
        Some((before, host)) if before.contains(':') => format!("..@{host}"),
        _ => path,
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
        let text = refusal("mysql://me:hunter2@db/shop").await;
        assert!(text.contains("`mysql://` is not built in"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_configuration_does_not_show_a_password() {
        let shown = format!(
            "{:?}",
            PoolConfig::new("postgres://me:hunter2@db/shop?password=hunter2")
        );
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[cfg(feature = "sqlite")]
    #[tokio::test]
    async fn a_misspelled_url_is_refused_without_its_password() {
        for at in [
            "me:hunter2@db/shop",
            "postgres:me:hunter2@db/shop",
            "postgres:/me:hunter2@db/shop",
            "sqlite:postgres:me:hunter2@db/shop",
        ] {
            let error = PoolConfig::new(at).open().await.expect_err(at);
            let said = format!("{error} {error:?}");
            assert!(said.contains("..@db/shop") && !said.contains("hunter2"), "{said}");
        }
    }

    #[cfg(feature = "sqlite")]
    #[tokio::test]
    async fn a_database_without_a_path_is_refused() {
        for at in ["", "sqlite:", "sqlite://", "sqlite:?mode=rwc"] {
            assert!(refusal(at).await.contains("empty"), "{at:?}");
        }
    }

    #[cfg(feature = "postgres")]
    #[tokio::test]
    async fn what_is_only_for_sqlite_is_refused() {
        let text = refusal("postgres://me:hunter2@localhost/shop").await;
        assert!(text.contains("`create` is not for PostgreSQL"), "{text}");
    }
}
