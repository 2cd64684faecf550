//! A store, a database with a prepared table, and services that write behind to it and leave the flushing to others.

use std::{
    fs::File,
    path::Path,
    process::{Child, Stdio},
    time::Duration,
};

use larder::{Ack, Cache, CacheKey, Pool, PoolConfig, SqlTable, Store, WriteBehind, WritePolicy};
use larder_testkit::{LarderServer, PgServer, RedisServer, eventually};
use rustix::process::Signal;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use sqlx::AssertSqlSafe;
use tempfile::TempDir;

use crate::run::{Run, command, finish, signal};

/// A bound on hanging, not on speed.
pub(super) const SOON: Duration = Duration::from_secs(60);

pub(super) type Row = Map<String, Value>;

/// `{"name": name}`.
pub(super) fn named(name: &str) -> Row {
    Row::from_iter([("name".to_owned(), json!(name))])
}

/// What answers as a store; ended on drop.
pub(super) enum Server {
    Redis(RedisServer),
    Larder(LarderServer),
}

impl Server {
    pub(super) async fn redis() -> Self {
        Self::Redis(RedisServer::start().await)
    }

    pub(super) fn larder() -> Self {
        Self::Larder(LarderServer::start_program(
            Path::new(env!("CARGO_BIN_EXE_larder")),
            &[],
        ))
    }

    fn url(&self) -> String {
        match self {
            Self::Redis(server) => server.url(),
            Self::Larder(server) => server.url(),
        }
    }
}

/// Both, with a namespace and a table that belong together.
pub(super) struct Desk {
    _server: Server,
    _folder: Option<TempDir>,
    pub(super) store: String,
    pub(super) db: String,
    pub(super) pool: Pool,
    pub(super) table: String,
}

/// The namespace of every desk: each has a store of its own.
pub(super) const NAMESPACE: &str = "user";

