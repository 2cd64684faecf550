//! What the store must offer for an acknowledgement level, looked at when the cache is built.

use larder_store::Store;
use redis::Value;

use super::{Ack, WriteBehind};
use crate::{Error, ErrorKind, settings::OnStoreDown};

/// What a store says of itself.
struct Says {
    policy: String,
    appendonly: String,
    appendfsync: String,
}

/// Refuses a level that the store does not keep, naming what is missing.
pub(crate) async fn check(
    store: &Store,
    settings: &WriteBehind,
    value_max: usize,
    on_store_down: OnStoreDown,
) -> Result<(), Error> {
    settings.check(value_max)?;
    if matches!(on_store_down, OnStoreDown::Bypass { .. }) {
        return Err(Error::config(
            "`OnStoreDown::Bypass` reads the source while the store is down, and with `WritePolicy::Behind` the source may lack \
             what was written; use `OnStoreDown::Fail` or `OnStoreDown::ServeNear`",
        ));
    }
    if store
        .generation()
        .is_some_and(|generation| generation.run_id.is_empty())
    {
        return Err(Error::config(
            "`WritePolicy::Behind` has to notice a restart or a failover of the store, and this user may not run `INFO` on it",
        ));
    }
    if settings.ack == Ack::Memory {
        return Ok(());
    }
    let says = Says {
        policy: config(store, settings.ack, "maxmemory-policy").await?,
        appendonly: config(store, settings.ack, "appendonly").await?,
        appendfsync: config(store, settings.ack, "appendfsync").await?,
    };
    let refuse = |why: String| {
        Err(Error::config(format!(
            "`{}` is not possible on `{store}`: {why}",
            settings.ack
        )))
    };
    if says.policy.starts_with("allkeys-") {
        return refuse(format!(
            "its `maxmemory-policy` is {}, which evicts what waits to be flushed; use `noeviction` or a `volatile-` policy",
            says.policy
        ));
    }
    match settings.ack {
        Ack::Memory => Ok(()),
        Ack::Fsync if says.appendonly == "yes" && says.appendfsync == "always" => Ok(()),
        Ack::Fsync if store.is_embedded() => refuse(
            "it needs a log that is synced before each answer: open it as `embedded:FOLDER?fsync=always`, or use `Ack::Memory`"
                .to_owned(),
        ),
        Ack::Fsync => refuse(format!(
            "it needs `appendonly yes` and `appendfsync always`, and the server has `appendonly {}` and `appendfsync {}`",
            says.appendonly, says.appendfsync
        )),
        Ack::Replicated(_) if store.is_embedded() => refuse("an embedded store has no replicas".to_owned()),
        Ack::Replicated(wanted) => match replicas(store).await? {
            there if there >= wanted => Ok(()),
            there => refuse(format!("{wanted} replicas have to confirm a write, and {there} are connected")),
        },
    }
}

async fn config(store: &Store, ack: Ack, name: &str) -> Result<String, Error> {
    let mut command = redis::cmd("CONFIG");
    command.arg("GET").arg(name);
    let found = match store.run(&command).await.and_then(|value| Ok(value.extract_error()?)) {
        Ok(Value::Map(pairs)) => pairs.into_iter().next().map(|(_, value)| value),
        Ok(Value::Array(items)) => items.into_iter().nth(1),
        Ok(_) => None,
        Err(error) if error.is_connection() => {
            return Err(Error::from(ErrorKind::Store {
                operation: "CONFIG GET",
                source: error.into(),
            }));
        }
        Err(_) => None,
    };
    match found {
        Some(Value::BulkString(bytes)) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Some(Value::SimpleString(text)) => Ok(text),
        _ => Err(Error::config(format!(
            "`{ack}` rests on the store's `{name}`, and it does not tell: this user may not run `CONFIG GET`, or it knows no \
             such setting; use `Ack::Memory`"
        ))),
    }
}

/// Replicas that are connected and in step.
async fn replicas(store: &Store) -> Result<u32, Error> {
    let mut command = redis::cmd("INFO");
    command.arg("replication");
    let text = match store.run(&command).await {
        Ok(Value::BulkString(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        Ok(Value::VerbatimString { text, .. } | Value::SimpleString(text)) => text,
        Ok(_) => String::new(),
        Err(error) => {
            return Err(Error::from(ErrorKind::Store {
                operation: "INFO",
                source: error.into(),
            }));
        }
    };
    let online = text
        .lines()
        .filter(|line| line.starts_with("slave") && line.contains("state=online"));
    Ok(online.count() as u32)
}
