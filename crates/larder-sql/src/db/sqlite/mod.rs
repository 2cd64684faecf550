//! SQLite: a type belongs to the value, not to the column; one writer at a time.

mod fence;
mod outbox;
mod write;

use std::{any::Any, pin::Pin, str::FromStr as _, sync::Arc};

use larder_base::KeyPart;
use sqlx::{
    AssertSqlSafe, Column as _, Connection as _, Decode, Executor, Row as _, SqlSafeStr as _, Sqlite, SqlitePool,
    Statement as _, TypeInfo as _, ValueRef as _,
    error::DatabaseError,
    query::Query,
    sqlite::{
        SqliteArguments, SqliteColumn, SqliteConnectOptions, SqliteError, SqliteJournalMode, SqlitePoolOptions,
        SqliteRow, SqliteSynchronous,
    },
};

use super::{Answer, Database, Dialect, Driver, Meaning, Pool, Row, Statement, TableName, quoted};
use crate::{
    PoolConfig, SqlError,
    cell::{Bind, Cell},
    error::ErrorKind,
    key,
    pool::Location,
    schema::{Column, Generated, Kind},
};

pub(super) const DRIVER: Driver = Driver {
    product: PRODUCT,
    schemes: &["sqlite"],
    open: |config| Box::pin(open(config)),
    kind_of,
};

const PRODUCT: &str = "SQLite";

/// The columns of unique indexes whose collation calls different texts equal.
const INEXACT: &str = "SELECT x.name FROM pragma_index_list($1) AS l, pragma_index_xinfo(l.name) AS x \
     WHERE l.\"unique\" AND x.key AND x.coll <> 'BINARY' AND x.name IS NOT NULL";

/// Most rows of keys in one statement. What is parsed grows with it, so that two statements of this size are no
/// slower than one of twice that.
const KEYS_PER_STATEMENT: usize = 1024;

/// SQLite takes this many variables since 3.32, and the one that is built in is newer.
const VARIABLES_PER_STATEMENT: usize = 32_766;

#[derive(Debug)]
struct Lite(SqlitePool);

impl From<SqlitePool> for Pool {
    fn from(pool: SqlitePool) -> Self {
        Self(Arc::new(Lite(pool)))
    }
}

impl Pool {
    /// The pool of sqlx behind this, if the database is SQLite.
    #[must_use]
    pub fn sqlite(&self) -> Option<&SqlitePool> {
        self.0.as_any().downcast_ref::<Lite>().map(|lite| &lite.0)
    }
}

async fn open(config: PoolConfig) -> Result<Pool, SqlError> {
    let at = config.name();
    let failed = |source| SqlError::Open {
        product: PRODUCT,
        at,
        source,
    };
    if is_nowhere(&config.at) {
        return Err(SqlError::NoPath);
    }
    match connect(&config).await {
        Ok(pool) => Ok(pool.into()),
        Err(source) => Err(failed(source)),
    }
}

/// SQLite would take an empty path for a database that vanishes when it is closed.
fn is_nowhere(at: &Location) -> bool {
    match at {
        Location::Memory => false,
        Location::Path(path) => path.as_os_str().is_empty(),
        Location::Url(url) => {
            let rest = url.strip_prefix("sqlite:").unwrap_or(url);
            matches!(rest.trim_start_matches("//").as_bytes(), [] | [b'?', ..])
        }
    }
}

async fn connect(config: &PoolConfig) -> Result<SqlitePool, sqlx::Error> {
    let pool = pool_options(config).connect_with(options(config)?).await?;
    // SQLite looks into the file only at the first read: a file that is no database must fail here.
    if let Err(error) = pool.execute("SELECT count(*) FROM sqlite_schema").await {
        pool.close().await;
        return Err(error);
    }
    Ok(pool)
}

fn pool_options(config: &PoolConfig) -> SqlitePoolOptions {
    let pool = SqlitePoolOptions::new()
        .max_connections(config.connections)
        .acquire_timeout(config.acquire_timeout);
    match config.at {
        // Closing the only connection would empty the database.
        Location::Memory => pool.min_connections(1).idle_timeout(None).max_lifetime(None),
        _ => pool,
    }
}

