//! The keys that a run makes on a store: all under one prefix, and gone when it ends.
//!
//! A cache leaves marks of its partitions that no TTL removes, so a command that makes data of its own removes it.

use std::time::Duration;

use larder_store::Store;

use crate::{
    cmd::scan,
    context::Context,
    failure::{Failure, OrHint as _, Outcome},
};

/// How long the keys of a run may take to be removed.
pub(crate) const CLEAN_UP: Duration = Duration::from_secs(5);

/// The keys that begin with `prefix`, which has no glob characters.
pub(crate) async fn list(store: &Store, prefix: &str) -> Outcome<Vec<Vec<u8>>> {
    Ok(scan(store, &format!("{prefix}*"), 0).await?.keys)
}

/// Removes them.
pub(crate) async fn remove(store: &Store, prefix: &str) -> Outcome {
    /// What was under way when a run was interrupted may still write once.
    const ROUNDS: usize = 3;
    /// Keys removed with each command: a millisecond of the server.
    const PAGE: usize = 1_000;
    for _ in 0..ROUNDS {
        let keys = list(store, prefix).await?;
        if keys.is_empty() {
            break;
        }
        for page in keys.chunks(PAGE) {
            redis::cmd("UNLINK").arg(page).exec_async(&mut store.clone()).await?;
        }
    }
    Ok(())
}

/// Does `work` until it ends or the signal to stop comes, and then removes the keys that begin with `prefix`.
pub(crate) async fn removed_after<T>(
    context: &Context,
    store: &Store,
    prefix: &str,
    work: impl Future<Output = Outcome<T>>,
) -> Outcome<T> {
    // It ends by itself when told to, so that the keys are gone before it does.
    let done = context.stop_signal().run_until_cancelled(work).await;
    let removed = context.clock.timeout(CLEAN_UP, remove(store, prefix)).await;
    let done = done.unwrap_or_else(|| Err(Failure::interrupted()))?;
    removed
        .unwrap_or(Ok(()))
        .or_while("cannot remove the keys of this run")?;
    Ok(done)
}
