//! SQLite as it is written to.

use larder_base::KeyPart;
use sqlx::{Sqlite, Transaction, pool::PoolConnection};

use super::{Lite, VARIABLES_PER_STATEMENT, execute, fetch, plain_form, variables};
use crate::{
    cell::{Bind, Cell},
    db::{Answer, Ddl, Row, Scope, Session, Statement, Writes, quoted},
    key,
    record::{self, Given},
    schema::{Column, Kind, TableSchema, VERSION},
};

/// Most rows written by one statement: its text grows with them.
const ROWS_PER_STATEMENT: usize = 256;

impl Writes for Lite {
    fn key_cell(&self, part: &KeyPart<'_>, column: &Column) -> Result<Cell, String> {
        match (column.kind, part) {
            (Kind::Any, _) => {
                Err("has no declared type, so that one key has several spellings: declare one".to_owned())
            }
            (Kind::Bytes, KeyPart::Uuid(uuid)) => Ok(Cell::Blob(uuid.as_bytes().to_vec())),
            (Kind::Bytes, KeyPart::Text(text)) => key::from_hex(text)
                .filter(|bytes| key::to_hex(bytes) == *text)
                .map(Cell::Blob)
                .ok_or_else(|| "takes bytes, and the key is not their lower-case hex form".to_owned()),
            (Kind::Text, part) => Ok(key::text_of(part).map_or_else(|| plain_form(part), Cell::Text)),
            (_, KeyPart::Text(_) | KeyPart::Uint(_)) => self.fit(column, Given::Cell(plain_form(part))),
            _ => Ok(plain_form(part)),
        }
    }

    /// SQLite takes any value into any column and converts some on the way: what would come back as another is refused.
    fn fit(&self, column: &Column, given: Given) -> Result<Cell, String> {
        let is_number = matches!(column.kind, Kind::Integer | Kind::Number | Kind::Float);
        match record::fit(column, given)? {
            Cell::Real(number) if number.is_nan() => Err("takes no NaN: SQLite would keep NULL".to_owned()),
            Cell::Text(text) if is_number => number_of(text, column),
            cell => Ok(cell),
        }
    }

    fn rows_per_statement(&self, columns: usize) -> usize {
        (VARIABLES_PER_STATEMENT / columns.max(1)).clamp(1, ROWS_PER_STATEMENT)
    }

    fn given(&self, _table: &str, columns: &[&Column], rows: &[&[Cell]], binds: &mut Vec<Bind>) -> String {
        let first = binds.len() + 1;
        let row = |place: usize| format!("({})", variables(first + place * columns.len(), columns.len()));
        let values: Vec<String> = (0..rows.len()).map(row).collect();
        binds.extend(rows.iter().flat_map(|row| row.iter().cloned().map(Bind::One)));
        format!("VALUES {}", values.join(", "))
    }

    fn is_spelled(&self, column: &Column, wanted: &str) -> Option<String> {
        let name = quoted(&column.name);
        Some(format!(
            "CAST(t.{name} AS TEXT) = CAST({wanted} AS TEXT) COLLATE BINARY"
        ))
    }

    fn overriding(&self) -> &'static str {
        ""
    }

    fn returned(&self) -> &'static str {
        ""
    }

    /// By the keys of the rows found: SQLite joins nothing to what it deletes.
    fn delete(&self, schema: &TableSchema, condition: &str) -> String {
        let keys: Vec<String> = schema.key().map(quoted).collect();
        let found: Vec<String> = keys.iter().map(|key| format!("t.{key}")).collect();
        format!(
            "DELETE FROM {table} WHERE ({}) IN (SELECT {} FROM wanted CROSS JOIN {table} AS t WHERE {condition}) RETURNING 1",
            keys.join(", "),
            found.join(", "),
            table = schema.sql,
        )
    }

    fn session(&self, scope: Scope) -> Answer<'_, Box<dyn Session>> {
        Box::pin(async move {
            let session: Box<dyn Session> = match scope {
                Scope::Alone => Box::new(Writing::Alone(self.0.acquire().await?)),
                // A transaction that begins by reading could not always go on to write. There is one writer, so this
                // is the lock as well.
                Scope::Together | Scope::Locked { .. } | Scope::Making => {
                    Box::new(Writing::Together(self.0.begin_with("BEGIN IMMEDIATE").await?))
                }
            };
            Ok(session)
        })
    }

    fn beside(&self, _table: &TableSchema, name: &str) -> String {
        quoted(name)
    }

    fn versions_ddl(&self, schema: &TableSchema, what: Ddl) -> Vec<String> {
        let table = &schema.sql;
        match what {
            Ddl::Columns => VERSION
                .iter()
                .filter(|name| !schema.columns.iter().any(|column| column.name == **name))
                .map(|name| format!("ALTER TABLE {table} ADD COLUMN {name} INTEGER NOT NULL DEFAULT 0"))
                .collect(),
            Ddl::Trigger => vec![trigger(schema)],
        }
    }
}

/// What a column of numbers keeps of a text: an integer as such, and any text that is no number at all.
fn number_of(text: String, column: &Column) -> Result<Cell, String> {
    match text.parse::<i64>() {
        Ok(number) if number.to_string() == text => Ok(Cell::Integer(number)),
        _ if text.trim().parse::<f64>().is_ok() => Err(format!(
            "is of type {}, which would keep another number than this one: declare it TEXT",
            column.declared
        )),
        _ => Ok(Cell::Text(text)),
    }
}

fn trigger(schema: &TableSchema) -> String {
    let table = &schema.sql;
    let keys: Vec<String> = schema
        .key()
        .map(|key| format!("{key} = NEW.{key}", key = quoted(key)))
        .collect();
    let name = quoted(&format!("larder_versions_{}", schema.name));
    format!(
        "CREATE TRIGGER IF NOT EXISTS {name} AFTER UPDATE ON {table} \
         WHEN (NEW.l_epoch, NEW.l_seq) < (OLD.l_epoch, OLD.l_seq) BEGIN \
         UPDATE {table} SET l_epoch = OLD.l_epoch, l_seq = OLD.l_seq WHERE {}; END",
        keys.join(" AND ")
    )
}

/// What is written through.
enum Writing {
    Alone(PoolConnection<Sqlite>),
    Together(Transaction<'static, Sqlite>),
}

impl Session for Writing {
    fn fetch(&mut self, statement: Statement) -> Answer<'_, Vec<Row>> {
        Box::pin(async {
            match self {
                Self::Alone(connection) => fetch(&mut **connection, statement).await,
                Self::Together(transaction) => fetch(&mut **transaction, statement).await,
            }
        })
    }

    fn execute(&mut self, statement: Statement) -> Answer<'_, u64> {
        Box::pin(async {
            match self {
                Self::Alone(connection) => execute(&mut **connection, statement).await,
                Self::Together(transaction) => execute(&mut **transaction, statement).await,
            }
        })
    }

    fn commit(self: Box<Self>) -> Answer<'static, ()> {
        Box::pin(async {
            match *self {
                Self::Alone(_) => Ok(()),
                Self::Together(transaction) => transaction.commit().await,
            }
        })
    }
}
