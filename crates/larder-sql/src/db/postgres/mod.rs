//! PostgreSQL: the server converts every value to one of six types that are read here, so that no client code knows
//! how it writes a date or a numeric.

mod fence;
mod outbox;
mod types;
mod write;

use std::{
    any::Any,
    pin::Pin,
    str::FromStr as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_base::{Clock, KeyPart};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Decode, Executor, PgPool, Postgres, Row as _, SqlSafeStr as _,
    Statement as _, Type, TypeInfo as _, ValueRef as _,
    error::DatabaseError,
    postgres::{PgArguments, PgConnectOptions, PgConnection, PgDatabaseError, PgPoolOptions, PgRow, PgTypeInfo},
    query::Query,
};

use super::{Answer, Database, Dialect, Driver, Meaning, Pool, Row, Statement, TableName, quoted};
use crate::{
    PoolConfig, SqlError,
    cell::{Bind, Cell},
    error::{ErrorKind, is_connection_lost},
    key,
    pool::Location,
    schema::{Column, Kind},
};
use types::{COLUMNS, column, described, key_array, key_cast, key_form};

pub(super) const DRIVER: Driver = Driver {
    product: PRODUCT,
    schemes: &["postgres", "postgresql"],
    open: |config| Box::pin(open(config)),
    kind_of,
};

const PRODUCT: &str = "PostgreSQL";

/// Most keys in one statement: its text does not grow with them, and an answer of more rows than this is better
/// read in two.
const KEYS_PER_STATEMENT: usize = 8192;

/// A connection that stood idle for longer is asked first whether it is still there.
const PING_AFTER: Duration = Duration::from_secs(1);

/// Between the last use of a connection and the moment from which the pool counts it idle.
const SLACK: Duration = Duration::from_millis(50);

#[derive(Debug)]
struct Pg {
    pool: PgPool,
    losses: Losses,
}

impl From<PgPool> for Pool {
    fn from(pool: PgPool) -> Self {
        Self(Arc::new(Pg {
            pool,
            losses: Losses::default(),
        }))
    }
}

/// When a connection was last found lost: those that stood idle then are probably lost as well.
#[derive(Clone, Debug, Default)]
struct Losses {
    clock: Clock,
    /// Nanoseconds of the monotonic clock; 0 is never.
    at: Arc<AtomicU64>,
}

impl Losses {
    /// Hands `result` on, and remembers it if it says that a connection was lost.
    fn seen<T>(&self, result: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        if result.as_ref().is_err_and(is_connection_lost) {
            let now = u64::try_from(self.clock.monotonic().as_nanos()).unwrap_or(u64::MAX);
            // A hint when to ask; nothing else hangs on it.
            self.at.store(now, Ordering::Relaxed);
        }
        result
    }

    /// Whether a connection that stood idle for so long has to be asked whether it is still there.
    fn is_suspect(&self, idle_for: Duration) -> bool {
        let at = self.at.load(Ordering::Relaxed);
        let since = self.clock.monotonic().saturating_sub(Duration::from_nanos(at));
        idle_for > PING_AFTER || at > 0 && idle_for + SLACK >= since
    }
}

impl Pool {
    /// The pool of sqlx behind this, if the database is PostgreSQL.
    #[must_use]
    pub fn postgres(&self) -> Option<&PgPool> {
        self.0.as_any().downcast_ref::<Pg>().map(|pg| &pg.pool)
    }
}

