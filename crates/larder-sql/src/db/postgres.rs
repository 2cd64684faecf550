//! PostgreSQL: the server converts every value to one of six types that are read here, so that no client code knows
//! how it writes a date or a numeric.

use std::{any::Any, pin::Pin, str::FromStr as _, sync::Arc};

use larder_base::KeyPart;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Decode, Executor, PgPool, Postgres, Row as _, TypeInfo as _,
    ValueRef as _,
    error::DatabaseError,
    postgres::{PgArguments, PgConnectOptions, PgConnection, PgDatabaseError, PgPoolOptions, PgRow},
    query::Query,
};

use super::{Answer, Database, Driver, Meaning, Pool, Row, Statement, TableName, quoted};
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
    schemes: &["postgres", "postgresql"],
    open: |config| Box::pin(open(config)),
    kind_of,
};

const PRODUCT: &str = "PostgreSQL";

/// Most keys in one statement: its text does not grow with them, and an answer of more rows than this is better
/// read in two.
const KEYS_PER_STATEMENT: usize = 8192;

#[derive(Debug)]
struct Pg(PgPool);

impl From<PgPool> for Pool {
    fn from(pool: PgPool) -> Self {
        Self(Arc::new(Pg(pool)))
    }
}

impl Pool {
    /// The pool of sqlx behind this, if the database is PostgreSQL.
    #[must_use]
    pub fn postgres(&self) -> Option<&PgPool> {
        self.0.as_any().downcast_ref::<Pg>().map(|pg| &pg.0)
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
    let pool = PgPoolOptions::new()
        .max_connections(config.connections)
        .acquire_timeout(config.acquire_timeout)
        .after_connect(move |connection, _| {
            let settings = settings.clone();
            Box::pin(async move { set_up(connection, settings).await })
        });
    pool.connect_with(options).await.map(Pool::from).map_err(failed)
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

/// Of each column its name, declared type, base type without its modifier, the base type's name, class and category,
/// the name and class of its elements, its place in the primary key, whether it may be NULL, how the database fills
/// it, and its labels if it is an enum. A domain stands for the type that it is made of.
const COLUMNS: &str = r"
WITH RECURSIVE base(attnum, oid) AS (
    SELECT a.attnum, a.atttypid FROM pg_attribute a
    WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT base.attnum, t.typbasetype FROM base JOIN pg_type t ON t.oid = base.oid WHERE t.typtype = 'd'
)
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), format_type(t.oid, -1),
    t.typname::text, t.typtype::text, t.typcategory::text, coalesce(e.typname::text, ''), coalesce(e.typtype::text, ''),
    coalesce((
        SELECT k.place FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k(attnum, place)
        WHERE i.indrelid = a.attrelid AND i.indisprimary AND k.attnum = a.attnum AND k.place <= i.indnkeyatts
    ), 0)::int8,
    NOT a.attnotnull, a.attgenerated::text || a.attidentity::text, a.atthasdef,
    ARRAY(SELECT l.enumlabel::text FROM pg_enum l WHERE l.enumtypid = t.oid ORDER BY l.enumsortorder)
FROM base JOIN pg_type t ON t.oid = base.oid AND t.typtype <> 'd'
JOIN pg_attribute a ON a.attrelid = $1::regclass AND a.attnum = base.attnum
LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
ORDER BY a.attnum";

impl Database for Pg {
    fn product(&self) -> &'static str {
        PRODUCT
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
            let listed: Vec<(String, String, bool)> = sqlx::query_as(TABLES).fetch_all(&self.0).await?;
            let named = |(schema, table, is_visible): (String, String, bool)| {
                let full = format!("{schema}.{table}");
                TableName {
                    sql: format!("{}.{}", quoted(&schema), quoted(&table)),
                    name: if is_visible { table } else { full.clone() },
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
            let rows = sqlx::query(COLUMNS).bind(&table.sql).fetch_all(&self.0).await?;
            rows.iter().map(column).collect()
        })
    }

    fn is_same_name(&self, a: &str, b: &str) -> bool {
        a == b
    }

    fn read(&self, column: &Column) -> Option<String> {
        let name = format!("t.{}", quoted(&column.name));
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

    fn wanted(&self, keys: &[&Column], tuples: &[&[Cell]]) -> Statement {
        let names: Vec<String> = (0..keys.len()).map(|part| format!("k{part}")).collect();
        let arrays: Vec<String> = keys
            .iter()
            .enumerate()
            .map(|(at, column)| format!("${}::{}", at + 1, key_array(column).unwrap_or("text[]")))
            .collect();
        let typed: Vec<String> = keys
            .iter()
            .zip(&names)
            .map(|(column, name)| format!("u.{name}{}", key_cast(column)))
            .collect();
        let of_part = |part: usize| tuples.iter().map(|tuple| tuple[part].clone()).collect();
        Statement {
            sql: format!(
                "SELECT u.place - 1, {} FROM unnest({}) WITH ORDINALITY AS u({}, place)",
                typed.join(", "),
                arrays.join(", "),
                names.join(", "),
            ),
            binds: (0..keys.len()).map(|part| Bind::Many(of_part(part))).collect(),
        }
    }
}

/// The array that keys of this column are bound as; `None` if rows are not found by such a column.
fn key_array(column: &Column) -> Option<&'static str> {
    match column.kind {
        Kind::Integer => Some("int8[]"),
        Kind::Bool => Some("bool[]"),
        Kind::Bytes => Some("bytea[]"),
        Kind::Text | Kind::Uuid | Kind::Enum | Kind::Number | Kind::Date => Some("text[]"),
        _ => None,
    }
}

