//! A table as the source of a cache.

use std::{sync::Arc, time::Duration};

use larder_base::{CacheKey, Clock, KeyPart};
use larder_cache::{BoxError, Source};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use sqlx::{
    AssertSqlSafe, Row, Sqlite, SqlitePool,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use crate::{
    cell::Cell,
    error::{Doing, SqlError},
    key, row,
    schema::{Column, TableSchema, Wanted, look_up},
    statement,
};

/// How long one load may take, waiting for a connection included.
const DEADLINE: Duration = Duration::from_secs(5);

/// A table or view, found by name, read by key: the [`Source`] of a read-through cache.
///
/// The table is looked at when it is first read: its key is its primary key unless [`key`](Self::key) names
/// another, and every name is checked against what exists. Names are quoted and values bound, so neither can run
/// as SQL. A row becomes a value through serde, by column names: NULL is `None`, INTEGER fits integers, floats
/// and (0 or 1) `bool`, BLOB is base64 text for a `String` or a JSON value and bytes for `Vec<u8>`.
///
/// A key finds only the row that spells it alike: `"042"` does not find 42, nor `"ADA"` a row `ada` of a NOCASE
/// column, for an entry under another spelling would outlive the invalidation of the true one. A UUID is looked
/// for as bytes and as lower-case text; a text key finds a BLOB key by its lower-case hex form.
///
/// Many keys are loaded by one statement per 512 of them. Each statement reads a snapshot that begins after
/// the call, as theorem T1 wants it; a column added later is read after the table was looked at again, which
/// happens when a statement fails because the table changed.
///
/// Cheap to clone: clones share the pool and what is known of the table.
#[derive(Clone, Debug)]
pub struct SqlTable {
    pool: SqlitePool,
    name: Arc<str>,
    wanted: Wanted,
    deadline: Duration,
    clock: Clock,
    known: Arc<Mutex<Option<Arc<TableSchema>>>>,
}

impl SqlTable {
    /// The table or view `name` of the database behind `pool`. Nothing is read yet.
    #[must_use]
    pub fn new(pool: SqlitePool, name: &str) -> Self {
        Self {
            pool,
            name: name.into(),
            wanted: Wanted::default(),
            deadline: DEADLINE,
            clock: Clock::system(),
            known: Arc::default(),
        }
    }

    /// Finds rows by `column`, which must be unique, instead of the primary key.
    #[must_use]
    pub fn key(self, column: &str) -> Self {
        self.key_columns([column])
    }

    /// Finds rows by several columns, in the order of the key's parts, instead of the primary key.
    #[must_use]
    pub fn key_columns<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.wanted.key = columns.into_iter().map(Into::into).collect();
        self.forget();
        self
    }

    /// Reads only these columns into the value (default: all of them), so that what need not be cached is not.
    #[must_use]
    pub fn columns<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.wanted.columns = columns.into_iter().map(Into::into).collect();
        self.forget();
        self
    }

    /// How long one load may take, waiting for a connection included (default 5 s).
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The clock of the deadline (default: the system's).
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// What the table looks like: to check at start what would else fail at the first load.
    ///
    /// # Errors
    /// [`SqlError::UnknownTable`], [`SqlError::UnknownColumn`] and [`SqlError::NoKey`] list what exists.
    pub async fn schema(&self) -> Result<Arc<TableSchema>, SqlError> {
        self.within("looking at the table", self.look()).await
    }

    /// The keys of the first `limit` rows in key order, as the text that finds them again.
    ///
    /// # Errors
    /// [`SqlError::KeyShape`] if the key has several columns; else as for a load.
    pub async fn first_keys(&self, limit: u32) -> Result<Vec<String>, SqlError> {
        let read = async {
            let schema = self.look().await?;
            self.check_parts(&schema, 1)?;
            let sql = statement::first_keys(&schema);
            let rows = sqlx::query(AssertSqlSafe(sql))
                .bind(i64::from(limit))
                .fetch_all(&self.pool)
                .await;
            let rows = rows.map_err(SqlError::query(format!("listing keys of table {:?}", self.name)))?;
            let cells: Result<Vec<Cell>, sqlx::Error> = rows.iter().map(|row| Cell::read(row, 0)).collect();
            let cells = cells.map_err(SqlError::query("reading a key"))?;
            Ok(cells.iter().filter_map(key::written).collect())
        };
        self.within("listing keys", read).await
    }

    /// The rows of those `keys` that exist.
    ///
    /// # Errors
    /// Any [`SqlError`]; see [`SqlError::is_retryable`].
    pub async fn rows<K: CacheKey, V: DeserializeOwned>(&self, keys: &[K]) -> Result<Vec<(K, V)>, SqlError> {
        self.within("loading rows", self.load_fresh(keys)).await
    }

    fn forget(&mut self) {
        // A new cell rather than an emptied one: clones made before keep their own settings and what they know.
        self.known = Arc::default();
    }

    async fn within<T>(&self, doing: &str, work: impl Future<Output = Result<T, SqlError>>) -> Result<T, SqlError> {
        let late = || SqlError::Deadline {
            doing: Doing(format!("{doing} of {:?}", self.name)),
            waited: self.deadline,
        };
        self.clock
            .timeout(self.deadline, work)
            .await
            .unwrap_or_else(|| Err(late()))
    }

    async fn look(&self) -> Result<Arc<TableSchema>, SqlError> {
        if let Some(known) = self.known.lock().clone() {
            return Ok(known);
        }
        let schema = Arc::new(look_up(&self.pool, &self.name, &self.wanted).await?);
        *self.known.lock() = Some(schema.clone());
        Ok(schema)
    }

    /// Loads, and once more with a fresh look at the table if it changed under the statement.
    async fn load_fresh<K: CacheKey, V: DeserializeOwned>(&self, keys: &[K]) -> Result<Vec<(K, V)>, SqlError> {
        match self.load_all(keys).await {
            Err(changed) if changed.is_schema_change() => {
                *self.known.lock() = None;
                self.load_all(keys).await
            }
            loaded => loaded,
        }
    }

    async fn load_all<K: CacheKey, V: DeserializeOwned>(&self, keys: &[K]) -> Result<Vec<(K, V)>, SqlError> {
        let schema = self.look().await?;
        let untyped: Vec<bool> = schema.key_columns().map(Column::is_untyped).collect();
        let mut tuples: Vec<Tuple> = Vec::with_capacity(keys.len());
        for (place, key) in keys.iter().enumerate() {
            let parts = key::parts_of(key);
            self.check_parts(&schema, parts.len())?;
            tuples.extend(
                key::forms(&parts, &untyped)
                    .into_iter()
                    .map(|cells| Tuple { place, cells }),
            );
        }
        let mut found = vec![None; keys.len()];
        for chunk in tuples.chunks(statement::tuples_per_statement(schema.key.len())) {
            self.load_chunk(&schema, keys, chunk, &mut found).await?;
        }
        let found = keys.iter().zip(found);
        found
            .filter_map(|(key, cells)| Some((key, cells?)))
            .map(|(key, cells)| Ok((key.clone(), self.decode(&schema, cells)?)))
            .collect()
    }

    async fn load_chunk<K: CacheKey>(
        &self,
        schema: &TableSchema,
        keys: &[K],
        chunk: &[Tuple],
        found: &mut [Option<Vec<Cell>>],
    ) -> Result<(), SqlError> {
        let size = statement::padded(chunk.len());
        // The last tuple fills the statement up: its repeats find the same row, under places that are ignored.
        let last = chunk.last().expect("chunks are not empty");
        let padded = chunk.iter().chain(std::iter::repeat_n(last, size - chunk.len()));
        let values = padded.flat_map(|tuple| &tuple.cells);
        let query = values.fold(sqlx::query(AssertSqlSafe(statement::select(schema, size))), bind);
        let rows = query.fetch_all(&self.pool).await;
        let rows = rows.map_err(SqlError::query(format!("loading rows of table {:?}", schema.name)))?;
        for row in &rows {
            let read = read_row(row, schema).map_err(SqlError::query("reading a row"))?;
            let Some(tuple) = chunk.get(read.tuple) else { continue };
            if !answers(&key::parts_of(&keys[tuple.place]), &read.key) {
                continue;
            }
            if found[tuple.place].replace(read.cells).is_some() {
                let (table, columns) = (schema.name.clone(), schema.key_names());
                return Err(SqlError::NotUnique { table, columns });
            }
        }
        Ok(())
    }

    fn check_parts(&self, schema: &TableSchema, parts: usize) -> Result<(), SqlError> {
        if schema.key.len() == parts {
            return Ok(());
        }
        Err(SqlError::KeyShape {
            table: schema.name.clone(),
            parts,
            columns: schema.key_names(),
        })
    }

    fn decode<V: DeserializeOwned>(&self, schema: &TableSchema, cells: Vec<Cell>) -> Result<V, SqlError> {
        let names: Vec<&str> = schema.read_columns().map(|column| column.name.as_str()).collect();
        row::decode(&names, cells).map_err(|misfit| SqlError::Row {
            table: schema.name.clone(),
            wanted: std::any::type_name::<V>(),
            why: misfit.to_string(),
        })
    }
}

