//! Why a table could not be read.

use std::{fmt, time::Duration};

use larder_base::KeyLabel;
use larder_cache::{BoxError, SinkError};

use crate::db::{self, Meaning};

/// What went wrong between a cache and its database, on what, and the setting that helps.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqlError {
    /// The database could not be opened.
    #[error("cannot open the {product} database at {at}{}", if_missing(source))]
    Open {
        /// What the database is called.
        product: &'static str,
        /// Path, or host and name; never a password.
        at: String,
        /// What the driver said.
        source: sqlx::Error,
    },

    /// The URL names a database that this build cannot read. The rest of it may hold a password and is not shown.
    #[error("`{scheme}://` is not built in; {built} can be opened")]
    NotBuilt {
        /// What stands before `://`.
        scheme: String,
        /// What can be opened.
        built: String,
    },

    /// A setting of [`PoolConfig`](crate::PoolConfig) has no meaning for the database that the URL names.
    #[error("`{setting}` is not for {product}: leave it out")]
    NotForDatabase {
        /// The setting.
        setting: &'static str,
        /// What the database is called.
        product: &'static str,
    },

    /// The path or URL names no file.
    #[error("the path of the SQLite database is empty; give a path or `sqlite:PATH`, or use `PoolConfig::in_memory`")]
    NoPath,

    /// No table or view has that name.
    #[error("no table {table:?} in the database (a name is taken whole and never runs as SQL); it has {existing}")]
    UnknownTable {
        /// The name that was asked for.
        table: String,
        /// The names there are.
        existing: Names,
    },

    /// The table has no such column.
    #[error(
        "table {table:?} has no column {column:?} (a name is taken whole and never runs as SQL); it has {existing}"
    )]
    UnknownColumn {
        /// The table.
        table: String,
        /// The column that was asked for.
        column: String,
        /// The columns there are.
        existing: Names,
    },

    /// The table says no primary key and none was named.
    #[error("table {table:?} has no primary key: name a column that is unique with `key`; it has {existing}")]
    NoKey {
        /// The table.
        table: String,
        /// The columns there are.
        existing: Names,
    },

    /// The type of the cache's key does not fit the key columns.
    #[error(
        "a key of {parts} part(s) cannot find a row of table {table:?}, whose key is {columns}: use a tuple of as many parts, or name one unique column with `key`"
    )]
    KeyShape {
        /// The table.
        table: String,
        /// Parts of the key that was asked for.
        parts: usize,
        /// The key columns.
        columns: Names,
    },

    /// A column has a type that Larder does not read, or does not find rows by.
    #[error("column {column:?} of table {table:?} has the type {declared}, which cannot {part}")]
    ColumnType {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Its type as the database says it.
        declared: String,
        /// What it cannot do, and what helps.
        part: &'static str,
    },

    /// Two rows answer to one key.
    #[error("more than one row of table {table:?} has the same {columns}: name a column that is unique with `key`")]
    NotUnique {
        /// The table.
        table: String,
        /// The key columns.
        columns: Names,
    },

    /// SQL of one's own does not do its part.
    #[error("the SQL for `{what}` cannot be used: {why}")]
    OwnSql {
        /// What it is for.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },

    /// A row does not fit the type of the cache's value.
    #[error("a row of table {table:?} does not fit {wanted}: {why}")]
    Row {
        /// The table.
        table: String,
        /// The type it should become.
        wanted: &'static str,
        /// The column and what is wrong with it; never the value.
        why: String,
    },

    /// A value does not become a row.
    #[error("a value of {given} does not become a row of table {table:?}: {why}")]
    Value {
        /// The table.
        table: String,
        /// The type of the value.
        given: &'static str,
        /// The column and what is wrong; never the value.
        why: String,
    },

    /// The key is not one that the table can have, or not the one that the value has.
    #[error("the key is not written to table {table:?}: column {column:?} {why}")]
    Key {
        /// The table.
        table: String,
        /// The key column.
        column: String,
        /// What is wrong; never the key.
        why: String,
    },

    /// A row that the database calls equal stands where the row should be.
    #[error(
        "nothing was written to table {table:?}: a row whose key is spelled differently, but equal to the database, is there (key {columns})"
    )]
    Spelling {
        /// The table.
        table: String,
        /// The key columns.
        columns: Names,
    },

    /// The database took the statement and wrote fewer rows.
    #[error("table {table:?} took {taken} of {given} rows without an error: a trigger or a rule drops them")]
    NotTaken {
        /// The table.
        table: String,
        /// Rows written.
        taken: usize,
        /// Rows that should have been.
        given: usize,
    },

    /// The table was not made ready for writing behind.
    #[error(
        "table {table:?} is not ready for writing behind: run `larder sql prepare --db URL --table {table} --namespace {namespace}`"
    )]
    NotPrepared {
        /// The table.
        table: String,
        /// The namespace that wants to write.
        namespace: String,
    },

    /// Another namespace writes to the table.
    #[error(
        "table {table:?} belongs to the namespace {owner:?}, and {namespace:?} cannot write to it as well: the order of their writes cannot be compared"
    )]
    Owned {
        /// The table.
        table: String,
        /// The namespace that was first.
        owner: String,
        /// The namespace that was refused.
        namespace: String,
    },

    /// The table cannot be made ready for writing behind.
    #[error("table {table:?} cannot be written behind: {why}")]
    NotVersioned {
        /// The table.
        table: String,
        /// Why not, and what helps.
        why: String,
    },

    /// The database has no outbox.
    #[error(
        "the database has no table larder_outbox where it is looked for: run `larder sql outbox --db URL`, or `Outbox::prepare`"
    )]
    NoOutbox {
        /// What the driver said.
        source: Box<Self>,
    },

    /// A later holder of the lock was at the database first.
    #[error(
        "the lock on `{lock}` has had a later holder: {}; stop what is done under it, and take it anew",
        later(*fence, *newest)
    )]
    Fenced {
        /// What is locked.
        lock: KeyLabel,
        /// The fence that was turned away.
        fence: u64,
        /// The highest that was here; nothing where a row said that there is a higher one.
        newest: Option<u64>,
    },

    /// The lock was lost before the transaction was committed.
    #[error("the lock on `{lock}` is not held any more, so that nothing was committed under it; take it anew")]
    LockLost {
        /// What is locked.
        lock: KeyLabel,
        /// How its holder knows.
        source: BoxError,
    },

    /// The guard has no number that would tell it from others.
    #[error(
        "the guard of `{lock}` has no fence, as those of readers and permits have none: a fenced transaction needs an exclusive lock"
    )]
    NoFence {
        /// What is locked.
        lock: KeyLabel,
    },

    /// The database has no table of fences.
    #[error(
        "the database has no table larder_fences on its search path: run `larder sql fences --db URL`, or `Fences::prepare`"
    )]
    NoFences {
        /// What the driver said.
        source: Box<Self>,
    },

    /// A tag that no value can have.
    #[error("a tag has 1 to {} bytes, not {bytes}", larder_cache::TAG_BYTES)]
    Tag {
        /// How many it has.
        bytes: usize,
    },

    /// The connection was lost, or the deadline passed, while a change was being committed.
    #[error("it is not known whether the change was committed while {doing}")]
    InDoubt {
        /// What was being done.
        doing: Doing,
        /// What the driver said; nothing where the deadline passed.
        source: Option<sqlx::Error>,
    },

    /// The database did not answer in time.
    #[error(
        "the database did not answer within {waited:?} while {doing}; raise `deadline`, or look for a writer that holds its lock"
    )]
    Deadline {
        /// What was being done.
        doing: Doing,
        /// How long was waited.
        waited: Duration,
    },

    /// The database answered with an error.
    #[error("the database failed while {doing}")]
    Query {
        /// What was being done.
        doing: Doing,
        /// What the driver said.
        source: sqlx::Error,
    },
}