fn options(config: &PoolConfig) -> Result<SqliteConnectOptions, sqlx::Error> {
    let options = match &config.at {
        Location::Memory => SqliteConnectOptions::from_str("sqlite::memory:")?,
        Location::Url(url) => SqliteConnectOptions::from_str(url)?,
        Location::Path(path) => SqliteConnectOptions::new().filename(path),
    };
    let options = options.busy_timeout(config.busy_timeout);
    if config.read_only {
        return Ok(options.read_only(true));
    }
    if config.create {
        return Ok(options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal));
    }
    Ok(options)
}

impl Database for Lite {
    fn product(&self) -> &'static str {
        PRODUCT
    }

    fn dialect(&self) -> &'static Dialect {
        &outbox::DIALECT
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.0.close())
    }

    fn fetch(&self, statement: Statement) -> Answer<'_, Vec<Row>> {
        Box::pin(fetch(&self.0, statement))
    }

    fn tables(&self) -> Answer<'_, Vec<TableName>> {
        Box::pin(async {
            let listed = sqlx::query_scalar::<_, String>(
                r"SELECT name FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name",
            );
            let named = |name: String| TableName {
                sql: quoted(&name),
                full: name.clone(),
                bare: name.clone(),
                name,
            };
            Ok(listed.fetch_all(&self.0).await?.into_iter().map(named).collect())
        })
    }

    fn find<'a>(&self, listed: &'a [TableName], name: &str) -> Option<&'a TableName> {
        listed.iter().find(|table| table.name.eq_ignore_ascii_case(name))
    }

    fn columns<'a>(&'a self, table: &'a TableName) -> Answer<'a, Vec<Column>> {
        Box::pin(async {
            // `hidden` 1 marks the inner columns of virtual tables; 2 and 3 are generated columns.
            let rows = sqlx::query(
                "SELECT name, type, pk, \"notnull\", hidden, dflt_value IS NOT NULL \
                 FROM pragma_table_xinfo($1) WHERE hidden <> 1 ORDER BY cid",
            );
            let rows = rows.bind(&table.name).fetch_all(&self.0).await?;
            let mut columns: Vec<Column> = rows.iter().map(column).collect::<Result<_, _>>()?;
            mark_row_id(&mut columns);
            for name in sqlx::query_scalar::<_, String>(INEXACT)
                .bind(&table.name)
                .fetch_all(&self.0)
                .await?
            {
                let of_name = columns.iter_mut().filter(|column| column.name == name);
                of_name.for_each(|column| column.is_exact = false);
            }
            Ok(columns)
        })
    }

    fn describe<'a>(&'a self, query: &'a Statement) -> Answer<'a, Vec<Column>> {
        Box::pin(async {
            let sql = AssertSqlSafe(query.sql.clone()).into_sql_str();
            let mut connection = self.0.acquire().await?;
            // What it remembers of this statement and of the schema may be from before the table changed: it looks at
            // the schema anew when it runs one, not when it prepares one.
            connection.clear_cached_statements().await?;
            connection.execute("SELECT count(*) FROM sqlite_schema").await?;
            let prepared = connection.prepare(sql).await?;
            Ok(prepared.columns().iter().map(described).collect())
        })
    }

    fn variable(&self, cell: Cell) -> Bind {
        Bind::One(cell)
    }

    /// As JSON, which `json_each` takes apart.
    fn list(&self, cells: Vec<Cell>) -> Bind {
        let member = |cell: &Cell| match cell {
            Cell::Integer(number) => number.to_string(),
            cell => serde_json::to_string(&key::written(cell)).expect("text is always JSON"),
        };
        let members: Vec<String> = cells.iter().map(member).collect();
        Bind::One(Cell::Text(format!("[{}]", members.join(","))))
    }

    fn is_same_name(&self, a: &str, b: &str) -> bool {
        a.eq_ignore_ascii_case(b)
    }

    fn read(&self, column: &Column, of: &str) -> Option<String> {
        Some(format!("{of}{}", quoted(&column.name)))
    }

    fn is_key(&self, _column: &Column) -> bool {
        true
    }

    fn key_forms(&self, part: &KeyPart<'_>, column: &Column) -> Vec<Cell> {
        part_forms(part, matches!(column.kind, Kind::Any | Kind::Bytes))
    }

    fn tuples_per_statement(&self, parts: usize) -> usize {
        let fitting = (VARIABLES_PER_STATEMENT / parts.max(1)).clamp(1, KEYS_PER_STATEMENT);
        1 << fitting.ilog2()
    }

    /// Filled up to a power of two, so that a connection keeps a dozen prepared statements instead of one for every
    /// batch size: the last tuple is repeated under places that nobody asked for.
    fn wanted(&self, keys: &[&Column], tuples: &[&[Cell]], binds: &mut Vec<Bind>) -> String {
        let size = tuples.len().next_power_of_two();
        let first = binds.len() + 1;
        let row = |place: usize| format!("({place}, {})", variables(first + place * keys.len(), keys.len()));
        let rows: Vec<String> = (0..size).map(row).collect();
        let last = tuples.last().into_iter();
        let padded = tuples.iter().chain(last.cycle().take(size - tuples.len()));
        binds.extend(padded.flat_map(|tuple| tuple.iter().cloned().map(Bind::One)));
        format!("VALUES {}", rows.join(", "))
    }
}

