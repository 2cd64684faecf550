//! A namespace that is written behind, as commands work on it: without the types of the services that write it.
//!
//! What waits describes itself: a value is read as JSON, and a key as so many texts as the table's key has columns.

use std::time::Duration;

use crate::{
    exact::Exact,
    failure::{Failure, Outcome},
};
use futures_util::future::{FutureExt as _, LocalBoxFuture};
use larder::{
    Ack, Cache, CacheBuilder, CacheKey, Codec, DeadLetter, Drained, Error, Events, Lag, LetterId, Sink, SinkError,
    SqlError, SqlTable, Store, Ttl, WriteBehind, WritePolicy,
};
use larder_base::codec::VALUE_MAX_LIMIT;

/// A cache of which only what lies behind it is used, whatever its keys are.
pub(crate) trait Flusher {
    fn lag(&self) -> LocalBoxFuture<'_, Result<Lag, Error>>;
    /// Changes that this process flushed so far.
    fn flushed(&self) -> u64;
    fn events(&self) -> Events;
    fn letters(&self) -> LocalBoxFuture<'_, Result<Vec<DeadLetter>, Error>>;
    fn letter(&self, id: LetterId) -> LocalBoxFuture<'_, Result<Option<DeadLetter>, Error>>;
    fn replay(&self, id: LetterId) -> LocalBoxFuture<'_, Result<bool, Error>>;
    fn discard(&self, id: LetterId) -> LocalBoxFuture<'_, Result<bool, Error>>;
    fn drain(&self, deadline: Duration) -> LocalBoxFuture<'_, Drained>;
}

impl<K: CacheKey> Flusher for Cache<K, Exact> {
    fn lag(&self) -> LocalBoxFuture<'_, Result<Lag, Error>> {
        Self::lag(self).boxed_local()
    }

    fn flushed(&self) -> u64 {
        self.stats().behind_flushed
    }

    fn events(&self) -> Events {
        Self::events(self)
    }

    fn letters(&self) -> LocalBoxFuture<'_, Result<Vec<DeadLetter>, Error>> {
        self.dead_letters().boxed_local()
    }

    fn letter(&self, id: LetterId) -> LocalBoxFuture<'_, Result<Option<DeadLetter>, Error>> {
        self.dead_letter(id).boxed_local()
    }

    fn replay(&self, id: LetterId) -> LocalBoxFuture<'_, Result<bool, Error>> {
        self.replay_dead_letter(id).boxed_local()
    }

    fn discard(&self, id: LetterId) -> LocalBoxFuture<'_, Result<bool, Error>> {
        self.drop_dead_letter(id).boxed_local()
    }

    fn drain(&self, deadline: Duration) -> LocalBoxFuture<'_, Drained> {
        Self::drain(self, deadline).boxed_local()
    }
}

/// How a flusher is set.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) behind: WriteBehind,
    /// Where services in other languages hear of what was flushed.
    pub(crate) channel: Option<String>,
}

impl Settings {
    /// One that flushes nothing by itself, and accepts no writes: how safe they would be does not matter.
    pub(crate) fn idle() -> Self {
        Self {
            // Room for the largest value there can be: what was accepted is read, whatever its writer's limits.
            behind: WriteBehind::new(Ack::Memory).max_bytes(usize::MAX).flushes(false),
            channel: None,
        }
    }
}

/// The columns of the longest composite key.
const PARTS_MAX: usize = 4;

const LET_THE_SERVICE: &str = "let a process of the service flush: it knows the type of its keys";

/// The flusher of `namespace` into `table`, which has to be prepared for it: what is taken for a table that refuses it would
/// all be dead letters.
pub(crate) async fn open(
    store: &Store,
    namespace: &str,
    table: &SqlTable,
    settings: Settings,
) -> Outcome<Box<dyn Flusher>> {
    let schema = table.schema().await.map_err(explain_table)?;
    let is_bytes = |declared: &str| {
        let declared = declared.to_ascii_lowercase();
        declared.contains("blob") || declared == "bytea"
    };
    let key: Vec<&str> = schema.key().collect();
    let columns = schema.columns.iter();
    if let Some(column) = columns
        .filter(|column| key.contains(&column.name.as_str()))
        .find(|column| is_bytes(&column.declared))
    {
        return Err(Failure::new(format_args!(
            "the key column {:?} of table {:?} is of bytes, which cannot be told from text as they are written in the store",
            column.name, schema.name
        ))
        .hint(LET_THE_SERVICE));
    }
    if key.len() > PARTS_MAX {
        return Err(Failure::new(format_args!(
            "the key of table {:?} has {} columns, and at most {PARTS_MAX} can be flushed by this command",
            schema.name,
            key.len()
        ))
        .hint(LET_THE_SERVICE));
    }
    table.check_owner(namespace).await.map_err(explain_table)?;
    let table = table.clone();
    match key.len() {
        1 => build::<String>(store, namespace, table, settings).await,
        2 => build::<(String, String)>(store, namespace, table, settings).await,
        3 => build::<(String, String, String)>(store, namespace, table, settings).await,
        _ => build::<(String, String, String, String)>(store, namespace, table, settings).await,
    }
}

/// The dead letters of `namespace`, to be looked at and dropped: no source is asked.
pub(crate) async fn letters_of(store: &Store, namespace: &str) -> Outcome<Box<dyn Flusher>> {
    build::<String>(store, namespace, Nowhere, Settings::idle()).await
}

async fn build<K: CacheKey>(
    store: &Store,
    namespace: &str,
    sink: impl Sink<K, Exact>,
    settings: Settings,
) -> Outcome<Box<dyn Flusher>> {
    let builder: CacheBuilder<K, Exact> = Cache::builder(namespace)
        .store(store)
        // Nothing is read, and what is never read does not expire.
        .ttl(Ttl::never())
        .codec(Codec::json().value_max(VALUE_MAX_LIMIT))
        .sink(sink)
        .write(WritePolicy::Behind(settings.behind));
    let builder = match settings.channel {
        Some(channel) => builder.channel(channel),
        None => builder,
    };
    let cache = builder.build().await.map_err(explain)?;
    Ok(Box::new(cache))
}

/// What makes no sense as it stands is wrong usage; the rest is as it was told.
pub(crate) fn explain(error: Error) -> Failure {
    match error {
        error if error.is_config() => Failure::from(error).into_usage(),
        error if error.is_store_down() => Failure::from(error).hint(crate::flags::LiveStore::HINT),
        error => Failure::from(error),
    }
}

fn explain_table(error: SqlError) -> Failure {
    match error {
        error @ SqlError::NoKey { .. } => Failure::from(error).hint("add --key COLUMN"),
        error @ SqlError::Owned { .. } => Failure::from(error)
            .hint("name the table that this namespace is written behind to, or the namespace of this table"),
        error => Failure::from(error),
    }
}

/// No source at all: whoever only looks at dead letters has none.
struct Nowhere;

impl Sink<String, Exact> for Nowhere {
    async fn put(&self, _: &String, _: &Exact) -> Result<(), SinkError> {
        Err(SinkError::unsupported("is not there"))
    }

    async fn remove(&self, _: &String) -> Result<bool, SinkError> {
        Err(SinkError::unsupported("is not there"))
    }
}
