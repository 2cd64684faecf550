//! The user's own SQL as the source and the sink of a cache.

use std::{collections::HashMap, sync::Arc, time::Duration};

use larder_base::{CacheKey, Clock, KeyPart};
use larder_cache::{BoxError, SharedSink, Sink, SinkError, Source};
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Pool,
    cell::{Bind, Cell},
    db::{Database, Row, Scope, Statement},
    error::SqlError,
    key,
    named::Named,
    record::{self, Given, Record},
    row,
    schema::Column,
    session::{DEADLINE, Deadline, Doubt, Writing},
};

/// SQL of your own as the [`Source`] and the [`Sink`] of a cache, where a table by its name is not enough: joins,
/// functions, soft deletes.
///
/// Variables are named: `:id` is the key, or its parts by the names that [`key`](Self::key) gives; in
/// [`on_put`](Self::on_put) the fields of the value have their names as well. In SQLite each has the type of its value. **In
/// PostgreSQL each is text, and is cast where it is used**: `:id::int8`, `:at::timestamptz`, `:doc::jsonb`. What stands
/// in quotes or comments is left alone.
///
/// A row becomes a value as with [`SqlTable`](crate::SqlTable), by the columns' names.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # async fn shown() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// use larder_cache::{Sink, Source};
/// use larder_sql::{PoolConfig, SqlQuery};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct User {
///     name: String,
/// }
///
/// let pool = PoolConfig::in_memory().open_sqlite().await?;
/// sqlx::query("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, gone INTEGER DEFAULT 0)").execute(&pool).await?;
/// let users = SqlQuery::new(pool)
///     .on_load("SELECT name FROM users WHERE id = :id AND NOT gone")
///     .on_load_many("SELECT id, name FROM users WHERE id IN (SELECT value FROM json_each(:id)) AND NOT gone")
///     .on_put("INSERT INTO users (id, name) VALUES (:id, :name) ON CONFLICT (id) DO UPDATE SET name = :name, gone = 0")
///     .on_remove("UPDATE users SET gone = 1 WHERE id = :id AND NOT gone");
///
/// users.put(&7_u64, &User { name: "Ada".into() }).await?;
/// let ada: Option<User> = users.load(&7_u64).await?;
/// assert_eq!(ada.map(|user| user.name).as_deref(), Some("Ada"));
/// assert!(Sink::<u64, User>::remove(&users, &7).await?);
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(shown()).unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use = "a query does nothing until it is a cache's source"]
pub struct SqlQuery {
    pool: Pool,
    key: Vec<String>,
    load: Option<Select>,
    load_many: Option<Select>,
    put: Option<Arc<Named>>,
    remove: Option<Arc<Named>>,
    deadline: Deadline,
}

/// A query, and what its columns were when it was last looked at.
#[derive(Clone, Debug)]
struct Select {
    named: Arc<Named>,
    columns: Arc<Mutex<Option<Arc<Vec<Column>>>>>,
}

impl Select {
    fn new(sql: &str) -> Self {
        Self {
            named: Arc::new(Named::parse(sql)),
            columns: Arc::default(),
        }
    }
}

impl SqlQuery {
    /// Nothing yet: what is not given below is refused when it is needed.
    pub fn new(pool: impl Into<Pool>) -> Self {
        Self {
            pool: pool.into(),
            key: vec!["id".to_owned()],
            load: None,
            load_many: None,
            put: None,
            remove: None,
            deadline: Deadline {
                clock: Clock::system(),
                span: DEADLINE,
            },
        }
    }

