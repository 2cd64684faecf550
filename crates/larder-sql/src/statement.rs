//! The statements: built from names that the schema confirmed, with every value bound.

use crate::schema::{Column, TableSchema};

/// Most rows of keys in one statement. SQLite before 3.32 takes 999 variables at most, and a statement of more
/// keys than this is slower to parse than two.
const KEYS_PER_STATEMENT: usize = 512;
const VARIABLES_PER_STATEMENT: usize = 999;

/// How many key tuples of `parts` values fit into one statement: a power of two, at least one.
pub(crate) fn tuples_per_statement(parts: usize) -> usize {
    let fitting = (VARIABLES_PER_STATEMENT / parts.max(1)).clamp(1, KEYS_PER_STATEMENT);
    1 << fitting.ilog2()
}

/// The number of tuples a statement for `tuples` of them is built for: the next power of two, so that the
/// connections keep a dozen prepared statements instead of one for every batch size.
pub(crate) fn padded(tuples: usize) -> usize {
    tuples.next_power_of_two()
}

/// Selects, for each of `tuples` bound key tuples, its position, the key columns, and the columns that are read.
///
/// `CROSS JOIN` keeps SQLite from scanning the table: it takes the bound keys one by one and looks each up in the
/// index. The bound side has no affinity, so a value is compared as if it stood in the condition itself.
pub(crate) fn select(schema: &TableSchema, tuples: usize) -> String {
    let wanted: Vec<String> = (0..schema.key.len()).map(|part| format!("k{part}")).collect();
    let conditions: Vec<String> = schema
        .key_columns()
        .zip(&wanted)
        .map(|(column, wanted)| format!("t.{} = wanted.{wanted}", quoted(&column.name)))
        .collect();
    format!(
        "WITH wanted(place, {}) AS (VALUES {}) SELECT wanted.place, {}, {} FROM wanted CROSS JOIN {} AS t WHERE {}",
        wanted.join(", "),
        values(tuples, schema.key.len()),
        columns(schema.key_columns()),
        columns(schema.read_columns()),
        quoted(&schema.name),
        conditions.join(" AND "),
    )
}

/// Selects the keys of the first rows, in key order; one value is bound: how many.
pub(crate) fn first_keys(schema: &TableSchema) -> String {
    let keys = columns(schema.key_columns());
    let present: Vec<String> = schema
        .key_columns()
        .map(|column| format!("t.{} IS NOT NULL", quoted(&column.name)))
        .collect();
    let (table, present) = (quoted(&schema.name), present.join(" AND "));
    format!("SELECT {keys} FROM {table} AS t WHERE {present} ORDER BY {keys} LIMIT ?1")
}

fn values(tuples: usize, parts: usize) -> String {
    let tuple = |place: usize| {
        let variables: Vec<String> = (1..=parts).map(|part| format!("?{}", place * parts + part)).collect();
        format!("({place}, {})", variables.join(", "))
    };
    (0..tuples).map(tuple).collect::<Vec<_>>().join(", ")
}

fn columns<'a>(columns: impl Iterator<Item = &'a Column>) -> String {
    let names: Vec<String> = columns.map(|column| format!("t.{}", quoted(&column.name))).collect();
    names.join(", ")
}

/// A name as SQL: in double quotes, with those inside doubled. SQLite takes everything else literally.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> TableSchema {
        let column = |name: &str, key_place| Column {
            name: name.into(),
            declared: "TEXT".into(),
            key_place,
        };
        TableSchema {
            name: "odd \"order\"".into(),
            columns: vec![column("a", 1), column("b", 2), column("c", 0)],
            key: vec![0, 1],
            read: vec![0, 1, 2],
        }
    }

    #[test]
    fn names_are_quoted_and_values_are_variables() {
        let sql = select(&schema(), 2);
        assert_eq!(
            sql,
            "WITH wanted(place, k0, k1) AS (VALUES (0, ?1, ?2), (1, ?3, ?4)) \
             SELECT wanted.place, t.\"a\", t.\"b\", t.\"a\", t.\"b\", t.\"c\" \
             FROM wanted CROSS JOIN \"odd \"\"order\"\"\" AS t WHERE t.\"a\" = wanted.k0 AND t.\"b\" = wanted.k1"
        );
    }

    #[test]
    fn no_statement_has_more_variables_than_the_oldest_sqlite_takes() {
        for parts in 1..=40 {
            let tuples = tuples_per_statement(parts);
            assert!(
                tuples.is_power_of_two() && tuples * parts <= VARIABLES_PER_STATEMENT,
                "{parts} parts"
            );
            assert!(padded(tuples) == tuples && padded(3) == 4 && padded(1) == 1);
        }
    }

    /// A batch must cost one index lookup a key, not a walk through the table.
    #[tokio::test]
    async fn the_bound_keys_are_looked_up_in_the_index() {
        let pool = crate::PoolConfig::in_memory().open().await.expect("opens");
        sqlx::query("CREATE TABLE t (id TEXT PRIMARY KEY, v)")
            .execute(&pool)
            .await
            .expect("creates");
        let wanted = crate::schema::Wanted::default();
        let schema = crate::schema::look_up(&pool, "t", &wanted).await.expect("exists");
        let plan = format!("EXPLAIN QUERY PLAN {}", select(&schema, 8));
        let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(plan))
            .fetch_all(&pool)
            .await
            .expect("explains");
        assert!(
            steps.iter().any(|step| step.3.starts_with("SEARCH t USING")),
            "{steps:?}"
        );
        assert!(!steps.iter().any(|step| step.3.starts_with("SCAN t ")), "{steps:?}");
    }
}
