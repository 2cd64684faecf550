//! A table as the source of a cache.

use std::{sync::Arc, time::Duration};

use larder_base::{CacheKey, Clock, KeyPart};
use larder_cache::{BoxError, SharedSink, Source};
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Pool,
    cell::Cell,
    db::{self, Database, Statement},
    error::SqlError,
    key,
    outbox::SinkOutbox,
    prepare::Prepared,
    row,
    schema::{TableSchema, Wanted, look_up},
    session::{DEADLINE, Deadline, Doubt},
    statement,
};

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
    pool: Pool,
    name: Arc<str>,
    wanted: Wanted,
    counter: Option<Arc<str>>,
    deadline: Deadline,
    outbox: Option<SinkOutbox>,
    known: Arc<Mutex<Known>>,
}

/// What was last seen of the table.
#[derive(Debug, Default)]
struct Known {
    schema: Option<Arc<TableSchema>>,
    prepared: Option<Arc<Prepared>>,
}

impl SqlTable {
    /// The table or view `name` of the database behind `pool`. Nothing is read yet.
    #[must_use]
    pub fn new(pool: impl Into<Pool>, name: &str) -> Self {
        Self {
            pool: pool.into(),
            name: name.into(),
            wanted: Wanted::default(),
            counter: None,
            deadline: Deadline {
                clock: Clock::system(),
                span: DEADLINE,
            },
            outbox: None,
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

    /// Counts [`Cache::incr`](larder_cache::Cache::incr) of a cache that writes behind in `column`, an integer column of
    /// the row (default: none, and `incr` is refused). NULL counts as 0. A counter whose row is not there gets one, of key and
    /// counter alone, which a table with other columns that must not be NULL refuses.
    ///
    /// Leave the column out of the value's type: a put writes every field that the value has. `larder_counts` keeps what
    /// was counted of each counter in each epoch, so that nothing is counted twice.
    #[must_use]
    pub fn counter(mut self, column: &str) -> Self {
        self.counter = Some(column.into());
        self
    }

    /// How long one load or write may take, waiting for a connection included (default 5 s).
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline.span = deadline;
        self
    }

    /// The clock of the deadline (default: the system's).
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.deadline.clock = clock;
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
            schema.check_parts(1)?;
            let rows = self.fetch("listing keys", statement::first_keys(self.database(), &schema, limit));
            Ok(rows.await?.iter().flatten().filter_map(key::written).collect())
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

    pub(crate) fn with_outbox(mut self, outbox: SinkOutbox) -> Self {
        self.outbox = Some(outbox);
        self
    }

    pub(crate) const fn sink_outbox(&self) -> Option<&SinkOutbox> {
        self.outbox.as_ref()
    }

    fn forget(&mut self) {
        // A new cell rather than an emptied one: clones made before keep their own settings and what they know.
        self.known = Arc::default();
    }

    pub(crate) fn forget_schema(&self) {
        *self.known.lock() = Known::default();
    }

    pub(crate) fn known_prepared(&self) -> Option<Arc<Prepared>> {
        self.known.lock().prepared.clone()
    }

    pub(crate) fn keep_prepared(&self, prepared: Prepared) -> Arc<Prepared> {
        let prepared = Arc::new(prepared);
        self.known.lock().prepared = Some(prepared.clone());
        prepared
    }

    pub(crate) fn counter_column(&self) -> Option<&str> {
        self.counter.as_deref()
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs `work` within the deadline, and once more with a fresh look at the table if it may have changed meanwhile,
    /// for then nothing was committed.
    pub(crate) async fn write<T, F>(
        &self,
        doing: &'static str,
        work: impl Fn(Arc<TableSchema>, Doubt) -> F + Send + Sync,
    ) -> Result<T, SqlError>
    where
        F: Future<Output = Result<T, SqlError>> + Send,
    {
        let doubt = Doubt::default();
        let work = async {
            match work(self.look().await?, doubt.clone()).await {
                Err(changed) if changed.may_be_outdated() => {
                    self.forget_schema();
                    work(self.look().await?, doubt.clone()).await
                }
                done => done,
            }
        };
        self.deadline
            .run(&format!("{doing} of {:?}", self.name), &doubt, work)
            .await
    }

    async fn within<T>(&self, doing: &str, work: impl Future<Output = Result<T, SqlError>>) -> Result<T, SqlError> {
        let doing = format!("{doing} of {:?}", self.name);
        self.deadline.run(&doing, &Doubt::default(), work).await
    }

    async fn look(&self) -> Result<Arc<TableSchema>, SqlError> {
        if let Some(known) = self.known.lock().schema.clone() {
            return Ok(known);
        }
        let schema = Arc::new(look_up(self.database(), &self.name, &self.wanted).await?);
        self.known.lock().schema = Some(schema.clone());
        Ok(schema)
    }

    pub(crate) fn database(&self) -> &dyn Database {
        &*self.pool.0
    }

    async fn fetch(&self, doing: &str, statement: Statement) -> Result<Vec<db::Row>, SqlError> {
        let rows = self.database().fetch(statement).await;
        rows.map_err(SqlError::query(format!("{doing} of table {:?}", self.name)))
    }

    /// Loads, and once more with a fresh look at the table if it changed under the statement, or on another
    /// connection if this one was lost: reading twice does no harm, and the pool notices only here that a database
    /// was started anew.
    async fn load_fresh<K: CacheKey, V: DeserializeOwned>(&self, keys: &[K]) -> Result<Vec<(K, V)>, SqlError> {
        match self.load_all(keys).await {
            Err(changed) if changed.is_schema_change() => {
                self.forget_schema();
                self.load_all(keys).await
            }
            Err(lost) if lost.is_connection_lost() => self.load_all(keys).await,
            loaded => loaded,
        }
    }

    pub(crate) async fn load_all<K: CacheKey, V: DeserializeOwned>(&self, keys: &[K]) -> Result<Vec<(K, V)>, SqlError> {
        let schema = self.look().await?;
        let mut tuples: Vec<Tuple> = Vec::with_capacity(keys.len());
        for (place, key) in keys.iter().enumerate() {
            let parts = key::parts_of(key);
            schema.check_parts(parts.len())?;
            let forms = forms(self.database(), &schema, &parts);
            tuples.extend(forms.into_iter().map(|cells| Tuple { place, cells }));
        }
        let mut found = vec![None; keys.len()];
        for chunk in tuples.chunks(self.database().tuples_per_statement(schema.key.len())) {
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
        let cells: Vec<&[Cell]> = chunk.iter().map(|tuple| tuple.cells.as_slice()).collect();
        let select = statement::select(self.database(), schema, &cells);
        for row in self.fetch("loading rows", select).await? {
            let read = Read::new(row, schema.key.len());
            let Some(tuple) = read.tuple.and_then(|at| chunk.get(at)) else {
                continue;
            };
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

    pub(crate) fn decode<V: DeserializeOwned>(&self, schema: &TableSchema, cells: Vec<Cell>) -> Result<V, SqlError> {
        let names: Vec<&str> = schema.read_columns().map(|column| column.name.as_str()).collect();
        let cells = schema.read_columns().zip(cells);
        let cells = cells.map(|(column, cell)| row::settle(column.kind, cell)).collect();
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
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    async fn load(&self, key: &K) -> Result<Option<V>, BoxError> {
        let found = self.rows(std::slice::from_ref(key)).await?;
        Ok(found.into_iter().next().map(|(_, value)| value))
    }

    async fn load_many(&self, keys: &[K]) -> Result<Vec<(K, V)>, BoxError> {
        Ok(self.rows(keys).await?)
    }

    fn sink(&self) -> Option<SharedSink<K, V>> {
        Some(SharedSink::new(self.clone()))
    }
}

/// The values of one key, and the place of that key in the call.
struct Tuple {
    place: usize,
    cells: Vec<Cell>,
}

/// One row of [`statement::select`].
struct Read {
    tuple: Option<usize>,
    key: Vec<Cell>,
    cells: Vec<Cell>,
}

impl Read {
    fn new(mut row: db::Row, parts: usize) -> Self {
        let cells = row.split_off(1 + parts);
        let key = row.split_off(1);
        let tuple = match row.as_slice() {
            [Cell::Integer(place)] => usize::try_from(*place).ok(),
            _ => None,
        };
        Self { tuple, key, cells }
    }
}

/// The values under which a row with this key may be found, as tuples of its parts: most keys have one, a key that no
/// row can have has none.
pub(crate) fn forms(database: &dyn Database, schema: &TableSchema, parts: &[KeyPart<'_>]) -> Vec<Vec<Cell>> {
    let mut tuples = vec![Vec::with_capacity(parts.len())];
    for (part, column) in parts.iter().zip(schema.key_columns()) {
        let forms = database.key_forms(part, column);
        let longer = |tuple: &Vec<Cell>, form: &Cell| tuple.iter().chain([form]).cloned().collect();
        tuples = tuples
            .iter()
            .flat_map(|tuple| forms.iter().map(move |form| longer(tuple, form)))
            .collect();
    }
    tuples
}

fn answers(parts: &[KeyPart<'_>], cells: &[Cell]) -> bool {
    parts.iter().zip(cells).all(|(part, cell)| key::is_same(part, cell))
}