async fn open(config: PoolConfig) -> Result<Pool, SqlError> {
    let Location::Url(url) = &config.at else {
        unreachable!("a path is never PostgreSQL's");
    };
    if config.create {
        return Err(SqlError::NotForDatabase {
            setting: "create",
            product: PRODUCT,
        });
    }
    // What cannot be parsed may hold a password anywhere, so no part of it is shown.
    let options = PgConnectOptions::from_str(url).map_err(|source| SqlError::Open {
        product: PRODUCT,
        at: "the URL given".to_owned(),
        source,
    })?;
    let options = match options.get_application_name() {
        Some(_) => options,
        None => options.application_name(&config.application_name),
    };
    let at = shown(&options);
    let failed = |source| SqlError::Open {
        product: PRODUCT,
        at: at.clone(),
        source,
    };
    // The pool would wait for a server that refuses connections, and then not say so.
    let first = config.clock.timeout(config.connect_timeout, options.connect()).await;
    let first = first.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(failed)?;
    first.close().await.map_err(failed)?;
    let settings = session(&config);
    let losses = Losses {
        clock: config.clock.clone(),
        ..Losses::default()
    };
    let suspects = losses.clone();
    let pool = PgPoolOptions::new()
        .max_connections(config.connections)
        .acquire_timeout(config.acquire_timeout)
        // A ping before each use would double the round trips; one that was just used is taken to be alive.
        .test_before_acquire(false)
        .before_acquire(move |connection, state| {
            let is_suspect = suspects.is_suspect(state.idle_for);
            Box::pin(async move {
                if is_suspect {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(move |connection, _| {
            let settings = settings.clone();
            Box::pin(async move { set_up(connection, settings).await })
        });
    let pool = pool.connect_with(options).await.map_err(failed)?;
    Ok(Pool(Arc::new(Pg { pool, losses })))
}

/// Where that is, without what is secret.
fn shown(options: &PgConnectOptions) -> String {
    let host = options.get_socket().map_or_else(
        || format!("{}:{}", options.get_host(), options.get_port()),
        |socket| socket.display().to_string(),
    );
    format!("{host}/{}", options.get_database().unwrap_or_default())
}

/// Limits that hold also where this process no longer waits. Set by statements rather than at the start of the
/// connection: poolers refuse start-up options.
fn session(config: &PoolConfig) -> String {
    format!(
        "SET statement_timeout = {}; SET idle_in_transaction_session_timeout = {}; SET timezone = 'UTC'; \
         SET default_transaction_read_only = {}",
        config.statement_timeout.as_millis(),
        config.transaction_timeout.as_millis(),
        if config.read_only { "on" } else { "off" },
    )
}

async fn set_up(connection: &mut PgConnection, settings: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(settings)).execute(connection).await?;
    Ok(())
}

const TABLES: &str = r"
SELECT n.nspname::text, c.relname::text, pg_table_is_visible(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname NOT LIKE 'pg\_temp%'
ORDER BY NOT pg_table_is_visible(c.oid), 1, 2";

impl Database for Pg {
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
        Box::pin(self.pool.close())
    }

    fn fetch(&self, statement: Statement) -> Answer<'_, Vec<Row>> {
        Box::pin(async { self.losses.seen(fetch(&self.pool, statement).await) })
    }

    fn tables(&self) -> Answer<'_, Vec<TableName>> {
        Box::pin(async {
            let listed: Vec<(String, String, bool)> = sqlx::query_as(TABLES).fetch_all(&self.pool).await?;
            let named = |(schema, table, is_visible): (String, String, bool)| {
                let full = format!("{schema}.{table}");
                TableName {
                    sql: format!("{}.{}", quoted(&schema), quoted(&table)),
                    name: if is_visible { table.clone() } else { full.clone() },
                    bare: table,
                    full,
                }
            };
            Ok(listed.into_iter().map(named).collect())
        })
    }

    /// A name is first taken whole, as that of a table on the search path.
    fn find<'a>(&self, listed: &'a [TableName], name: &str) -> Option<&'a TableName> {
        let whole = listed.iter().find(|table| table.name == name);
        whole.or_else(|| listed.iter().find(|table| table.full == name))
    }

    fn columns<'a>(&'a self, table: &'a TableName) -> Answer<'a, Vec<Column>> {
        Box::pin(async {
            let rows = sqlx::query(COLUMNS).bind(&table.sql).fetch_all(&self.pool).await?;
            rows.iter().map(column).collect()
        })
    }

    fn describe<'a>(&'a self, query: &'a Statement) -> Answer<'a, Vec<Column>> {
        Box::pin(async {
            let types: Vec<PgTypeInfo> = query.binds.iter().map(type_of).collect();
            let sql = AssertSqlSafe(query.sql.clone()).into_sql_str();
            let mut connection = self.losses.seen(self.pool.acquire().await)?;
            // What it remembers of this statement may be from before the table changed.
            self.losses.seen(connection.clear_cached_statements().await)?;
            let prepared = self.losses.seen(connection.prepare_with(sql, &types).await)?;
            Ok(prepared.columns().iter().map(described).collect())
        })
    }

    /// As text: a statement is prepared with the types of its first run, and a later value of another type (a NULL has
    /// none) would be read as what it is not.
    fn variable(&self, cell: Cell) -> Bind {
        Bind::One(as_text(cell))
    }

    fn list(&self, cells: Vec<Cell>) -> Bind {
        Bind::Many(cells.into_iter().map(as_text).collect())
    }

    fn is_same_name(&self, a: &str, b: &str) -> bool {
        a == b
    }

    fn read(&self, column: &Column, of: &str) -> Option<String> {
        let name = format!("{of}{}", quoted(&column.name));
        Some(match column.kind {
            Kind::Integer => format!("{name}::int8"),
            Kind::Float => format!("{name}::float8"),
            Kind::Bool => format!("{name}::bool"),
            Kind::Bytes => format!("{name}::bytea"),
            Kind::Number | Kind::Text | Kind::Uuid | Kind::Enum | Kind::Date | Kind::Other => format!("{name}::text"),
            Kind::Json => format!("{name}::json"),
            // As JSON a time is written as RFC 3339 has it, whatever the session's date style.
            Kind::Time => format!("to_jsonb({name}) #>> '{{}}'"),
            Kind::List => format!("to_json({name})"),
            Kind::TextList => format!("to_json({name}::text[])"),
            Kind::Any | Kind::Unknown => return None,
        })
    }

    fn is_key(&self, column: &Column) -> bool {
        key_array(column).is_some()
    }

    fn key_forms(&self, part: &KeyPart<'_>, column: &Column) -> Vec<Cell> {
        key_form(part, column).into_iter().collect()
    }

    fn tuples_per_statement(&self, _parts: usize) -> usize {
        KEYS_PER_STATEMENT
    }

    fn wanted(&self, keys: &[&Column], tuples: &[&[Cell]], binds: &mut Vec<Bind>) -> String {
        let names: Vec<String> = (0..keys.len()).map(|part| format!("k{part}")).collect();
        let first = binds.len() + 1;
        let array =
            |(at, column): (usize, &&Column)| format!("${}::{}", first + at, key_array(column).unwrap_or("text[]"));
        let arrays: Vec<String> = keys.iter().enumerate().map(array).collect();
        let typed: Vec<String> = keys
            .iter()
            .zip(&names)
            .map(|(column, name)| format!("u.{name}{}", key_cast(column)))
            .collect();
        let of_part = |part: usize| tuples.iter().map(|tuple| tuple[part].clone()).collect();
        binds.extend((0..keys.len()).map(|part| Bind::Many(of_part(part))));
        format!(
            "SELECT u.place - 1, {} FROM unnest({}) WITH ORDINALITY AS u({}, place)",
            typed.join(", "),
            arrays.join(", "),
            names.join(", "),
        )
    }
}