impl From<SqlError> for SinkError {
    fn from(error: SqlError) -> Self {
        match error.kind() {
            ErrorKind::Retryable => Self::retryable(error),
            ErrorKind::Permanent => Self::permanent(error),
            ErrorKind::InDoubt => Self::in_doubt(error),
        }
    }
}

/// What a flusher is told: whatever keeps everybody from the table is no fault of the changes, and they wait until it is
/// repaired. A permanent error would put each aside, one by one, and readers would get the rows from before.
pub(crate) fn flushing(error: SqlError) -> SinkError {
    match error.is_of_table() {
        true => SinkError::retryable(error),
        false => error.into(),
    }
}

/// What a statement was for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doing(pub(crate) String);

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What can be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The same call may succeed a moment later, and this one changed nothing: a lock, a deadlock, a lost connection,
    /// a database that starts or is full.
    Retryable,
    /// The same call fails again: a constraint, a value that does not fit, a wrong name.
    Permanent,
    /// The connection was lost while a change was being committed: it may or may not have happened.
    InDoubt,
}

/// What to do where SQLite finds no file.
fn if_missing(error: &sqlx::Error) -> &'static str {
    // SQLITE_CANTOPEN; the codes of PostgreSQL have five characters.
    match error.as_database_error().and_then(sqlx::error::DatabaseError::code) {
        Some(code) if code == "14" => "; if there is no such file, `PoolConfig::create()` makes one",
        _ => "",
    }
}

impl SqlError {
    pub(crate) fn query(doing: impl Into<String>) -> impl FnOnce(sqlx::Error) -> Self {
        let doing = Doing(doing.into());
        move |source| Self::Query { doing, source }
    }

