//! Names, keys and values that were written to break things.

use larder_sql::SqlTable;
use serde_json::json;

use crate::{
    databases::for_each_database,
    reads::{Row, one},
};

/// What keys and values are tried with. NUL stands in no text of PostgreSQL, so such a key is no row's.
pub(crate) const HOSTILE: [&str; 14] = [
    "1; DROP TABLE users",
    "'; DROP TABLE users; --",
    "\" OR 1=1 --",
    "$1",
    "?1",
    ":key",
    "\\",
    "%s%n",
    "a\0b",
    "line\r\nbreak\u{2028}",
    "größe 名前 🦀",
    "e\u{301}",
    " ",
    "",
];

#[tokio::test]
async fn hostile_keys_find_their_own_row_and_nothing_else() {
    for_each_database(async |db| {
        db.run("CREATE TABLE users (id TEXT PRIMARY KEY, n INTEGER); INSERT INTO users VALUES ('x', 1)")
            .await;
        let table = SqlTable::new(db.pool.clone(), "users");
        let keys: Vec<String> = HOSTILE
            .iter()
            .map(|&key| key.to_owned())
            .chain(["z".repeat(100_000)])
            .collect();
        let found: Vec<(String, Row)> = table.rows(&keys).await.expect("loads");
        assert!(found.is_empty(), "{found:?}");
        let quoted: Vec<String> = HOSTILE
            .iter()
            .filter(|key| !key.contains('\0'))
            .map(|key| format!("('{}', 2)", key.replace('\'', "''")))
            .collect();
        db.run(&format!("INSERT INTO users VALUES {}", quoted.join(", "))).await;
        let found: Vec<(String, Row)> = table.rows(&keys).await.expect("loads");
        assert_eq!(found.len(), quoted.len());
        assert!(found.iter().all(|(key, row)| row["id"] == json!(key) && row["n"] == 2));
        assert_eq!(one(&table, "x".to_owned()).await, Some(json!({"id": "x", "n": 1})));
    })
    .await;
}
