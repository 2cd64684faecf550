//! The databases that every behaviour is tried on.

use larder_sql::{Pool, PoolConfig};
use larder_testkit::PgServer;
use sqlx::AssertSqlSafe;
use tempfile::TempDir;

/// An empty database of its own.
pub(crate) struct Db {
    pub(crate) pool: Pool,
    /// What opens it again.
    pub(crate) url: String,
    /// Held so that the file is there as long as this is.
    _folder: Option<TempDir>,
}

impl Db {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = folder.path().join("test.db").to_str().expect("UTF-8").to_owned();
        let pool = PoolConfig::path(&url).create().open().await.expect("creates");
        Self {
            pool,
            url,
            _folder: Some(folder),
        }
    }

    pub(crate) async fn postgres() -> Self {
        let url = PgServer::shared().await.database();
        let pool = PoolConfig::new(&url).open().await.expect("opens");
        Self {
            pool,
            url,
            _folder: None,
        }
    }

    /// One that is open already.
    pub(crate) fn of(pool: Pool, url: String) -> Self {
        Self {
            pool,
            url,
            _folder: None,
        }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.pool.postgres().is_some()
    }

    /// Runs statements as they are, but for the types that the databases name differently.
    pub(crate) async fn run(&self, sql: &str) {
        let ran = match (self.pool.sqlite(), self.pool.postgres()) {
            (Some(pool), _) => sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
                .execute(pool)
                .await
                .map(drop),
            (_, Some(pool)) => {
                let sql = sql
                    .replace("BLOB", "bytea")
                    .replace(" INTEGER", " bigint")
                    .replace(" REAL", " float8");
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.map(drop)
            }
            _ => unreachable!("there are two"),
        };
        if let Err(error) = ran {
            panic!("{}: {error}: {sql}", self.pool.product());
        }
    }

    /// The whole number that a query answers.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        let answered = match (self.pool.sqlite(), self.pool.postgres()) {
            (Some(pool), _) => sqlx::query_scalar(sql).fetch_one(pool).await,
            (_, Some(pool)) => sqlx::query_scalar(sql).fetch_one(pool).await,
            _ => unreachable!("there are two"),
        };
        answered.expect("a number")
    }
}

/// Runs `test` on an empty database of every kind.
pub(crate) async fn for_each_database(test: impl AsyncFn(Db)) {
    for db in [Db::sqlite().await, Db::postgres().await] {
        let product = db.pool.product();
        // Seen only when the test fails: it says where.
        println!("on {product}");
        test(db).await;
    }
}
