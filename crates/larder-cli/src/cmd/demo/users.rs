//! The demo's own database: a private SQLite file in a temporary folder, which is gone when the demo ends.

use std::sync::Arc;

use larder::PoolConfig;
use larder_testkit::OwnFolder;
use serde_json::{Map, Value, json};
use sqlx::{QueryBuilder, Sqlite, SqlitePool};

use crate::{
    failure::{OrHint, Outcome},
    progress::Progress,
};

/// The name of the demo's own table.
pub(super) const TABLE: &str = "users";

/// Teams the users are spread over.
pub(super) const TEAMS: u64 = 10;

/// Most users in one INSERT: five values each, and 999 are what any SQLite binds at once.
const ROWS_PER_INSERT: usize = 199;

/// A user as a row, and as JSON in the store.
pub(super) type Row = Map<String, Value>;

/// The folder and the pool of the demo's own database; a cheap clone.
#[derive(Clone, Debug)]
pub(super) struct Users {
    pub(super) pool: SqlitePool,
    /// Removed with everything in it when the last clone is dropped; held for that alone.
    _folder: Arc<OwnFolder>,
}

impl Users {
    /// An empty database.
    pub(super) async fn create() -> Outcome<Self> {
        let folder = OwnFolder::new()
            .or_while("cannot create a temporary folder for the demo's database")
            .or_hint("set TMPDIR to a folder that you can write to")?;
        let pool = PoolConfig::path(folder.path().join("users.db"))
            .create()
            .open_sqlite()
            .await?;
        sqlx::query(
            "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, \
             team INTEGER NOT NULL, visits INTEGER NOT NULL)",
        )
        .execute(&pool)
        .await?;
        Ok(Self {
            pool,
            _folder: Arc::new(folder),
        })
    }

    /// Adds the users 1 to `count`, `batch` of them in a transaction.
    pub(super) async fn fill(&self, count: u64, batch: u64, mut progress: Progress) -> Outcome {
        let mut next = 1;
        while next <= count {
            let end = count.min(next + batch - 1);
            let ids: Vec<u64> = (next..=end).collect();
            let mut transaction = self.pool.begin().await?;
            for ids in ids.chunks(ROWS_PER_INSERT) {
                insert(ids).build().execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
            progress.add(end + 1 - next);
            next = end + 1;
        }
        progress.finish();
        Ok(())
    }

    /// Adds one user; `false` if there is one already.
    pub(super) async fn add(&self, id: u64) -> Outcome<bool> {
        let mut insert = insert(&[id]);
        insert.push(" ON CONFLICT DO NOTHING");
        let done = insert.build().execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Counts one visit more of user `id`: the change that the scenes make.
    pub(super) async fn visit(&self, id: u64) -> Outcome {
        sqlx::query("UPDATE users SET visits = visits + 1 WHERE id = ?1")
            .bind(i64::try_from(id)?)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Closes the pool, so that nothing writes into the folder while it is removed.
    pub(super) async fn close(self) {
        self.pool.close().await;
    }
}

fn insert(ids: &[u64]) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("INSERT INTO users (id, name, email, team, visits) ");
    query.push_values(ids, |mut row, &id| {
        row.push_bind(i64::try_from(id).unwrap_or(i64::MAX))
            .push_bind(name(id))
            .push_bind(email(id))
            .push_bind((id % TEAMS) as i64)
            .push_bind(0_i64);
    });
    query
}

/// The row of user `id`, as it is first written.
pub(super) fn row(id: u64) -> Row {
    let row = json!({"id": id, "name": name(id), "email": email(id), "team": id % TEAMS, "visits": 0});
    match row {
        Value::Object(row) => row,
        _ => unreachable!("built as an object above"),
    }
}

fn name(id: u64) -> String {
    const FIRST: [&str; 8] = [
        "Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Frances", "Leslie",
    ];
    const LAST: [&str; 7] = ["Lovelace", "Hopper", "Turing", "Dijkstra", "Liskov", "Knuth", "Allen"];
    let (first, last) = (id as usize % FIRST.len(), id as usize % LAST.len());
    format!("{} {}", FIRST[first], LAST[last])
}

fn email(id: u64) -> String {
    format!("user{id}@demo.example")
}
