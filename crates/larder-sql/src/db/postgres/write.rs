//! PostgreSQL as it is written to.

use larder_base::KeyPart;
use sqlx::{AssertSqlSafe, Postgres, Transaction, pool::PoolConnection};

use super::{Losses, Pg, execute, fetch, types::key_form};
use crate::{
    cell::{Bind, Cell},
    db::{Answer, Ddl, Row, Scope, Session, Statement, Writes, quoted},
    key,
    record::{self, Given},
    schema::{Column, TableSchema, VERSION},
};

/// Most rows written by one statement: they travel as one document, which both sides hold in memory.
const ROWS_PER_STATEMENT: usize = 1024;

/// `lard`: the locks taken here are told from other people's by it.
const LOCK_CLASS: i32 = 0x6c61_7264;

impl Writes for Pg {
    fn key_cell(&self, part: &KeyPart<'_>, column: &Column) -> Result<Cell, String> {
        key_form(part, column).ok_or_else(|| format!("is of type {}, which has no such key", column.declared))
    }

    fn fit(&self, column: &Column, given: Given) -> Result<Cell, String> {
        const NUL: &str = "takes no text with a NUL character, as nothing in PostgreSQL does";
        match record::fit(column, given)? {
            Cell::Text(text) if text.contains('\0') => Err(NUL.to_owned()),
            Cell::Json(json) if has_nul(&json) => Err(NUL.to_owned()),
            cell => Ok(cell),
        }
    }

    fn rows_per_statement(&self, _columns: usize) -> usize {
        ROWS_PER_STATEMENT
    }

    /// All rows as one document, which the server takes apart: a list of values of any type, arrays too, is one
    /// variable.
    fn given(&self, table: &str, columns: &[&Column], rows: &[&[Cell]], binds: &mut Vec<Bind>) -> String {
        let names: Vec<String> = columns
            .iter()
            .map(|column| format!("r.{}", quoted(&column.name)))
            .collect();
        binds.push(Bind::One(Cell::Text(document(columns, rows))));
        format!(
            "SELECT {} FROM json_populate_recordset(NULL::{table}, ${}::text::json) AS r",
            names.join(", "),
            binds.len()
        )
    }

    fn is_spelled(&self, column: &Column, wanted: &str) -> Option<String> {
        let name = quoted(&column.name);
        let spelled = format!("t.{name}::text COLLATE \"C\" = {wanted}::text COLLATE \"C\"");
        (!column.is_exact).then_some(spelled)
    }

    fn overriding(&self) -> &'static str {
        "OVERRIDING SYSTEM VALUE "
    }

    fn returned(&self) -> &'static str {
        "t."
    }

    fn delete(&self, schema: &TableSchema, condition: &str) -> String {
        format!(
            "DELETE FROM {} AS t USING wanted WHERE {condition} RETURNING 1",
            schema.sql
        )
    }

    fn session(&self, scope: Scope) -> Answer<'_, Box<dyn Session>> {
        Box::pin(async move {
            let lock = match scope {
                Scope::Alone => {
                    let connection = self.losses.seen(self.pool.acquire().await)?;
                    let session: Box<dyn Session> = Box::new(self.writing(Held::Alone(connection)));
                    return Ok(session);
                }
                Scope::Together => None,
                Scope::Making => Some(format!("SELECT pg_advisory_xact_lock({LOCK_CLASS}, 0)")),
                Scope::Locked { table, is_exclusive } => Some(format!(
                    "SELECT pg_advisory_xact_lock{}({LOCK_CLASS}, '{}'::regclass::oid::int4)",
                    if is_exclusive { "" } else { "_shared" },
                    table.replace('\'', "''")
                )),
            };
            let mut begun = self.losses.seen(self.pool.begin().await)?;
            if let Some(lock) = lock {
                // Not in one message with BEGIN: of a transaction whose beginning failed, or was not waited for, the pool
                // knows nothing, and it would be left on its connection. The statement after it sees what the holder before
                // committed.
                let locked = sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *begun).await;
                self.losses.seen(locked)?;
            }
            let session: Box<dyn Session> = Box::new(self.writing(Held::Together(begun)));
            Ok(session)
        })
    }

    /// In the schema of the table, so that they are dumped, restored and dropped together.
    fn beside(&self, table: &TableSchema, name: &str) -> String {
        match table.sql.split_once("\".\"") {
            Some((schema, _)) => format!("{schema}\".{}", quoted(name)),
            None => quoted(name),
        }
    }

    fn versions_ddl(&self, schema: &TableSchema, what: Ddl) -> Vec<String> {
        let table = &schema.sql;
        match what {
            Ddl::Columns => VERSION
                .iter()
                .filter(|name| !schema.columns.iter().any(|column| column.name == **name))
                .map(|name| format!("ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {name} bigint NOT NULL DEFAULT 0"))
                .collect(),
            Ddl::Trigger => trigger(table, &self.beside(schema, "larder_versions")),
        }
    }
}