impl<K, V> Source<K, V> for SqlTable
where
    K: CacheKey,
    V: DeserializeOwned + Send,
{
    async fn load(&self, key: &K) -> Result<Option<V>, BoxError> {
        let found = self.rows(std::slice::from_ref(key)).await?;
        Ok(found.into_iter().next().map(|(_, value)| value))
    }

    async fn load_many(&self, keys: &[K]) -> Result<Vec<(K, V)>, BoxError> {
        Ok(self.rows(keys).await?)
    }
}

/// The values of one key, and the place of that key in the call.
struct Tuple {
    place: usize,
    cells: Vec<Cell>,
}

/// One row of [`statement::select`].
struct Read {
    tuple: usize,
    key: Vec<Cell>,
    cells: Vec<Cell>,
}

fn read_row(row: &SqliteRow, schema: &TableSchema) -> Result<Read, sqlx::Error> {
    let keys = schema.key.len();
    let cells = |from: usize, to: usize| (from..to).map(|at| Cell::read(row, at)).collect::<Result<Vec<_>, _>>();
    Ok(Read {
        tuple: usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(usize::MAX),
        key: cells(1, 1 + keys)?,
        cells: cells(1 + keys, 1 + keys + schema.read.len())?,
    })
}

fn answers(parts: &[KeyPart<'_>], cells: &[Cell]) -> bool {
    parts.iter().zip(cells).all(|(part, cell)| key::is_same(part, cell))
}

fn bind<'q>(query: Query<'q, Sqlite, SqliteArguments>, cell: &Cell) -> Query<'q, Sqlite, SqliteArguments> {
    match cell {
        Cell::Null => query.bind(None::<i64>),
        Cell::Integer(number) => query.bind(*number),
        Cell::Real(number) => query.bind(*number),
        Cell::Text(text) => query.bind(text.clone()),
        Cell::Blob(bytes) => query.bind(bytes.clone()),
    }
}