    /// The names of the key's parts (default: `id`), as variables and as columns.
    pub fn key<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.key = names.into_iter().map(Into::into).collect();
        self
    }

    /// The query for the row of one key.
    pub fn on_load(mut self, sql: &str) -> Self {
        self.load = Some(Select::new(sql));
        self
    }

    /// The query for the rows of many keys (default: one [`on_load`](Self::on_load) after another). Each variable is a list:
    /// in PostgreSQL an array of text, `= ANY(:id::int8[])`; in SQLite a JSON array, `IN (SELECT value FROM
    /// json_each(:id))`, in which bytes are lower-case hex. The rows carry their key in columns named as its parts.
    pub fn on_load_many(mut self, sql: &str) -> Self {
        self.load_many = Some(Select::new(sql));
        self
    }

    /// The statement that puts a value under a key.
    pub fn on_put(mut self, sql: &str) -> Self {
        self.put = Some(Arc::new(Named::parse(sql)));
        self
    }

    /// The statement that removes the value of a key: there was one if it changed a row.
    pub fn on_remove(mut self, sql: &str) -> Self {
        self.remove = Some(Arc::new(Named::parse(sql)));
        self
    }

    /// How long one load or write may take, waiting for a connection included (default 5 s).
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline.span = deadline;
        self
    }

    /// The clock of the deadline (default: the system's).
    pub fn clock(mut self, clock: Clock) -> Self {
        self.deadline.clock = clock;
        self
    }

    fn database(&self) -> &dyn Database {
        &*self.pool.0
    }

    fn parts<'k, K: CacheKey>(&self, key: &'k K) -> Result<Vec<KeyPart<'k>>, SqlError> {
        let parts = key::parts_of(key);
        if parts.len() == self.key.len() {
            return Ok(parts);
        }
        let why = format!("the key has {} parts, and `key` names {:?}", parts.len(), self.key);
        Err(SqlError::OwnSql { what: "key", why })
    }

    async fn rows(
        &self,
        what: &'static str,
        select: &Select,
        binds: Vec<Bind>,
    ) -> Result<(Arc<Vec<Column>>, Vec<Row>), SqlError> {
        let work = async {
            match self.rows_once(what, select, binds.clone()).await {
                Err(changed) if changed.is_schema_change() => {
                    *select.columns.lock() = None;
                    self.rows_once(what, select, binds).await
                }
                Err(lost) if lost.is_connection_lost() => self.rows_once(what, select, binds).await,
                done => done,
            }
        };
        self.deadline
            .run(&format!("running the SQL for {what}"), &Doubt::default(), work)
            .await
    }

    async fn rows_once(
        &self,
        what: &'static str,
        select: &Select,
        binds: Vec<Bind>,
    ) -> Result<(Arc<Vec<Column>>, Vec<Row>), SqlError> {
        let failed = |error| SqlError::query(format!("running the SQL for {what}"))(error);
        let known = select.columns.lock().clone();
        let columns = match known {
            Some(columns) => columns,
            None => {
                let statement = Statement {
                    sql: select.named.sql.clone(),
                    binds: binds.clone(),
                };
                let columns = Arc::new(self.database().describe(&statement).await.map_err(failed)?);
                *select.columns.lock() = Some(columns.clone());
                columns
            }
        };
        let read = |column: &Column| {
            self.database().read(column, "q.").ok_or_else(|| SqlError::OwnSql {
                what,
                why: format!(
                    "column {:?} is of type {}, which is not read: cast it",
                    column.name, column.declared
                ),
            })
        };
        let read: Vec<String> = columns.iter().map(read).collect::<Result<_, _>>()?;
        // On a line of its own: the SQL may end in a comment.
        let sql = format!("SELECT {} FROM (\n{}\n) AS q", read.join(", "), select.named.sql);
        let rows = self.database().fetch(Statement { sql, binds }).await.map_err(failed)?;
        Ok((columns, rows))
    }

    async fn load_one<K: CacheKey, V: DeserializeOwned>(&self, key: &K) -> Result<Option<V>, SqlError> {
        let select = self.load.as_ref().ok_or_else(|| missing("load"))?;
        let binds = self.bind("load", &select.named, key, &HashMap::new())?;
        let (columns, rows) = self.rows("load", select, binds).await?;
        let mut rows = rows.into_iter();
        match (rows.next(), rows.next()) {
            (None, _) => Ok(None),
            (Some(row), None) => decode(&columns, row).map(Some),
            (Some(_), Some(_)) => Err(SqlError::OwnSql {
                what: "load",
                why: "it found more than one row for one key".to_owned(),
            }),
        }
    }

    async fn load_all<K: CacheKey, V: DeserializeOwned>(
        &self,
        select: &Select,
        keys: &[K],
    ) -> Result<Vec<(K, V)>, SqlError> {
        let mut lists: Vec<Vec<Cell>> = vec![Vec::with_capacity(keys.len()); self.key.len()];
        let mut places: HashMap<Vec<String>, usize> = HashMap::with_capacity(keys.len());
        for (at, key) in keys.iter().enumerate() {
            let parts = self.parts(key)?;
            places.insert(parts.iter().map(spelled).collect(), at);
            for (list, part) in lists.iter_mut().zip(&parts) {
                list.push(plain(part));
            }
        }
        let list = |name: &String| match self.key.iter().position(|key| key == name) {
            Some(at) => Ok(self.database().list(lists[at].clone())),
            None => Err(unknown("load_many", name)),
        };
        let binds = select.named.names.iter().map(list).collect::<Result<Vec<_>, _>>()?;
        let (columns, rows) = self.rows("load_many", select, binds).await?;
        let place = |name: &String| {
            let found = columns
                .iter()
                .position(|column| self.database().is_same_name(&column.name, name));
            found.ok_or_else(|| SqlError::OwnSql {
                what: "load_many",
                why: format!("its rows have no column {name:?} to tell whose they are"),
            })
        };
        let own: Vec<usize> = self.key.iter().map(place).collect::<Result<_, _>>()?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            // A row that nobody asked for, or whose key is spelled differently, is no answer.
            let written: Option<Vec<String>> = own.iter().map(|at| key::written(&row[*at])).collect();
            if let Some(at) = written.and_then(|written| places.get(&written).copied()) {
                found.push((keys[at].clone(), decode(&columns, row)?));
            }
        }
        Ok(found)
    }

    /// The values of the variables of `named`, by the key and the fields of a value.
    fn bind<K: CacheKey>(
        &self,
        what: &'static str,
        named: &Named,
        key: &K,
        fields: &HashMap<String, Cell>,
    ) -> Result<Vec<Bind>, SqlError> {
        let parts = self.parts(key)?;
        let value = |name: &String| {
            let part = self.key.iter().position(|key| key == name).map(|at| plain(&parts[at]));
            let cell = part.or_else(|| fields.get(name).cloned());
            Ok(self.database().variable(cell.ok_or_else(|| unknown(what, name))?))
        };
        named.names.iter().map(value).collect()
    }

    async fn run(&self, what: &'static str, statements: Vec<Statement>) -> Result<Vec<u64>, SqlError> {
        let doubt = Doubt::default();
        let doing = format!("running the SQL for {what}");
        let work = async {
            let scope = if statements.len() == 1 {
                Scope::Alone
            } else {
                Scope::Together
            };
            let mut writing = Writing::begin(self.database(), scope, doing.clone(), doubt.clone()).await?;
            let mut changed = Vec::with_capacity(statements.len());
            for statement in statements {
                changed.push(writing.execute(statement).await?);
            }
            writing.commit().await?;
            Ok(changed)
        };
        self.deadline.run(&doing, &doubt, work).await
    }

    async fn put_all<'v, K, V>(&self, values: impl Iterator<Item = (&'v K, &'v V)>) -> Result<(), SqlError>
    where
        K: CacheKey,
        V: Serialize + 'v,
    {
        let named = self.put.as_ref().ok_or_else(|| missing("put"))?;
        let statement = |(key, value): (&K, &V)| {
            let binds = self.bind("put", named, key, &fields(value)?)?;
            Ok(Statement {
                sql: named.sql.clone(),
                binds,
            })
        };
        let statements = values.map(statement).collect::<Result<Vec<_>, SqlError>>();
        self.run("put", statements?).await?;
        Ok(())
    }

    async fn remove_all<K: CacheKey>(&self, keys: &[K]) -> Result<u64, SqlError> {
        let named = self.remove.as_ref().ok_or_else(|| missing("remove"))?;
        let statement = |key: &K| {
            let binds = self.bind("remove", named, key, &HashMap::new())?;
            Ok(Statement {
                sql: named.sql.clone(),
                binds,
            })
        };
        let statements = keys.iter().map(statement).collect::<Result<Vec<_>, SqlError>>()?;
        let changed = self.run("remove", statements).await?;
        Ok(changed.into_iter().filter(|changed| *changed > 0).count() as u64)
    }
}