    /// What can be done about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Deadline { .. } => ErrorKind::Retryable,
            Self::InDoubt { .. } => ErrorKind::InDoubt,
            Self::Open { source, .. } | Self::Query { source, .. } => kind(source),
            _ => ErrorKind::Permanent,
        }
    }

    /// Whether the same call may succeed a moment later: a lock held by another writer, no free connection, a
    /// deadline. A wrong name or a row that does not fit stays wrong.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind() == ErrorKind::Retryable
    }

    /// Whether the table or its columns changed since they were last looked at.
    pub(crate) fn is_schema_change(&self) -> bool {
        let Self::Query {
            source: sqlx::Error::Database(error),
            ..
        } = self
        else {
            return false;
        };
        db::meaning(error.as_ref()) == Some(Meaning::SchemaChanged)
    }

    /// Whether a fresh look at the table may show another: it says that its schema changed, or what was to be written does
    /// not fit the columns that are known, and one that was added or widened since is not known yet.
    pub(crate) fn may_be_outdated(&self) -> bool {
        let is_misfit = matches!(
            self,
            Self::UnknownColumn { .. } | Self::Value { .. } | Self::Key { .. } | Self::NotVersioned { .. }
        );
        is_misfit || self.is_schema_change()
    }

    /// Whether it is about the table, the database, or the way to it, rather than about what was to be written: no other
    /// row would fare better, and this one would once somebody has repaired it.
    fn is_of_table(&self) -> bool {
        match self {
            Self::UnknownTable { .. }
            | Self::NoKey { .. }
            | Self::KeyShape { .. }
            | Self::ColumnType { .. }
            | Self::NotUnique { .. }
            | Self::NotPrepared { .. }
            | Self::Owned { .. }
            | Self::NotVersioned { .. } => true,
            Self::Open { source, .. } | Self::Query { source, .. } => match source {
                sqlx::Error::PoolClosed | sqlx::Error::Tls(_) | sqlx::Error::Configuration(_) => true,
                sqlx::Error::Database(error) => {
                    matches!(
                        db::meaning(error.as_ref()),
                        Some(Meaning::SchemaChanged | Meaning::Closed)
                    )
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// As it is, or that there is no outbox if that is what is wrong.
    pub(crate) fn or_no_outbox(self) -> Self {
        if self.is_schema_change() {
            let source = Box::new(self);
            return Self::NoOutbox { source };
        }
        self
    }

    /// As it is, or that there is no table of fences if that is what is wrong.
    pub(crate) fn or_no_fences(self) -> Self {
        if self.is_schema_change() {
            let source = Box::new(self);
            return Self::NoFences { source };
        }
        self
    }

    /// Whether the lock under which it was to be done is another's by now, or may be: nothing was done, and nothing more should
    /// be.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Fenced { .. } | Self::LockLost { .. })
    }

    /// The error of what may have been committed: in doubt if the connection was lost.
    pub(crate) fn committing(doing: String) -> impl FnOnce(sqlx::Error) -> Self {
        let doing = Doing(doing);
        move |source| {
            let is_unknown = is_connection_lost(&source) || kind(&source) == ErrorKind::InDoubt;
            match is_unknown {
                true => Self::InDoubt {
                    doing,
                    source: Some(source),
                },
                false => Self::Query { doing, source },
            }
        }
    }

    /// Whether the connection was lost, as it is when the database was started anew.
    pub(crate) fn is_connection_lost(&self) -> bool {
        matches!(self, Self::Query { source, .. } if is_connection_lost(source))
    }
}

fn kind(error: &sqlx::Error) -> ErrorKind {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed | sqlx::Error::Protocol(_) => {
            ErrorKind::Retryable
        }
        sqlx::Error::Database(error) => match db::meaning(error.as_ref()) {
            Some(Meaning::Kind(kind)) => kind,
            Some(Meaning::SchemaChanged | Meaning::Closed) | None => ErrorKind::Permanent,
        },
        _ => ErrorKind::Permanent,
    }
}

/// Whether the connection that an error came over is gone.
pub(crate) fn is_connection_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed | sqlx::Error::Protocol(_) => true,
        // admin_shutdown, crash_shutdown, idle_session_timeout
        sqlx::Error::Database(error) => matches!(error.code().as_deref(), Some("57P01" | "57P02" | "57P05")),
        _ => false,
    }
}

fn later(fence: u64, newest: Option<u64>) -> String {
    match newest {
        Some(newest) => format!("fence {fence} came after {newest}"),
        None => format!("a row has a higher fence than {fence}"),
    }
}

/// Names of tables or columns, for an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(Vec<String>);

/// A database may have hundreds of tables; an error must stay readable.
const NAMES_SHOWN: usize = 20;

impl Names {
    pub(crate) fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, name) in self.0.iter().take(NAMES_SHOWN).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{name:?}")?;
        }
        match self.0.len().checked_sub(NAMES_SHOWN) {
            Some(more) if more > 0 => write!(f, " and {more} more"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_of_names_are_cut_and_counted() {
        let names = Names::new((0..23).map(|n| format!("t{n}")));
        assert!(names.to_string().ends_with("\"t19\" and 3 more"), "{names}");
        assert_eq!(Names::new(["a", "b"]).to_string(), "\"a\", \"b\"");
        assert_eq!(Names::new(Vec::<String>::new()).to_string(), "none");
    }
}
