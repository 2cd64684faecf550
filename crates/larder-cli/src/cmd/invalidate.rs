//! `larder invalidate`: what a cache holds is no longer true.

use larder_cache::{Cache, Ttl};
use serde_json::{Value, json};

use crate::{context::Context, failure::Outcome, flags::LiveStore, ui::count};

/// Invalidate entries of a namespace: by key, by tag, by pattern, or all of them.
///
/// Success means that the store has acknowledged it; processes with near copies are told by the store.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    store: LiveStore,
    /// The namespace, as `Cache::builder` was given it.
    namespace: String,
    #[command(flatten)]
    what: What,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct What {
    /// A key; may be given several times.
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// A tag; may be given several times.
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// A glob pattern over keys as they are written in the store (a composite key as `eu:7`).
    #[arg(long, value_name = "PATTERN")]
    pattern: Option<String>,
    /// Everything in the namespace, in a moment, however much it is.
    #[arg(long)]
    all: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Outcome {
    let store = args.store.open().await?;
    // The type of the values does not matter: none is read.
    let cache: Cache<String, Value> = Cache::builder(&args.namespace)
        .store(&store)
        .ttl(Ttl::never())
        .build()
        .await?;
    let What { key, tag, pattern, all } = &args.what;
    if !key.is_empty() {
        cache.invalidate_many(key).await?;
    }
    if !tag.is_empty() {
        cache.invalidate_tags(tag).await?;
    }
    let matched = match pattern {
        Some(pattern) => Some(cache.invalidate_matching(pattern).await?),
        None => None,
    };
    if *all {
        cache.clear().await?;
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
