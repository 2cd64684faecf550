//! Where accepted writes wait, and the database that they reach.

use std::time::Duration;

use larder_sql::{Pool, PoolConfig, SqlTable};
use larder_testkit::{PgServer, RedisServer};
use sqlx::AssertSqlSafe;
use tempfile::TempDir;

/// The namespace that owns the table.
pub(super) const NAMESPACE: &str = "kills";
pub(super) const TABLE: &str = "t";

/// `n` is a counter, which has a row of its own. `b` is set by puts alone, so that a patch of the others shows what it was laid over.
const MAKE: &str = "CREATE TABLE t (id BIGINT PRIMARY KEY, op BIGINT NOT NULL DEFAULT 0, a BIGINT NOT NULL DEFAULT 0 CHECK (a >= 0), \
     b BIGINT NOT NULL DEFAULT 0, n BIGINT)";

/// Versions in the row: what a row becomes is noted, and a removal if no row stands over it. Every statement takes a while within
/// its transaction.
const NOTE_POSTGRES: &str = "
CREATE TABLE history (n BIGSERIAL PRIMARY KEY, id BIGINT NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL);
CREATE FUNCTION note_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO history (id, epoch, seq) VALUES (NEW.id, NEW.l_epoch, NEW.l_seq);
  RETURN NULL;
END $$;
CREATE TRIGGER note_row AFTER INSERT OR UPDATE ON t FOR EACH ROW WHEN (NEW.n IS NULL) EXECUTE FUNCTION note_row();
CREATE FUNCTION note_removal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF NOT EXISTS (SELECT 1 FROM t WHERE id = NEW.key::bigint) THEN
    INSERT INTO history (id, epoch, seq) VALUES (NEW.key::bigint, NEW.l_epoch, NEW.l_seq);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER note_removal AFTER INSERT OR UPDATE ON larder_applied FOR EACH ROW EXECUTE FUNCTION note_removal();
CREATE FUNCTION take_a_while() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  PERFORM pg_sleep(0.01);
  RETURN NULL;
END $$;
CREATE TRIGGER take_a_while BEFORE INSERT OR UPDATE OR DELETE ON t FOR EACH STATEMENT EXECUTE FUNCTION take_a_while()";

/// Versions in a side table, which alone is the history.
const NOTE_SQLITE: &str = "
CREATE TABLE history (n INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL);
CREATE TRIGGER note_insert AFTER INSERT ON larder_applied BEGIN
  INSERT INTO history (id, epoch, seq) VALUES (CAST(NEW.key AS INTEGER), NEW.l_epoch, NEW.l_seq);
END;
CREATE TRIGGER note_update AFTER UPDATE ON larder_applied BEGIN
  INSERT INTO history (id, epoch, seq) VALUES (CAST(NEW.key AS INTEGER), NEW.l_epoch, NEW.l_seq);
END";

/// A row: `id, op, a, b`.
pub(super) type DbRow = (i64, i64, i64, i64);
/// A change that took effect: `id, epoch, seq`.
pub(super) type DbChange = (i64, i64, i64);

/// Both ends of a run.
pub(super) struct Medium {
    pub(super) store: String,
    pub(super) database: String,
    /// `None`: both are files of the one process that is there.
    servers: Option<Servers>,
    _folder: TempDir,
}

struct Servers {
    redis: RedisServer,
    postgres: PgServer,
}