fn trigger(table: &str, function: &str) -> Vec<String> {
    vec![
        format!(
            "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF (NEW.l_epoch, NEW.l_seq) < (OLD.l_epoch, OLD.l_seq) THEN \
             NEW.l_epoch := OLD.l_epoch; NEW.l_seq := OLD.l_seq; END IF; RETURN NEW; END $$"
        ),
        format!(
            "CREATE OR REPLACE TRIGGER larder_versions BEFORE UPDATE ON {table} \
             FOR EACH ROW EXECUTE FUNCTION {function}()"
        ),
    ]
}

/// Whether a text in this JSON has a NUL: `\u0000`, and not `\\u0000`, which is the text `\u0000`.
fn has_nul(json: &str) -> bool {
    json.match_indices("\\u0000").any(|(at, _)| {
        let before = json[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
        before.is_multiple_of(2)
    })
}

/// Rows as JSON: `[{"id":1,"name":"Ada"},..]`.
fn document(columns: &[&Column], rows: &[&[Cell]]) -> String {
    let names: Vec<String> = columns.iter().map(|column| json_text(&column.name)).collect();
    let row = |row: &&[Cell]| {
        let field = |(name, cell): (&String, &Cell)| format!("{name}:{}", json(cell));
        let fields: Vec<String> = names.iter().zip(*row).map(field).collect();
        format!("{{{}}}", fields.join(","))
    };
    let rows: Vec<String> = rows.iter().map(row).collect();
    format!("[{}]", rows.join(","))
}

fn json(cell: &Cell) -> String {
    match cell {
        Cell::Null => "null".to_owned(),
        Cell::Bool(is) => is.to_string(),
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) if number.is_nan() => json_text("NaN"),
        Cell::Real(number) if number.is_infinite() => json_text(if *number > 0.0 { "Infinity" } else { "-Infinity" }),
        // The shortest digits that are this number, with an exponent where it is needed.
        Cell::Real(number) => format!("{number:e}"),
        Cell::Text(text) => json_text(text),
        Cell::Blob(bytes) => json_text(&format!("\\x{}", key::to_hex(bytes))),
        Cell::Json(json) => json.clone(),
    }
}

fn json_text(text: &str) -> String {
    serde_json::to_string(text).expect("text is always JSON")
}

impl Pg {
    fn writing(&self, held: Held) -> Writing {
        Writing {
            held,
            losses: self.losses.clone(),
        }
    }
}

/// What is written through.
struct Writing {
    held: Held,
    losses: Losses,
}

enum Held {
    Alone(PoolConnection<Postgres>),
    Together(Transaction<'static, Postgres>),
}

impl Session for Writing {
    fn fetch(&mut self, statement: Statement) -> Answer<'_, Vec<Row>> {
        Box::pin(async {
            let rows = match &mut self.held {
                Held::Alone(connection) => fetch(&mut **connection, statement).await,
                Held::Together(transaction) => fetch(&mut **transaction, statement).await,
            };
            self.losses.seen(rows)
        })
    }

    fn execute(&mut self, statement: Statement) -> Answer<'_, u64> {
        Box::pin(async {
            let changed = match &mut self.held {
                Held::Alone(connection) => execute(&mut **connection, statement).await,
                Held::Together(transaction) => execute(&mut **transaction, statement).await,
            };
            self.losses.seen(changed)
        })
    }

    fn commit(self: Box<Self>) -> Answer<'static, ()> {
        Box::pin(async move {
            match self.held {
                Held::Alone(_) => Ok(()),
                Held::Together(transaction) => self.losses.seen(transaction.commit().await),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_found_and_its_spelling_is_not() {
        assert!(has_nul(r#""a\u0000b""#) && has_nul(r#""\\\u0000""#));
        assert!(!has_nul(r#""a\\u0000b""#) && !has_nul(r#""plain""#));
    }
}
