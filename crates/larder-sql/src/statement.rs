//! The statements that every database takes: built from names that the schema confirmed, with every value bound.

use crate::{
    cell::Cell,
    db::{Database, Statement, quoted},
    schema::{Column, TableSchema},
};

/// Selects, for each of these key tuples that a row has, its place, the key columns, and the columns that are read.
///
/// `CROSS JOIN` keeps SQLite from scanning the table: it takes the bound keys one by one and looks each up in the
/// index. The bound side has no affinity there, so a value is compared as if it stood in the condition itself.
pub(crate) fn select(database: &dyn Database, schema: &TableSchema, tuples: &[&[Cell]]) -> Statement {
    let keys: Vec<&Column> = schema.key_columns().collect();
    let wanted = database.wanted(&keys, tuples);
    let names: Vec<String> = (0..keys.len()).map(|part| format!("k{part}")).collect();
    let conditions: Vec<String> = keys
        .iter()
        .zip(&names)
        .map(|(column, wanted)| format!("t.{} = wanted.{wanted}", quoted(&column.name)))
        .collect();
    let sql = format!(
        "WITH wanted(place, {}) AS ({}) SELECT wanted.place, {}, {} FROM wanted CROSS JOIN {} AS t WHERE {}",
        names.join(", "),
        wanted.sql,
        read(database, schema.key_columns()),
        read(database, schema.read_columns()),
        schema.sql,
        conditions.join(" AND "),
    );
    Statement {
        sql,
        binds: wanted.binds,
    }
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
    let expressions: Vec<String> = columns.filter_map(|column| database.read(column)).collect();
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
