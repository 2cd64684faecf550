//! The statements that every database takes: built from names that the schema confirmed, with every value bound.

use crate::{
    cell::{Bind, Cell},
    db::{Database, Statement, quoted},
    rows::Rows,
    schema::{Column, Generated, TableSchema},
};

/// Selects, for each of these key tuples that a row has, its place, the key columns, and the columns that are read.
///
/// `CROSS JOIN` keeps SQLite from scanning the table: it takes the bound keys one by one and looks each up in the
/// index. The bound side has no affinity there, so a value is compared as if it stood in the condition itself.
pub(crate) fn select(database: &dyn Database, schema: &TableSchema, tuples: &[&[Cell]]) -> Statement {
    let keys: Vec<&Column> = schema.key_columns().collect();
    let mut binds = Vec::new();
    let conditions: Vec<String> = keys
        .iter()
        .enumerate()
        .map(|(part, column)| format!("t.{} = wanted.k{part}", quoted(&column.name)))
        .collect();
    let sql = format!(
        "WITH {} SELECT wanted.place, {}, {} FROM wanted CROSS JOIN {} AS t WHERE {}",
        wanted(database, &keys, tuples, &mut binds),
        read(database, schema.key_columns()),
        read(database, schema.read_columns()),
        schema.sql,
        conditions.join(" AND "),
    );
    Statement { sql, binds }
}

/// A condition that `t` is the row that `wanted` asks for, and spells its key alike.
fn is_wanted(database: &dyn Database, keys: &[&Column]) -> String {
    let condition = |(part, column): (usize, &&Column)| {
        let wanted = format!("wanted.k{part}");
        let equal = format!("t.{} = {wanted}", quoted(&column.name));
        [Some(equal), database.is_spelled(column, &wanted)]
            .into_iter()
            .flatten()
    };
    let conditions: Vec<String> = keys.iter().enumerate().flat_map(condition).collect();
    conditions.join(" AND ")
}

/// `wanted(place, k0, ..)` as a part of WITH.
fn wanted(database: &dyn Database, columns: &[&Column], tuples: &[&[Cell]], binds: &mut Vec<Bind>) -> String {
    let names: Vec<String> = (0..columns.len()).map(|part| format!("k{part}")).collect();
    format!(
        "wanted(place, {}) AS ({})",
        names.join(", "),
        database.wanted(columns, tuples, binds)
    )
}

/// `given(column, ..)` as a part of WITH.
fn given(database: &dyn Database, schema: &TableSchema, rows: &Rows, binds: &mut Vec<Bind>) -> String {
    let columns = rows.columns(schema);
    let cells: Vec<&[Cell]> = rows.rows.iter().map(Vec::as_slice).collect();
    format!(
        "given({}) AS ({})",
        names(&columns),
        database.given(&schema.sql, &columns, &cells, binds)
    )
}

/// Puts rows under their keys, and returns the keys of those that were written. Guarded, a row stays that has a
/// version no lower than the one given.
pub(crate) fn upsert(database: &dyn Database, schema: &TableSchema, rows: &Rows, is_guarded: bool) -> Statement {
    let mut binds = Vec::new();
    let given = given(database, schema, rows, &mut binds);
    let columns = rows.columns(schema);
    let is_key = |column: &Column| schema.key_columns().any(|key| key.name == column.name);
    let mut set: Vec<String> = columns
        .iter()
        .filter(|column| !is_key(column))
        .map(|column| format!("{0} = EXCLUDED.{0}", quoted(&column.name)))
        .collect();
    if set.is_empty() {
        // To the same value: a row that is only a key is there, and is returned.
        set.extend(
            schema
                .key_columns()
                .take(1)
                .map(|key| format!("{0} = t.{0}", quoted(&key.name))),
        );
    }
    let guard = if is_guarded {
        " WHERE (t.l_epoch, t.l_seq) < (EXCLUDED.l_epoch, EXCLUDED.l_seq)"
    } else {
        ""
    };
    let sql = format!(
        "WITH {given} {} ON CONFLICT ({}) DO UPDATE SET {}{guard} RETURNING {}",
        insert_into(database, schema, &columns),
        names(&schema.key_columns().collect::<Vec<_>>()),
        set.join(", "),
        returned(database, schema.key_columns()),
    );
    Statement { sql, binds }
}

/// How a counter takes the number given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is added; NULL counts as 0.
    Add,
    /// It takes the counter's place.
    Set,
}