impl<K, V> Source<K, V> for SqlQuery
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    async fn load(&self, key: &K) -> Result<Option<V>, BoxError> {
        Ok(self.load_one(key).await?)
    }

    async fn load_many(&self, keys: &[K]) -> Result<Vec<(K, V)>, BoxError> {
        if let Some(select) = &self.load_many {
            return Ok(self.load_all(select, keys).await?);
        }
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            found.extend(self.load_one(key).await?.map(|value| (key.clone(), value)));
        }
        Ok(found)
    }

    fn sink(&self) -> Option<SharedSink<K, V>> {
        self.put.is_some().then(|| SharedSink::new(self.clone()))
    }
}

impl<K, V> Sink<K, V> for SqlQuery
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    async fn put(&self, key: &K, value: &V) -> Result<(), SinkError> {
        Ok(self.put_all(std::iter::once((key, value))).await?)
    }

    async fn remove(&self, key: &K) -> Result<bool, SinkError> {
        Ok(self.remove_all(std::slice::from_ref(key)).await? > 0)
    }

    async fn put_many(&self, values: &[(K, V)]) -> Result<(), SinkError> {
        Ok(self.put_all(values.iter().map(|(key, value)| (key, value))).await?)
    }

    async fn remove_many(&self, keys: &[K]) -> Result<u64, SinkError> {
        Ok(self.remove_all(keys).await?)
    }
}