/// `$3, $4` for two from 3.
fn variables(first: usize, count: usize) -> String {
    let variables: Vec<String> = (first..first + count).map(|at| format!("${at}")).collect();
    variables.join(", ")
}

/// A UUID is kept as 16 bytes by some and as text by others. In a column that converts nothing, text may also
/// stand for an integer or, in hex, for bytes, and an integer for text.
fn part_forms(part: &KeyPart<'_>, untyped: bool) -> Vec<Cell> {
    let plain = plain_form(part);
    match (part, &plain) {
        (KeyPart::Uuid(uuid), _) => vec![plain, Cell::Blob(uuid.as_bytes().to_vec())],
        (_, Cell::Text(text)) if untyped => {
            let number = text.parse().ok().map(Cell::Integer);
            let bytes = key::from_hex(text).map(Cell::Blob);
            [Some(plain), number, bytes].into_iter().flatten().collect()
        }
        (_, Cell::Integer(number)) if untyped => vec![Cell::Text(number.to_string()), plain],
        _ => vec![plain],
    }
}

fn plain_form(part: &KeyPart<'_>) -> Cell {
    match part {
        KeyPart::Int(number) => Cell::Integer(*number),
        // SQLite has no integer above i64::MAX; as text it still finds one that was kept as text.
        KeyPart::Uint(number) => i64::try_from(*number).map_or_else(|_| Cell::Text(number.to_string()), Cell::Integer),
        KeyPart::Text(text) => Cell::Text(text.to_string()),
        KeyPart::Bytes(bytes) => Cell::Blob(bytes.to_vec()),
        KeyPart::Uuid(uuid) => Cell::Text(uuid.hyphenated().to_string()),
    }
}

fn column(row: &SqliteRow) -> Result<Column, sqlx::Error> {
    let declared: String = row.try_get(1)?;
    Ok(Column {
        name: row.try_get(0)?,
        kind: kind(&declared),
        sql_type: declared.clone(),
        declared,
        key_place: usize::try_from(row.try_get::<i64, _>(2)?).unwrap_or(0),
        nullable: row.try_get::<i64, _>(3)? == 0,
        generated: match row.try_get::<i64, _>(4)? {
            0 if row.try_get(5)? => Generated::Default,
            0 => Generated::No,
            _ => Generated::Computed,
        },
        is_exact: true,
        labels: Vec::new(),
    })
}

fn described(column: &SqliteColumn) -> Column {
    // Of an expression it is the type of its value, of a column the declared one.
    let declared = column.type_info().name().to_owned();
    Column {
        name: column.name().to_owned(),
        kind: kind(&declared),
        sql_type: declared.clone(),
        declared,
        key_place: 0,
        nullable: true,
        generated: Generated::No,
        is_exact: true,
        labels: Vec::new(),
    }
}

/// A single key column declared INTEGER is the row's own number, which SQLite gives where none is named.
fn mark_row_id(columns: &mut [Column]) {
    let mut keys = columns.iter_mut().filter(|column| column.key_place > 0);
    if let (Some(key), None) = (keys.next(), keys.next())
        && key.declared.eq_ignore_ascii_case("INTEGER")
    {
        key.generated = Generated::Default;
    }
}

/// The rules of column affinity, and documents by their name.
fn kind(declared: &str) -> Kind {
    let upper = declared.to_ascii_uppercase();
    let has = |part: &str| upper.contains(part);
    match () {
        () if upper.is_empty() => Kind::Any,
        () if has("JSON") => Kind::Json,
        () if has("INT") => Kind::Integer,
        () if has("CHAR") || has("CLOB") || has("TEXT") => Kind::Text,
        () if has("BLOB") => Kind::Bytes,
        () if has("REAL") || has("FLOA") || has("DOUB") => Kind::Float,
        () => Kind::Number,
    }
}

