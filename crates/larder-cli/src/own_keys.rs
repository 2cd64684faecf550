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

/// The keys that begin with `prefix`, which has no glob characters, and those of the kit's tools in namespaces that do.
pub(crate) async fn list(store: &Store, prefix: &str) -> Outcome<Vec<Vec<u8>>> {
    let mut keys = scan(store, &format!("{prefix}*"), 0).await?.keys;
    keys.extend(scan(store, &format!("*:{{{prefix}*"), 0).await?.keys);
    Ok(keys)
}

/// Removes them, once nobody makes any more.
async fn remove_all(used: &[Store], prefix: &str) -> Outcome {
    let own = alone(used).await?;
    // A server takes what a closed connection sent before it notices the end: at the second look it has.
    const QUIET: usize = 2;
    let mut empty = 0;
    while empty < QUIET {
        empty = if remove(&own, prefix).await? == 0 { empty + 1 } else { 0 };
    }
    Ok(())
}

/// A connection to the server of the stores that were used, which are closed: work that was given up may still have had a
/// command under way, and it is sent now or never.
async fn alone(used: &[Store]) -> Outcome<Store> {
    if used[0].is_embedded() {
        return Ok(used[0].clone());
    }
    for store in used {
        store.close().await;
    }
    Ok(Store::connect(used[0].config().clone()).await?)
}

/// Removes those that are there now, and says how many there were.
pub(crate) async fn remove(store: &Store, prefix: &str) -> Outcome<usize> {
    /// Keys removed with each command: a millisecond of the server.
    const PAGE: usize = 1_000;
    let keys = list(store, prefix).await?;
    for page in keys.chunks(PAGE) {
        redis::cmd("UNLINK").arg(page).exec_async(&mut store.clone()).await?;
    }
    Ok(keys.len())
}

/// The keys of a run that may be on its store. Whoever leaves some behind, says so: a store that does not answer keeps them.
pub(crate) struct OwnKeys<'a> {
    context: &'a Context,
    /// Every connection through which they are made.
    used: Vec<Store>,
    prefix: String,
    /// Nobody else can see them, or they are removed.
    are_gone: bool,
}

impl<'a> OwnKeys<'a> {
    /// Those that begin with `prefix`, which has no glob characters, and are made through `used`: one store, or several of one server.
    pub(crate) fn new(context: &'a Context, used: &[Store], prefix: &str) -> Self {
        Self {
            context,
            used: used.to_vec(),
            prefix: prefix.to_owned(),
            are_gone: used.iter().all(Store::is_embedded),
        }
    }

    /// More stores of the same server through which they are made.
    pub(crate) fn made_through_too(&mut self, used: impl IntoIterator<Item = Store>) {
        self.used.extend(used);
    }

    /// Closes the stores that were used and removes the keys, within [`CLEAN_UP`].
    pub(crate) async fn remove(mut self) -> Outcome {
        let removing = self
            .context
            .clock
            .timeout(CLEAN_UP, remove_all(&self.used, &self.prefix));
        let removed = removing.await.unwrap_or_else(|| {
            let what = format_args!("{} did not answer within {CLEAN_UP:?}", self.used[0].url());
            Err(Failure::new(what))
        });
        self.are_gone |= removed.is_ok();
        removed.or_while("cannot remove the keys of this run")
    }
}

impl Drop for OwnKeys<'_> {
    fn drop(&mut self) {
        if !self.are_gone {
            let (store, prefix) = (self.used[0].url(), &self.prefix);
            self.context.ui.remark(format_args!(
                "keys of this run may be left on {store}: their names begin with {prefix}\n\
                 hint: when it answers again, redis-cli --scan --pattern '{prefix}*' | xargs -r redis-cli unlink"
            ));
        }
    }
}

/// Does `work` until it ends or the signal to stop comes.
pub(crate) async fn until_stopped<T>(context: &Context, work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    let done = context.stop_signal().run_until_cancelled(work).await;
    done.unwrap_or_else(|| Err(Failure::interrupted()))
}

/// Does `work` until it ends or the signal to stop comes, then closes the stores that it `used` and removes the keys that begin
/// with `prefix`.
pub(crate) async fn removed_after<T>(
    context: &Context,
    used: &[Store],
    prefix: &str,
    work: impl Future<Output = Outcome<T>>,
) -> Outcome<T> {
    let keys = OwnKeys::new(context, used, prefix);
    // It ends by itself when told to, so that the keys are gone before it does.
    let done = until_stopped(context, work).await;
    let removed = keys.remove().await;
    let done = done?;
    removed?;
    Ok(done)
}
