//! `larder keys`: the keys of a store, found by `SCAN`.

use larder_store::Store;
use redis::Value;

use crate::{context::Context, failure::Outcome, flags::LiveStore, ui::count};

/// List the keys that match a pattern.
///
/// It scans step by step (SCAN) and never blocks the server, as KEYS would.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    store: LiveStore,
    /// Glob pattern of whole keys, in quotes: 'user:*'.
    #[arg(default_value = "*")]
    pattern: String,
    /// Most keys to list; 0 lists them all.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    limit: usize,
}

pub(crate) async fn run(args: Args, context: &Context) -> Outcome {
    let store = args.store.open().await?;
    let found = scan(&store, &args.pattern, args.limit).await?;
    let keys: Vec<String> = found
        .keys
        .iter()
        .map(|key| String::from_utf8_lossy(key).into_owned())
        .collect();
    for key in &keys {
        context.ui.line(key);
    }
    if found.is_cut {
        // Not among the keys, which may go into a pipe.
        context.ui.remark(format_args!(
            "(cut at {}; --limit 0 lists all)",
            count(keys.len() as u64, "key", "keys")
        ));
    }
    context.ui.document(&keys);
    Ok(())
}

/// Keys asked for with each step: a millisecond of the server.
const SCAN_COUNT: usize = 500;

/// What a scan found, in order of the alphabet.
pub(crate) struct Found {
    pub(crate) keys: Vec<Vec<u8>>,
    /// There are more than the limit.
    pub(crate) is_cut: bool,
}

/// The keys that match `pattern`, each once; at most `limit`, where that is not 0.
pub(crate) async fn scan(store: &Store, pattern: &str, limit: usize) -> Outcome<Found> {
    let mut keys = std::collections::BTreeSet::new();
    let mut cursor = b"0".to_vec();
    loop {
        let mut command = redis::cmd("SCAN");
        command
            .arg(&cursor)
            .arg("MATCH")
            .arg(pattern)
            .arg("COUNT")
            .arg(SCAN_COUNT);
        let (next, batch): (Vec<u8>, Vec<Vec<u8>>) = redis::from_redis_value(store.run(&command).await?)?;
        keys.extend(batch);
        cursor = next;
        // Only one more than the limit shows that there are more.
        let is_cut = limit > 0 && keys.len() > limit;
        if is_cut || cursor == b"0" {
            let most = if limit > 0 { limit } else { usize::MAX };
            return Ok(Found {
                keys: keys.into_iter().take(most).collect(),
                is_cut,
            });
        }
    }
}

/// The text of `INFO`.
pub(super) async fn info(store: &Store) -> Outcome<String> {
    let reply: Value = store.run(redis::cmd("INFO").arg("everything")).await?;
    Ok(crate::reply::raw(&reply))
}
