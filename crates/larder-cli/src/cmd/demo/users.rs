//! The demo's own database: a private SQLite file in a temporary folder, or a schema of its own on a PostgreSQL. Gone when
//! the demo ends.

use std::sync::Arc;

use larder::{Pool, PoolConfig, Sink as _, SqlTable};
use larder_testkit::OwnFolder;
use serde_json::{Map, Value, json};
use sqlx::AssertSqlSafe;

use crate::{
    context::Context,
    failure::{Failure, OrHint, Outcome},
    progress::Progress,
    ui::Ui,
};

/// The name of the demo's own table.
pub(super) const TABLE: &str = "users";

/// Teams the users are spread over.
pub(super) const TEAMS: u64 = 10;

/// A user as a row, and as JSON in the store.
pub(super) type Row = Map<String, Value>;

/// The demo's own database; a cheap clone. It is not shown: there may be a password in it.
#[derive(Clone)]
pub(super) struct Users {
    pool: Pool,
    place: Place,
    table: SqlTable,
}

/// Where it is, and what has to be removed.
#[derive(Clone)]
enum Place {
    /// The folder is removed with everything in it when the last clone is dropped.
    Folder(Arc<OwnFolder>),
    Schema {
        url: String,
        schema: String,
    },
}

impl Users {
    /// An empty database of its own.
    pub(super) async fn create(context: &Context) -> Outcome<Self> {
        let folder = OwnFolder::new()
            .or_while("cannot create a temporary folder for the demo's database")
            .or_hint("set TMPDIR to a folder that you can write to")?;
        let pool = PoolConfig::path(folder.path().join("users.db")).create().open().await?;
        Self::begin(pool, Place::Folder(Arc::new(folder)), &context.ui).await
    }

    /// The same in the PostgreSQL at `url`, in a schema with a name of its own.
    pub(super) async fn create_at(url: &str, context: &Context) -> Outcome<Self> {
        if !["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
        {
            return Err(Failure::usage(
                "--db without --table is for PostgreSQL, where the demo makes a schema of its own",
            )
            .hint("add --table TABLE, or leave out --db: the demo then makes a SQLite file of its own"));
        }
        let pool = PoolConfig::new(url).open().await;
        let pool = pool.or_hint("--db takes postgres://USER:PASSWORD@HOST/NAME of an existing database")?;
        let mut name = [0; 4];
        context.random.fill(&mut name);
        let schema = format!("larder_demo_{:08x}", u32::from_ne_bytes(name));
        let made = execute(&pool, format!("CREATE SCHEMA {schema}")).await;
        made.or_hint("the user of --db needs the right to create a schema there")?;
        let url = url.to_owned();
        Self::begin(pool, Place::Schema { url, schema }, &context.ui).await
    }

    async fn begin(pool: Pool, place: Place, ui: &Ui) -> Outcome<Self> {
        let users = Self {
            table: SqlTable::new(pool.clone(), &place.named(TABLE)),
            pool,
            place,
        };
        let columns = "name TEXT NOT NULL, email TEXT NOT NULL, team BIGINT NOT NULL, visits BIGINT NOT NULL";
        match users.create_table(TABLE, columns).await {
            Ok(_) => Ok(users),
            Err(failure) => {
                users.remove(ui).await;
                Err(failure)
            }
        }
    }

    /// The table of users.
    pub(super) fn table(&self) -> SqlTable {
        self.table.clone()
    }

    /// One more table, with the key `id` and these columns.
    pub(super) async fn create_table(&self, name: &str, columns: &str) -> Outcome<SqlTable> {
        let named = self.place.named(name);
        // INTEGER: in SQLite that is the number of the row, and needs no index of its own.
        let key = if self.pool.postgres().is_some() {
            "BIGINT"
        } else {
            "INTEGER"
        };
        execute(
            &self.pool,
            format!("CREATE TABLE {named} (id {key} PRIMARY KEY, {columns})"),
        )
        .await?;
        Ok(SqlTable::new(self.pool.clone(), &named))
    }

    /// The database as `larder worker` takes it, and the name of one of its tables there.
    pub(super) fn address_of(&self, table: &str) -> (String, String) {
        let url = match &self.place {
            Place::Folder(folder) => folder.path().join("users.db").display().to_string(),
            Place::Schema { url, .. } => url.clone(),
        };
        (url, self.place.named(table))
    }

    /// What it is called.
    pub(super) fn product(&self) -> &'static str {
        self.pool.product()
    }

    /// Adds the users 1 to `count`, `batch` of them in a transaction.
    pub(super) async fn fill(&self, count: u64, batch: u64, mut progress: Progress) -> Outcome {
        let mut next = 1;
        while next <= count {
            let end = count.min(next + batch - 1);
            let rows: Vec<(String, Row)> = (next..=end).map(|id| (id.to_string(), row(id))).collect();
            self.table.put_many(&rows).await?;
            progress.add(end + 1 - next);
            next = end + 1;
        }
        progress.finish();
        Ok(())
    }

    /// Adds one user; `false` if there is one already.
    pub(super) async fn add(&self, id: u64) -> Outcome<bool> {
        let key = id.to_string();
        if !self
            .table
            .rows::<String, Row>(std::slice::from_ref(&key))
            .await?
            .is_empty()
        {
            return Ok(false);
        }
        self.table.put(&key, &row(id)).await?;
        Ok(true)
    }

    /// Counts one visit more of user `id`: the change that the scenes make.
    pub(super) async fn visit(&self, id: u64) -> Outcome {
        let users = self.place.named(TABLE);
        Ok(execute(
            &self.pool,
            format!("UPDATE {users} SET visits = visits + 1 WHERE id = {id}"),
        )
        .await?)
    }

    /// Removes what was made beside the folder; says so if it could not be.
    pub(super) async fn remove(&self, ui: &Ui) {
        let Place::Schema { schema, .. } = &self.place else {
            return;
        };
        if let Err(error) = execute(&self.pool, format!("DROP SCHEMA {schema} CASCADE")).await {
            ui.remark(format_args!(
                "the schema {schema} of this run may be left: {error}\nhint: DROP SCHEMA {schema} CASCADE removes it"
            ));
        }
    }

    /// Closes the pool, so that nothing writes into the folder while it is removed.
    pub(super) async fn close(self) {
        self.pool.close().await;
    }
}

impl Place {
    /// A table of the demo's own, as a statement and as `SqlTable` name it.
    fn named(&self, table: &str) -> String {
        match self {
            Self::Folder(_) => table.to_owned(),
            Self::Schema { schema, .. } => format!("{schema}.{table}"),
        }
    }
}

/// Runs a statement of the demo's own, in which nothing is anybody else's text.
async fn execute(pool: &Pool, sql: String) -> anyhow::Result<()> {
    let query = AssertSqlSafe(sql);
    if let Some(pool) = pool.sqlite() {
        sqlx::query(query).execute(pool).await?;
    } else if let Some(pool) = pool.postgres() {
        sqlx::query(query).execute(pool).await?;
    } else {
        anyhow::bail!("the demo does not know {}", pool.product());
    }
    Ok(())
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