/// What makes a bound key comparable with the column by its index. An integer of any width is compared as it is:
/// one that the column is too narrow for finds nothing, where a cast would fail.
fn key_cast(column: &Column) -> String {
    match column.kind {
        Kind::Integer | Kind::Bool | Kind::Bytes => String::new(),
        _ => format!("::{}", column.sql_type),
    }
}

/// The value under which a row may have this key. What the server could not convert is no row's key, and must not
/// fail the statement for the other keys in it.
fn key_form(part: &KeyPart<'_>, column: &Column) -> Option<Cell> {
    let text = key::text_of(part);
    match column.kind {
        Kind::Integer => key::as_integer(part).map(Cell::Integer),
        Kind::Bool => match text?.as_str() {
            "true" => Some(Cell::Bool(true)),
            "false" => Some(Cell::Bool(false)),
            _ => None,
        },
        Kind::Bytes => match part {
            KeyPart::Bytes(bytes) => Some(Cell::Blob(bytes.to_vec())),
            KeyPart::Uuid(uuid) => Some(Cell::Blob(uuid.as_bytes().to_vec())),
            _ => key::from_hex(&text?).map(Cell::Blob),
        },
        // No text of PostgreSQL holds a NUL.
        Kind::Text => text.filter(|text| !text.contains('\0')).map(Cell::Text),
        Kind::Uuid => text.filter(|text| key::is_uuid(text)).map(Cell::Text),
        Kind::Enum => text.filter(|text| column.labels.contains(text)).map(Cell::Text),
        Kind::Number => text.filter(|text| key::is_decimal(text)).map(Cell::Text),
        Kind::Date => text.filter(|text| key::is_date(text)).map(Cell::Text),
        _ => None,
    }
}

fn column(row: &PgRow) -> Result<Column, sqlx::Error> {
    let text = |at: usize| row.try_get::<String, _>(at);
    let filled = text(10)?;
    Ok(Column {
        name: text(0)?,
        declared: text(1)?,
        sql_type: text(2)?,
        kind: kind(&text(3)?, &text(4)?, &text(5)?, &text(6)?, &text(7)?),
        key_place: usize::try_from(row.try_get::<i64, _>(8)?).unwrap_or(0),
        nullable: row.try_get(9)?,
        generated: match filled.as_str() {
            "" if !row.try_get::<bool, _>(11)? => Generated::No,
            "" | "d" => Generated::Default,
            _ => Generated::Always,
        },
        labels: row.try_get(12)?,
    })
}

/// How values of a type travel: by its name, class and category, and the name and class of its elements.
fn kind(name: &str, class: &str, category: &str, element: &str, element_class: &str) -> Kind {
    match name {
        "int2" | "int4" | "int8" => Kind::Integer,
        "float4" | "float8" => Kind::Float,
        "bool" => Kind::Bool,
        "numeric" => Kind::Number,
        "bytea" => Kind::Bytes,
        "uuid" => Kind::Uuid,
        "json" | "jsonb" => Kind::Json,
        "date" => Kind::Date,
        "timestamp" | "timestamptz" => Kind::Time,
        "time" | "timetz" | "inet" | "cidr" | "macaddr" | "macaddr8" | "xml" => Kind::Other,
        _ if class == "e" => Kind::Enum,
        _ if category == "S" => Kind::Text,
        _ if category == "A" => match kind(element, element_class, "S", "", "") {
            Kind::Integer | Kind::Float | Kind::Bool | Kind::Json | Kind::Date | Kind::Time => Kind::List,
            Kind::Text if element_class == "b" && !is_textual(element) => Kind::Unknown,
            Kind::Text | Kind::Uuid | Kind::Enum | Kind::Number | Kind::Other => Kind::TextList,
            _ => Kind::Unknown,
        },
        _ => Kind::Unknown,
    }
}

fn is_textual(name: &str) -> bool {
    matches!(name, "text" | "varchar" | "bpchar" | "name" | "citext")
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
        // undefined_table, undefined_column, and a plan whose result would have other types
        (_, "42P01" | "42703" | "0A000") => Meaning::SchemaChanged,
        // statement_completion_unknown, transaction_resolution_unknown
        (_, "40003" | "08007") => Meaning::Kind(ErrorKind::InDoubt),
        // transaction_integrity_constraint_violation
        (_, "40002") => Meaning::Kind(ErrorKind::Permanent),
        // connection, rollback, resources, operator intervention (a shutdown, a statement that took too long), system
        ("08" | "40" | "53" | "57" | "58", _) => Meaning::Kind(ErrorKind::Retryable),
        // lock_not_available; read_only_sql_transaction, as after a failover; idle_in_transaction_session_timeout
        (_, "55P03" | "25006" | "25P03") => Meaning::Kind(ErrorKind::Retryable),
        _ => Meaning::Kind(ErrorKind::Permanent),
    })
}