impl Medium {
    /// A Redis that syncs its log before it answers, and a PostgreSQL.
    pub(super) async fn servers() -> Self {
        let redis = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).await;
        let postgres = PgServer::start().await;
        let medium = Self {
            store: redis.url(),
            database: postgres.database(),
            servers: Some(Servers { redis, postgres }),
            _folder: tempfile::tempdir().expect("a folder"),
        };
        medium.prepare().await;
        medium
    }

    /// An embedded engine's folder, and a SQLite file.
    pub(super) async fn folder() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().to_str().expect("UTF-8");
        let medium = Self {
            store: format!("embedded:{path}/store?fsync=always"),
            database: format!("{path}/kills.db"),
            servers: None,
            _folder: folder,
        };
        medium.prepare().await;
        medium
    }

    pub(super) const fn name(&self) -> &'static str {
        match self.servers {
            Some(_) => "Redis and PostgreSQL",
            None => "embedded folder and SQLite",
        }
    }

    pub(super) const fn has_servers(&self) -> bool {
        self.servers.is_some()
    }

    /// Of the redis-server.
    pub(super) fn store_pid(&self) -> u32 {
        self.servers.as_ref().expect("it is a server").redis.pid()
    }

    /// Of the PostgreSQL server, whose children end with it.
    pub(super) fn database_pid(&self) -> u32 {
        self.servers.as_ref().expect("it is a server").postgres.pid()
    }

    /// kill -9, and up again with what it had.
    pub(super) async fn kill_store(&mut self) {
        let servers = self.servers.as_mut().expect("a folder is killed with its process");
        servers.redis.restart_from_save().await;
    }

    /// kill -9 of the server and all its children, and up again.
    pub(super) async fn kill_database(&mut self) {
        let servers = self.servers.as_mut().expect("a file is killed with its process");
        servers.postgres.restart().await;
    }

    async fn prepare(&self) {
        let config = config(&self.database);
        let pool = if self.has_servers() { config } else { config.create() };
        let pool = pool.open().await.expect("the database opens");
        run(&pool, MAKE).await;
        let prepare = SqlTable::new(pool.clone(), TABLE).prepare().namespace(NAMESPACE);
        let prepare = if self.has_servers() {
            prepare
        } else {
            prepare.side_table()
        };
        prepare.apply().await.expect("the table can be prepared");
        let note = if self.has_servers() { NOTE_POSTGRES } else { NOTE_SQLITE };
        run(&pool, note).await;
        pool.close().await;
    }

    /// All rows.
    pub(super) async fn rows(&self) -> Vec<DbRow> {
        let sql = "SELECT id, op, a, b FROM t";
        let pool = self.pool().await;
        let rows = match (pool.sqlite(), pool.postgres()) {
            (Some(pool), _) => sqlx::query_as(sql).fetch_all(pool).await,
            (_, Some(pool)) => sqlx::query_as(sql).fetch_all(pool).await,
            _ => unreachable!("there are two"),
        };
        rows.expect("the table can be read")
    }

    /// All counters, by key.
    pub(super) async fn counters(&self) -> Vec<(i64, i64)> {
        let sql = "SELECT id, n FROM t WHERE n IS NOT NULL";
        let pool = self.pool().await;
        let counters = match (pool.sqlite(), pool.postgres()) {
            (Some(pool), _) => sqlx::query_as(sql).fetch_all(pool).await,
            (_, Some(pool)) => sqlx::query_as(sql).fetch_all(pool).await,
            _ => unreachable!("there are two"),
        };
        counters.expect("the counters can be read")
    }

    /// What took effect, in its order.
    pub(super) async fn history(&self) -> Vec<DbChange> {
        let sql = "SELECT id, epoch, seq FROM history ORDER BY n";
        let pool = self.pool().await;
        let changes = match (pool.sqlite(), pool.postgres()) {
            (Some(pool), _) => sqlx::query_as(sql).fetch_all(pool).await,
            (_, Some(pool)) => sqlx::query_as(sql).fetch_all(pool).await,
            _ => unreachable!("there are two"),
        };
        changes.expect("the history can be read")
    }

    async fn pool(&self) -> Pool {
        config(&self.database).open().await.expect("the database opens")
    }
}

/// Patient: the machine may be busy with much else.
pub(super) fn config(database: &str) -> PoolConfig {
    let patience = Duration::from_secs(60);
    PoolConfig::new(database)
        .acquire_timeout(patience)
        .connect_timeout(patience)
}

async fn run(pool: &Pool, sql: &'static str) {
    let ran = match (pool.sqlite(), pool.postgres()) {
        (Some(pool), _) => sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.map(drop),
        (_, Some(pool)) => sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.map(drop),
        _ => unreachable!("there are two"),
    };
    ran.unwrap_or_else(|error| panic!("{}: {error}: {sql}", pool.product()));
}
