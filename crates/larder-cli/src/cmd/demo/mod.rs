//! `larder demo`: the tour. Reads a table through the cache, scene by scene, and measures each.

use crate::{context::Context, failure::Outcome, flags::OwnStore};

/// The tour: a table read through the cache, scene by scene, with measured figures.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    store: OwnStore,
    /// Users to create in the demo's own database.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    users: u64,
}

pub(crate) async fn run(args: Args, context: &Context) -> Outcome {
    context
        .ui
        .line(format_args!("store {}, {} users", args.store.store, args.users));
    Ok(())
}
