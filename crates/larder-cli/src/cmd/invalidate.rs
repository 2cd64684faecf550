//! `larder invalidate`: what a cache holds is no longer true.

use std::sync::Arc;

use larder_cache::{Cache, Error, Ttl};
use larder_store::Store;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{
    context::Context,
    failure::{Failure, Outcome},
    flags::LiveStore,
    progress::Progress,
    ui::count,
};

/// Invalidate entries of a namespace: by key, by tag, by pattern, or all of them.
///
/// Success means that the store has acknowledged it, whether or not anything was cached; processes with near copies are
/// told by the store. The next read of what was invalidated goes to its source.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    store: LiveStore,
    /// The namespace, as `Cache::builder` was given it: what keys in the store begin with.
    namespace: String,
    #[command(flatten)]
    what: What,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct What {
    /// A key, such as 42; may be given several times.
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// Every value with this tag; may be given several times.
    #[arg(long, value_name = "TAG", value_parser = tag)]
    tag: Vec<String>,
    /// Every key that matches this glob pattern, in quotes; a composite key is written `eu:7`.
    #[arg(long, value_name = "PATTERN")]
    pattern: Option<String>,
    /// Everything in the namespace, in a moment, however much it is.
    #[arg(long)]
    all: bool,
}

/// The longest tag that a value can have, in bytes.
const TAG_MAX: usize = 255;

/// Reads a tag: the flags are refused as a whole, before the first of them is done.
fn tag(text: &str) -> Result<String, String> {
    match text.len() {
        1..=TAG_MAX => Ok(text.to_owned()),
        bytes => Err(format!("a tag has 1 to {TAG_MAX} bytes, not {bytes}")),
    }
}

/// What makes no sense as it stands is wrong usage; everything else is the store's.
fn explain(error: Error) -> Failure {
    if error.is_config() {
        Failure::from(error).into_usage()
    } else {
        Failure::from(error).hint(LiveStore::HINT)
    }
}

pub(crate) async fn run(args: Args, context: &Context) -> Outcome {
    // The namespace is looked at before the store is asked for.
    let store = args.store.lazy().await?;
    // The type of the values does not matter: none is read.
    let cache: Cache<String, Value> = Cache::builder(&args.namespace)
        .store(&store)
        .ttl(Ttl::never())
        .build()
        .await
        .map_err(explain)?;
    let What { key, tag, pattern, all } = &args.what;
    if !key.is_empty() {
        cache.invalidate_many(key).await.map_err(explain)?;
    }
    if !tag.is_empty() {
        cache.invalidate_tags(tag).await.map_err(explain)?;
    }
    let matched = match pattern {
        Some(pattern) => Some(matching(&cache, &store, pattern, context).await?),
        None => None,
    };
    if *all {
        cache.clear().await.map_err(explain)?;
    }
    let mut done = Vec::new();
    done.extend((!key.is_empty()).then(|| count(key.len() as u64, "key", "keys")));
    done.extend((!tag.is_empty()).then(|| count(tag.len() as u64, "tag", "tags")));
    done.extend(matched.map(|n| count(n, "matching entry", "matching entries")));
    done.extend(all.then(|| "everything".to_owned()));
    context
        .ui
        .line(format_args!("{}: invalidated {}", args.namespace, done.join(", ")));
    context.ui.document(&json!({
        "namespace": args.namespace,
        "keys": key.len(),
        "tags": tag.len(),
        "matched": matched,
        "all": all,
    }));
    Ok(())
}

/// Keys that a step of the walk looks at, more or less.
const STEP: u64 = 500;

/// Invalidates by pattern, and shows how far the walk over all keys of the store has come; how many entries it found.
async fn matching(cache: &Cache<String, Value>, store: &Store, pattern: &str, context: &Context) -> Outcome<u64> {
    // Who may not ask for it, sees no progress.
    let keys: u64 = redis::cmd("DBSIZE").query_async(&mut store.clone()).await.unwrap_or(0);
    let progress = Arc::new(Mutex::new(Progress::new(&context.ui, keys, "keys")));
    let steps = progress.clone();
    let walk = cache.invalidate_matching(pattern).progress(move |_| {
        if keys > STEP {
            steps.lock().add(STEP);
        }
    });
    let found = walk.await.map_err(explain)?;
    progress.lock().finish();
    Ok(found)
}