impl Step {
    fn of(self, counter: &str, given: &str) -> String {
        match self {
            Self::Add => format!("coalesce({counter}, 0) + {given}"),
            Self::Set => given.to_owned(),
        }
    }
}

/// Has the counters `counter` of the rows that are there take a step each, and returns their keys and what they are then.
pub(crate) fn count(
    database: &dyn Database,
    schema: &TableSchema,
    rows: &Rows,
    counter: &Column,
    step: Step,
) -> Statement {
    let mut binds = Vec::new();
    let given = given(database, schema, rows, &mut binds);
    let name = quoted(&counter.name);
    let same = |key: &Column| format!("t.{0} = given.{0}", quoted(&key.name));
    let sql = format!(
        "WITH {given} UPDATE {} AS t SET {name} = {} FROM given WHERE {} RETURNING {}",
        schema.sql,
        step.of(&format!("t.{name}"), &format!("given.{name}")),
        schema.key_columns().map(same).collect::<Vec<_>>().join(" AND "),
        returned(database, schema.key_columns().chain([counter])),
    );
    Statement { sql, binds }
}

/// The same of rows that may not be there.
pub(crate) fn begin_counters(
    database: &dyn Database,
    schema: &TableSchema,
    rows: &Rows,
    counter: &Column,
    step: Step,
) -> Statement {
    let mut binds = Vec::new();
    let given = given(database, schema, rows, &mut binds);
    let name = quoted(&counter.name);
    let sql = format!(
        "WITH {given} {} ON CONFLICT ({}) DO UPDATE SET {name} = {} RETURNING {}",
        insert_into(database, schema, &rows.columns(schema)),
        names(&schema.key_columns().collect::<Vec<_>>()),
        step.of(&format!("t.{name}"), &format!("EXCLUDED.{name}")),
        returned(database, schema.key_columns().chain([counter])),
    );
    Statement { sql, binds }
}

/// Inserts one row and returns its key.
pub(crate) fn insert(database: &dyn Database, schema: &TableSchema, rows: &Rows) -> Statement {
    let keys = returned(database, schema.key_columns());
    if rows.columns.is_empty() {
        return Statement::new(format!(
            "INSERT INTO {} AS t DEFAULT VALUES RETURNING {keys}",
            schema.sql
        ));
    }
    let mut binds = Vec::new();
    let given = given(database, schema, rows, &mut binds);
    let into = insert_into(database, schema, &rows.columns(schema));
    Statement {
        sql: format!("WITH {given} {into} RETURNING {keys}"),
        binds,
    }
}

/// Changes the columns given in the row that one of these tuples finds, and returns what is read of it.
pub(crate) fn update(database: &dyn Database, schema: &TableSchema, rows: &Rows, tuples: &[&[Cell]]) -> Statement {
    let mut binds = Vec::new();
    let keys: Vec<&Column> = schema.key_columns().collect();
    let given = given(database, schema, rows, &mut binds);
    let wanted = wanted(database, &keys, tuples, &mut binds);
    let set: Vec<String> = rows
        .columns(schema)
        .iter()
        .map(|column| format!("{0} = given.{0}", quoted(&column.name)))
        .collect();
    let sql = format!(
        "WITH {given}, {wanted} UPDATE {} AS t SET {} FROM given, wanted WHERE {} RETURNING {}",
        schema.sql,
        set.join(", "),
        is_wanted(database, &keys),
        returned(database, schema.read_columns()),
    );
    Statement { sql, binds }
}

/// Deletes the rows that these tuples find, and returns one row for each.
pub(crate) fn delete(database: &dyn Database, schema: &TableSchema, tuples: &[&[Cell]]) -> Statement {
    let keys: Vec<&Column> = schema.key_columns().collect();
    let mut binds = Vec::new();
    let wanted = wanted(database, &keys, tuples, &mut binds);
    let delete = database.delete(schema, &is_wanted(database, &keys));
    Statement {
        sql: format!("WITH {wanted} {delete}"),
        binds,
    }
}

/// As [`delete`], of rows whose version is lower than the one at the end of the tuple.
pub(crate) fn delete_older(
    database: &dyn Database,
    schema: &TableSchema,
    versions: [&Column; 2],
    tuples: &[&[Cell]],
) -> Statement {
    let keys: Vec<&Column> = schema.key_columns().collect();
    let columns: Vec<&Column> = keys.iter().copied().chain(versions).collect();
    let mut binds = Vec::new();
    let wanted = wanted(database, &columns, tuples, &mut binds);
    let condition = format!(
        "{} AND (t.l_epoch, t.l_seq) < (wanted.k{}, wanted.k{})",
        is_wanted(database, &keys),
        keys.len(),
        keys.len() + 1,
    );
    let delete = database.delete(schema, &condition);
    Statement {
        sql: format!("WITH {wanted} {delete}"),
        binds,
    }
}