fn missing(what: &'static str) -> SqlError {
    let why = format!("there is none: give it with `SqlQuery::on_{what}`");
    SqlError::OwnSql { what, why }
}

fn unknown(what: &'static str, name: &str) -> SqlError {
    let why = format!("it has the variable :{name}, which is no part of the key and no field of the value");
    SqlError::OwnSql { what, why }
}

/// The fields of `value` as single values: what is nested is JSON.
fn fields<V: Serialize>(value: &V) -> Result<HashMap<String, Cell>, SqlError> {
    let failed = |why: String| SqlError::OwnSql { what: "put", why };
    match record::encode(value).map_err(|misfit| failed(misfit.to_string()))? {
        Record::Named(fields) => {
            let cell = |given| match given {
                Given::Cell(cell) => cell,
                Given::List { json, .. } => Cell::Json(json),
            };
            Ok(fields.into_iter().map(|(name, given)| (name, cell(given))).collect())
        }
        Record::Ordered(_) => Err(failed("the value is a tuple, whose fields have no names".to_owned())),
    }
}

fn decode<V: DeserializeOwned>(columns: &[Column], row: Row) -> Result<V, SqlError> {
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let cells = columns.iter().zip(row);
    let cells = cells.map(|(column, cell)| row::settle(column.kind, cell)).collect();
    row::decode(&names, cells).map_err(|misfit| SqlError::Row {
        table: "(own SQL)".to_owned(),
        wanted: std::any::type_name::<V>(),
        why: misfit.to_string(),
    })
}

fn plain(part: &KeyPart<'_>) -> Cell {
    match part {
        KeyPart::Int(number) => Cell::Integer(*number),
        KeyPart::Uint(number) => i64::try_from(*number).map_or_else(|_| Cell::Text(number.to_string()), Cell::Integer),
        KeyPart::Bytes(bytes) => Cell::Blob(bytes.to_vec()),
        part => key::text_of(part).map_or(Cell::Null, Cell::Text),
    }
}

/// As [`key::written`] has the column that holds it.
fn spelled(part: &KeyPart<'_>) -> String {
    match part {
        KeyPart::Bytes(bytes) => key::to_hex(bytes),
        part => key::text_of(part).unwrap_or_default(),
    }
}