impl Desk {
    /// On a SQLite file, with the table `users (id, name)`.
    pub(super) async fn sqlite(server: Server) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("shop.db");
        let created = PoolConfig::path(&path).create().open().await.expect("creates");
        created.close().await;
        let db = path.to_str().expect("UTF-8").to_owned();
        Self::over(server, db, Some(folder)).await.with_users().await
    }

    /// On a database of the shared PostgreSQL, with the same table.
    pub(super) async fn postgres(server: Server) -> Self {
        let db = PgServer::shared().await.database();
        Self::over(server, db, None).await.with_users().await
    }

    /// On the database at this URL; there is no table yet.
    pub(super) async fn over(server: Server, db: String, folder: Option<TempDir>) -> Self {
        Self {
            store: server.url(),
            _server: server,
            _folder: folder,
            pool: PoolConfig::new(&db).open().await.expect("opens"),
            db,
            table: "users".to_owned(),
        }
    }

    pub(super) async fn with_users(self) -> Self {
        self.run("CREATE TABLE users (id BIGINT PRIMARY KEY, name TEXT NOT NULL)")
            .await;
        self.larder(&["sql", "prepare"], &["--namespace", NAMESPACE]).ended(0);
        self
    }

    /// Runs statements.
    pub(super) async fn run(&self, sql: &str) {
        let text = AssertSqlSafe(sql.to_owned());
        match (self.pool.sqlite(), self.pool.postgres()) {
            (Some(pool), _) => drop(sqlx::raw_sql(text).execute(pool).await.expect(sql)),
            (_, Some(pool)) => drop(sqlx::raw_sql(text).execute(pool).await.expect(sql)),
            _ => unreachable!("it is one of them"),
        }
    }

    /// The one number that a query finds.
    pub(super) async fn count(&self, sql: &str) -> i64 {
        let text = AssertSqlSafe(sql.to_owned());
        let found = match (self.pool.sqlite(), self.pool.postgres()) {
            (Some(pool), _) => sqlx::query_scalar(text).fetch_one(pool).await,
            (_, Some(pool)) => sqlx::query_scalar(text).fetch_one(pool).await,
            _ => unreachable!("it is one of them"),
        };
        found.expect(sql)
    }

    /// Waits until a query finds this number.
    pub(super) async fn comes_to(&self, sql: &str, wanted: i64) {
        eventually(SOON, async || self.count(sql).await == wanted).await;
    }

    /// The name in the row `id`.
    pub(super) async fn name(&self, id: u64) -> Option<String> {
        self.name_or_trouble(id).await.expect("reads")
    }

    /// The same on a database that may be away.
    pub(super) async fn name_or_trouble(&self, id: u64) -> Result<Option<String>, String> {
        let rows = SqlTable::new(self.pool.clone(), "users").rows::<u64, Row>(&[id]).await;
        let row = rows.map_err(|error| error.to_string())?.pop();
        Ok(row.and_then(|(_, row)| row["name"].as_str().map(str::to_owned)))
    }

    /// A service that writes rows to the table, and does not flush.
    pub(super) async fn service<K: CacheKey>(&self, behind: fn(WriteBehind) -> WriteBehind) -> Cache<K, Row> {
        self.service_of(behind).await
    }

    /// The same with values of a type of its own.
    pub(super) async fn service_of<K, V>(&self, behind: fn(WriteBehind) -> WriteBehind) -> Cache<K, V>
    where
        K: CacheKey,
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        self.service_over(SqlTable::new(self.pool.clone(), &self.table), behind)
            .await
    }

    /// The same with settings of the table.
    pub(super) async fn service_over<K, V>(
        &self,
        table: SqlTable,
        behind: fn(WriteBehind) -> WriteBehind,
    ) -> Cache<K, V>
    where
        K: CacheKey,
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        let store = Store::open(&self.store).await.expect("the server runs");
        Cache::builder(NAMESPACE)
            .store(&store)
            .ttl(Duration::from_secs(600))
            .source(table)
            .write(WritePolicy::Behind(behind(
                WriteBehind::new(Ack::Memory).flushes(false).delay(Duration::ZERO),
            )))
            .build()
            .await
            .expect("builds")
    }

    /// `larder WHAT .. --db --table`, with more flags.
    pub(super) fn larder(&self, what: &[&str], more: &[&str]) -> Run {
        self.larder_on(&[what, &["--db", &self.db, "--table", &self.table], more].concat())
    }

    /// `larder` with these arguments on the store.
    pub(super) fn larder_on(&self, args: &[&str]) -> Run {
        tokio::task::block_in_place(|| finish(command(args).env("LARDER_STORE", &self.store).stdin(Stdio::null())))
    }

    /// `larder dlq WHAT --namespace ..`.
    pub(super) fn dlq(&self, what: &str, more: &[&str]) -> Run {
        self.larder_on(&[&["dlq", what, "--namespace", NAMESPACE], more].concat())
    }

    /// The ids of the dead letters.
    pub(super) fn letters(&self) -> Vec<String> {
        let document = self.dlq("list", &["--json"]).ended(0).json();
        let letters = document["letters"].as_array().expect("a list").iter();
        letters
            .map(|letter| letter["id"].as_str().expect("text").to_owned())
            .collect()
    }

    /// A worker that is ready.
    pub(super) async fn worker(&self, more: &[&str]) -> Worker {
        let db = self.db.clone();
        self.worker_on(&db, more).await
    }

    /// A worker that reaches the database at another URL.
    pub(super) async fn worker_on(&self, db: &str, more: &[&str]) -> Worker {
        let args = [
            "worker",
            "--namespace",
            NAMESPACE,
            "--db",
            db,
            "--table",
            &self.table,
            "--lag",
            "100ms",
        ];
        let said = tempfile::NamedTempFile::new().expect("a file");
        // Output and errors go into one file, each behind what is there.
        let append = || File::options().append(true).open(said.path()).expect("opens");
        let child = command(&[&args, more].concat())
            .env("LARDER_STORE", &self.store)
            .stdin(Stdio::null())
            .stdout(append())
            .stderr(append())
            .spawn()
            .expect("the command starts");
        let mut worker = Worker { child, said };
        eventually(SOON, async || {
            let ended = worker.child.try_wait().expect("it is a child");
            assert!(ended.is_none(), "it ended with {ended:?}: {}", worker.said());
            worker.said().contains("ready ")
        })
        .await;
        worker
    }
}

/// A running `larder worker`, killed on drop.
pub(super) struct Worker {
    child: Child,
    said: tempfile::NamedTempFile,
}

impl Worker {
    /// Everything that it printed so far.
    pub(super) fn said(&self) -> String {
        let bytes = std::fs::read(self.said.path()).expect("reads");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has printed this.
    pub(super) async fn says(&self, text: &str) {
        eventually(SOON, async || self.said().contains(text)).await;
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is a child");
    }

    /// SIGTERM; its exit code, and what it said.
    pub(super) fn end(mut self) -> (Option<i32>, String) {
        signal(&self.child, Signal::TERM);
        let status = tokio::task::block_in_place(|| self.child.wait()).expect("it is a child");
        (status.code(), self.said())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
