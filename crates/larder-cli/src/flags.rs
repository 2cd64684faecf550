//! Flags that several commands share.

use clap::Args;

use crate::failure::{Failure, Outcome};

/// The store of a command that makes its own data (demo, bench, verify, serve).
///
/// It does not read `LARDER_STORE`: a tour must not write into a live store because a shell happens to name one.
#[derive(Args, Clone, Debug)]
pub(crate) struct OwnStore {
    /// Store to run on: `embedded:`, `redis://HOST:PORT/DB`, `redis+unix:///PATH`.
    #[arg(long, value_name = "URL", default_value = "embedded:")]
    pub(crate) store: String,
}

/// The store of a command that operates a live cache: it has no default, for `embedded:` would be empty.
#[derive(Args, Clone, Debug)]
pub(crate) struct LiveStore {
    /// Store to operate on: `redis://HOST:PORT/DB`, `redis+unix:///PATH`, `env:` for the REDIS_* variables.
    #[arg(long, value_name = "URL", env = "LARDER_STORE", hide_env_values = true)]
    store: Option<String>,
}

impl LiveStore {
    /// The URL that was given.
    pub(crate) fn url(&self) -> Outcome<&str> {
        self.store.as_deref().ok_or_else(|| {
            Failure::usage("this command works on a live store, and none was named")
                .hint("add --store redis://127.0.0.1:6379, or set LARDER_STORE")
        })
    }
}