async fn fetch<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
    statement: Statement,
) -> Result<Vec<Row>, sqlx::Error> {
    let query = sqlx::query(AssertSqlSafe(statement.sql));
    let query = statement.binds.into_iter().fold(query, bind);
    let rows = query.fetch_all(executor).await?;
    rows.iter().map(read_row).collect()
}

async fn execute<'e>(executor: impl Executor<'e, Database = Sqlite>, statement: Statement) -> Result<u64, sqlx::Error> {
    let query = sqlx::query(AssertSqlSafe(statement.sql));
    let query = statement.binds.into_iter().fold(query, bind);
    Ok(query.execute(executor).await?.rows_affected())
}

fn bind(query: Query<'_, Sqlite, SqliteArguments>, value: Bind) -> Query<'_, Sqlite, SqliteArguments> {
    match value {
        Bind::One(Cell::Null) => query.bind(None::<i64>),
        Bind::One(Cell::Bool(is)) => query.bind(i64::from(is)),
        Bind::One(Cell::Integer(number)) => query.bind(number),
        Bind::One(Cell::Real(number)) => query.bind(number),
        Bind::One(Cell::Text(text) | Cell::Json(text)) => query.bind(text),
        Bind::One(Cell::Blob(bytes)) => query.bind(bytes),
        // No statement for SQLite is built with one.
        Bind::Many(_) => unreachable!("SQLite has no arrays"),
    }
}

fn read_row(row: &SqliteRow) -> Result<Row, sqlx::Error> {
    (0..row.len()).map(|at| read_cell(row, at)).collect()
}

fn read_cell(row: &SqliteRow, at: usize) -> Result<Cell, sqlx::Error> {
    let raw = row.try_get_raw(at)?;
    if raw.is_null() {
        return Ok(Cell::Null);
    }
    let decoded = match raw.type_info().name() {
        "INTEGER" => <i64 as Decode<'_, Sqlite>>::decode(raw).map(Cell::Integer),
        "REAL" => <f64 as Decode<'_, Sqlite>>::decode(raw).map(Cell::Real),
        "TEXT" => <Vec<u8> as Decode<'_, Sqlite>>::decode(raw).map(text_or_blob),
        _ => <Vec<u8> as Decode<'_, Sqlite>>::decode(raw).map(Cell::Blob),
    };
    decoded.map_err(|source| sqlx::Error::ColumnDecode {
        index: at.to_string(),
        source,
    })
}

/// SQLite takes any bytes for TEXT; what is not UTF-8 is handed on as bytes rather than refused.
fn text_or_blob(bytes: Vec<u8>) -> Cell {
    match String::from_utf8(bytes) {
        Ok(text) => Cell::Text(text),
        Err(not_utf8) => Cell::Blob(not_utf8.into_bytes()),
    }
}

/// SQLITE_BUSY and SQLITE_LOCKED: somebody else holds the lock. SQLITE_NOMEM, SQLITE_INTERRUPT, SQLITE_IOERR, SQLITE_FULL,
/// SQLITE_CANTOPEN, SQLITE_PROTOCOL: may pass.
const RETRYABLE: [i64; 8] = [5, 6, 7, 9, 10, 13, 14, 15];

/// SQLITE_PERM, SQLITE_READONLY, SQLITE_CORRUPT, SQLITE_AUTH, SQLITE_NOTADB: nothing can be written, whatever it is.
const CLOSED: [i64; 5] = [3, 8, 11, 23, 26];

fn kind_of(error: &dyn DatabaseError) -> Option<Meaning> {
    let error = error.try_downcast_ref::<SqliteError>()?;
    let message = error.message();
    if [
        "no such column",
        "has no column named",
        "no such table",
        "duplicate column name",
        "schema has changed",
    ]
    .iter()
    .any(|changed| message.contains(changed))
    {
        return Some(Meaning::SchemaChanged);
    }
    let code = error.code().and_then(|code| code.parse::<i64>().ok());
    // The low byte is the primary code; what is above it says which kind.
    Some(match code.map(|code| code & 0xff) {
        Some(code) if RETRYABLE.contains(&code) => Meaning::Kind(ErrorKind::Retryable),
        Some(code) if CLOSED.contains(&code) => Meaning::Closed,
        _ => Meaning::Kind(ErrorKind::Permanent),
    })
}