fn insert_into(database: &dyn Database, schema: &TableSchema, columns: &[&Column]) -> String {
    let counts = columns.iter().any(|column| column.generated == Generated::Identity);
    let overriding = if counts { database.overriding() } else { "" };
    let names = names(columns);
    // Without the condition SQLite would take ON CONFLICT for a join's.
    format!(
        "INSERT INTO {} AS t ({names}) {overriding}SELECT {names} FROM given WHERE true",
        schema.sql
    )
}

fn names(columns: &[&Column]) -> String {
    let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
    names.join(", ")
}

fn returned<'a>(database: &dyn Database, columns: impl Iterator<Item = &'a Column>) -> String {
    let of = database.returned();
    let expressions: Vec<String> = columns.filter_map(|column| database.read(column, of)).collect();
    expressions.join(", ")
}

/// Selects the keys of the first `limit` rows, in key order.
pub(crate) fn first_keys(database: &dyn Database, schema: &TableSchema, limit: u32) -> Statement {
    let names: Vec<String> = schema
        .key_columns()
        .map(|column| format!("t.{}", quoted(&column.name)))
        .collect();
    let present: Vec<String> = names.iter().map(|name| format!("{name} IS NOT NULL")).collect();
    let sql = format!(
        "SELECT {} FROM {} AS t WHERE {} ORDER BY {} LIMIT $1",
        read(database, schema.key_columns()),
        schema.sql,
        present.join(" AND "),
        names.join(", "),
    );
    Statement::new(sql).bind(i64::from(limit))
}

fn read<'a>(database: &dyn Database, columns: impl Iterator<Item = &'a Column>) -> String {
    // Every column that gets here was found readable when the table was looked up.
    let expressions: Vec<String> = columns.filter_map(|column| database.read(column, "t.")).collect();
    expressions.join(", ")
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;
    use crate::{Pool, PoolConfig, schema::Wanted};

    async fn pool(statement: &'static str) -> Pool {
        let pool = PoolConfig::in_memory().open().await.expect("opens");
        pool.0.fetch(Statement::new(statement)).await.expect("creates");
        pool
    }

    async fn schema(pool: &Pool, table: &str) -> TableSchema {
        crate::schema::look_up(&*pool.0, table, &Wanted::default())
            .await
            .expect("exists")
    }

    #[tokio::test]
    async fn names_are_quoted_and_values_are_variables() {
        let pool = pool(r#"CREATE TABLE "odd ""order""" (a TEXT, b TEXT, c TEXT, PRIMARY KEY (a, b))"#).await;
        let schema = schema(&pool, "odd \"order\"").await;
        let tuple = [Cell::Text("x".into()), Cell::Text("y".into())];
        let statement = select(&*pool.0, &schema, &[&tuple, &tuple, &tuple]);
        assert_eq!(
            statement.sql,
            "WITH wanted(place, k0, k1) AS (VALUES (0, $1, $2), (1, $3, $4), (2, $5, $6), (3, $7, $8)) \
             SELECT wanted.place, t.\"a\", t.\"b\", t.\"a\", t.\"b\", t.\"c\" \
             FROM wanted CROSS JOIN \"odd \"\"order\"\"\" AS t WHERE t.\"a\" = wanted.k0 AND t.\"b\" = wanted.k1"
        );
        assert_eq!(statement.binds.len(), 8);
    }

    /// A batch must cost one index lookup a key, not a walk through the table.
    #[tokio::test]
    async fn the_bound_keys_are_looked_up_in_the_index() {
        let pool = pool("CREATE TABLE t (id TEXT PRIMARY KEY, v)").await;
        let schema = schema(&pool, "t").await;
        let tuple = [Cell::Text("x".into())];
        let mut statement = select(&*pool.0, &schema, &[&tuple[..]; 8]);
        statement.sql = format!("EXPLAIN QUERY PLAN {}", statement.sql);
        let steps = pool.0.fetch(statement).await.expect("explains");
        let steps: Vec<&Cell> = steps.iter().filter_map(|step| step.last()).collect();
        let says = |start: &str| {
            steps
                .iter()
                .any(|step| matches!(step, Cell::Text(text) if text.starts_with(start)))
        };
        assert!(says("SEARCH t USING") && !says("SCAN t "), "{steps:?}");
    }
}