async fn fetch<'e>(
    executor: impl Executor<'e, Database = Postgres>,
    statement: Statement,
) -> Result<Vec<Row>, sqlx::Error> {
    let query = sqlx::query(AssertSqlSafe(statement.sql));
    let query = statement.binds.into_iter().fold(query, bind);
    let rows = query.fetch_all(executor).await?;
    rows.iter().map(read_row).collect()
}

async fn execute<'e>(
    executor: impl Executor<'e, Database = Postgres>,
    statement: Statement,
) -> Result<u64, sqlx::Error> {
    let query = sqlx::query(AssertSqlSafe(statement.sql));
    let query = statement.binds.into_iter().fold(query, bind);
    Ok(query.execute(executor).await?.rows_affected())
}

fn bind(query: Query<'_, Postgres, PgArguments>, value: Bind) -> Query<'_, Postgres, PgArguments> {
    match value {
        Bind::One(Cell::Null) => query.bind(None::<String>),
        Bind::One(Cell::Bool(is)) => query.bind(is),
        Bind::One(Cell::Integer(number)) => query.bind(number),
        Bind::One(Cell::Real(number)) => query.bind(number),
        Bind::One(Cell::Text(text) | Cell::Json(text)) => query.bind(text),
        Bind::One(Cell::Blob(bytes)) => query.bind(bytes),
        Bind::Many(cells) => bind_array(query, cells),
    }
}

/// An array of the kind of its first member that is not NULL.
fn bind_array(query: Query<'_, Postgres, PgArguments>, cells: Vec<Cell>) -> Query<'_, Postgres, PgArguments> {
    macro_rules! array {
        ($($kind:ident)|+ as $type:ty) => {{
            let member = |cell| match cell {
                $(Cell::$kind(value))|+ => Some(value),
                _ => None,
            };
            query.bind(cells.into_iter().map(member).collect::<Vec<Option<$type>>>())
        }};
    }
    match cells.iter().find(|cell| !matches!(cell, Cell::Null)) {
        Some(Cell::Integer(_)) => array!(Integer as i64),
        Some(Cell::Real(_)) => array!(Real as f64),
        Some(Cell::Bool(_)) => array!(Bool as bool),
        Some(Cell::Blob(_)) => array!(Blob as Vec<u8>),
        _ => array!(Text | Json as String),
    }
}

/// The text that a cast of the server reads as this value.
fn as_text(cell: Cell) -> Cell {
    match cell {
        Cell::Null | Cell::Text(_) => cell,
        Cell::Json(json) => Cell::Text(json),
        Cell::Real(number) => Cell::Text(number.to_string()),
        Cell::Blob(bytes) => Cell::Text(format!("\\x{}", key::to_hex(&bytes))),
        cell => key::written(&cell).map_or(Cell::Null, Cell::Text),
    }
}

/// What [`as_text`] is bound as.
fn type_of(bind: &Bind) -> PgTypeInfo {
    match bind {
        Bind::One(_) => <String as Type<Postgres>>::type_info(),
        Bind::Many(_) => <Vec<String> as Type<Postgres>>::type_info(),
    }
}

fn read_row(row: &PgRow) -> Result<Row, sqlx::Error> {
    (0..row.len()).map(|at| read_cell(row, at)).collect()
}

fn read_cell(row: &PgRow, at: usize) -> Result<Cell, sqlx::Error> {
    let raw = row.try_get_raw(at)?;
    if raw.is_null() {
        return Ok(Cell::Null);
    }
    let decoded = match raw.type_info().name() {
        "INT2" => <i16 as Decode<'_, Postgres>>::decode(raw).map(|number| Cell::Integer(number.into())),
        "INT4" => <i32 as Decode<'_, Postgres>>::decode(raw).map(|number| Cell::Integer(number.into())),
        "INT8" => <i64 as Decode<'_, Postgres>>::decode(raw).map(Cell::Integer),
        "FLOAT8" => <f64 as Decode<'_, Postgres>>::decode(raw).map(Cell::Real),
        "BOOL" => <bool as Decode<'_, Postgres>>::decode(raw).map(Cell::Bool),
        "BYTEA" => <Vec<u8> as Decode<'_, Postgres>>::decode(raw).map(Cell::Blob),
        "JSON" => <String as Decode<'_, Postgres>>::decode(raw).map(Cell::Json),
        "TEXT" | "VARCHAR" | "NAME" => <String as Decode<'_, Postgres>>::decode(raw).map(Cell::Text),
        other => Err(format!("a value of type {other} is read only through a cast").into()),
    };
    decoded.map_err(|source| sqlx::Error::ColumnDecode {
        index: at.to_string(),
        source,
    })
}

/// By SQLSTATE, most of them by class.
fn kind_of(error: &dyn DatabaseError) -> Option<Meaning> {
    let code = error.try_downcast_ref::<PgDatabaseError>()?.code();
    Some(match (&code[..2], code) {
        // undefined_table, undefined_column, datatype_mismatch, and a plan whose result would have other types
        (_, "42P01" | "42703" | "42804" | "0A000") => Meaning::SchemaChanged,
        // statement_completion_unknown, transaction_resolution_unknown
        (_, "40003" | "08007") => Meaning::Kind(ErrorKind::InDoubt),
        // transaction_integrity_constraint_violation
        (_, "40002") => Meaning::Kind(ErrorKind::Permanent),
        // connection, rollback, resources, operator intervention (a shutdown, a statement that took too long), system
        ("08" | "40" | "53" | "57" | "58", _) => Meaning::Kind(ErrorKind::Retryable),
        // lock_not_available; read_only_sql_transaction, as after a failover; idle_in_transaction_session_timeout
        (_, "55P03" | "25006" | "25P03") => Meaning::Kind(ErrorKind::Retryable),
        // invalid_authorization_specification (a password that was changed, too), invalid_catalog_name, invalid_schema_name;
        // object_not_in_prerequisite_state (such as a publication without a replica identity); insufficient_privilege
        ("28" | "3D" | "3F" | "55", _) | (_, "42501") => Meaning::Closed,
        _ => Meaning::Kind(ErrorKind::Permanent),
    })
}
