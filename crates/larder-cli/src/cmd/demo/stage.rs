//! What the scenes play on: the store, the table that is read, the demo's own users, and the figures asked for.

use std::time::Duration;

use larder::{Cache, CacheBuilder, Clock, OnStoreDown, PoolConfig, SqlError, SqlTable, Store};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Args,
    naive::Naive,
    source::Counted,
    users::{self, Row, Users},
};
use crate::{
    context::Context,
    failure::{Failure, OrHint, Outcome},
    own_keys::OwnKeys,
    progress::Progress,
};

/// Everything a scene needs.
pub(super) struct Stage {
    pub(super) store: Store,
    /// As --store names it: for processes that the demo starts.
    pub(super) store_url: String,
    pub(super) clock: Clock,
    /// The table that the reading scenes read, and its name.
    pub(super) table: Counted,
    pub(super) table_name: String,
    /// Whether that table is the demo's own, which may be written to.
    pub(super) is_own: bool,
    /// Keys of that table, at least one.
    pub(super) keys: Vec<String>,
    /// The demo's own database, for the scenes that write, and its table.
    pub(super) users: Users,
    pub(super) own: Counted,
    pub(super) user_count: u64,
    pub(super) lookups: u64,
    /// What the names of all caches of this run begin with, so that two runs on one store do not meet.
    run: String,
}

/// Keys of the table that the scenes read at most.
const KEYS: u32 = 1_000;

/// Entries the near tier of a scene keeps: more than any scene reads.
const NEAR: usize = 10_000;

/// On a remote store the near tier of this version is bounded by time alone; this is how stale it may be.
const NEAR_STALENESS: Duration = Duration::from_secs(1);

impl Stage {
    /// Opens the store and the database, and fills the demo's own.
    pub(super) async fn set(args: &Args, users: Users, context: &Context) -> Outcome<Self> {
        let ui = &context.ui;
        let store = args.store.open().await?;
        ui.line("Larder demo: one table, read through a two-tier cache.");
        ui.line(format_args!("  store     {}", store.url()));
        if store.is_embedded() {
            ui.line("            in this process; to use a server: larder demo --store redis://127.0.0.1:6379");
        } else {
            ui.line(format_args!(
                "            a server: it says what changes, and near copies are at most {NEAR_STALENESS:?} behind"
            ));
        }
        let counted = |table| Counted::new(table, context.clock.clone(), args.load_delay);
        let own_table = users.table();
        let table = match (&args.db, &args.table) {
            (Some(db), Some(table)) => foreign_table(db, table, args.key.as_deref()).await?,
            _ => own_table.clone(),
        };
        let table_name = args.table.clone().unwrap_or_else(|| users::TABLE.to_owned());
        ui.line(format_args!(
            "  database  {}",
            args.db
                .as_deref()
                .map_or_else(|| "a private SQLite file".to_owned(), shown_url)
        ));
        if args.db.is_some() && args.table.is_none() {
            ui.line("            in a schema of its own, which is removed at the end");
        }
        ui.line(format_args!("  table     {table_name}"));
        let whose = if args.table.is_some() {
            " into a private database: the scenes that write use that"
        } else {
            ""
        };
        ui.line(format_args!(
            "  loading {} users in batches of {}{whose}",
            args.users, args.batch
        ));
        users
            .fill(args.users, args.batch, Progress::new(ui, args.users, "records"))
            .await?;
        let keys = table.first_keys(KEYS).await?;
        if keys.is_empty() {
            return Err(Failure::new(format_args!(
                "the table {table_name:?} has no rows to read"
            )));
        }
        let mut run = [0; 4];
        context.random.fill(&mut run);
        Ok(Self {
            store,
            store_url: args.store.store.clone(),
            clock: context.clock.clone(),
            table: counted(table),
            table_name,
            is_own: args.table.is_none(),
            keys,
            users,
            own: counted(own_table),
            user_count: args.users,
            lookups: args.lookups,
            run: format!("demo-{:08x}", u32::from_ne_bytes(run)),
        })
    }

    /// A cache of its own for `scene`: rows by the text of their key.
    pub(super) fn cache(&self, scene: &str) -> CacheBuilder<String, Row> {
        self.cache_of(scene)
    }

    /// A cache of its own for `scene`, of any value.
    pub(super) fn cache_of<V>(&self, scene: &str) -> CacheBuilder<String, V>
    where
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        Cache::builder(self.namespace(scene))
            .store(&self.store)
            .near(NEAR)
            // A tour without its store shows nothing: an error that names the store says more than odd figures.
            .max_staleness(NEAR_STALENESS)
            .on_store_down(OnStoreDown::Fail)
    }

    /// The user of a round: one after the other, and from the first one again.
    pub(super) fn user_of(&self, round: u64) -> u64 {
        round % self.user_count + 1
    }

    /// What is written by hand, for `scene`.
    pub(super) fn naive(&self, scene: &str, ttl: Duration) -> Naive {
        Naive::new(&self.store, self.namespace(&format!("{scene}-naive")), ttl)
    }

    /// The namespace of `scene` in this run.
    pub(super) fn namespace(&self, scene: &str) -> String {
        format!("{}-{scene}", self.run)
    }

    /// How many loads, one after another, a scene may make when each takes as long as asked for: all of `wanted`
    /// unless that would take more than two seconds.
    pub(super) fn affordable(&self, wanted: usize) -> usize {
        const BUDGET: Duration = Duration::from_secs(2);
        match self.table.delay() {
            Duration::ZERO => wanted,
            delay => ((BUDGET.as_secs_f64() / delay.as_secs_f64()) as usize).clamp(1, wanted),
        }
    }

    /// Runs `work` and says how long it took.
    pub(super) async fn timed<T>(&self, work: impl Future<Output = T>) -> (T, Duration) {
        let started = self.clock.monotonic();
        let done = work.await;
        (done, self.clock.monotonic().saturating_sub(started))
    }

    /// The keys that the scenes make.
    pub(super) fn own_keys<'a>(&self, context: &'a Context) -> OwnKeys<'a> {
        OwnKeys::new(context, std::slice::from_ref(&self.store), &format!("{}-", self.run))
    }

    /// Closes the store and the database.
    pub(super) async fn close(self) {
        self.store.close().await;
        self.users.close().await;
    }
}

/// A URL without the password that it may hold.
fn shown_url(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut url) if url.has_host() => {
            // Refused only where there is no host.
            let _ = url.set_password(None);
            url.set_query(None);
            url.to_string()
        }
        _ => url.to_owned(),
    }
}

/// The user's table: opened so that nothing can be written to it.
async fn foreign_table(db: &str, table: &str, key: Option<&str>) -> Outcome<SqlTable> {
    let pool = PoolConfig::new(db)
        .read_only()
        .open()
        .await
        .or_hint("--db takes a path, sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME of an existing database")?;
    let table = SqlTable::new(pool, table);
    let table = key.map_or_else(|| table.clone(), |key| table.clone().key(key));
    let schema = match table.schema().await {
        Ok(schema) => schema,
        Err(error @ SqlError::NoKey { .. }) => return Err(Failure::from(error).hint("add --key COLUMN")),
        Err(error) => return Err(Failure::from(error)),
    };
    if schema.key().count() > 1 {
        let columns: Vec<&str> = schema.key().collect();
        let what = format!(
            "the key of table {:?} has several columns: {}",
            schema.name,
            columns.join(", ")
        );
        return Err(Failure::new(what).hint("add --key COLUMN with one column that is unique"));
    }
    Ok(table)
}
