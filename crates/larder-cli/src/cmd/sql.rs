//! `larder sql`: what Larder needs in a database.

use larder::{PoolConfig, Prepare, SqlError};
use serde_json::json;

use crate::{
    context::Context,
    failure::{Failure, Outcome},
    flags::Table,
};

/// Prepare a table of a database for a cache that writes behind to it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Prepare(PrepareArgs),
}

/// Add what a table needs so that a late write never replaces a newer one: versions, epochs, and one owner.
///
/// It adds the columns l_epoch and l_seq to the table, and beside it the tables larder_applied (versions of removed rows),
/// larder_epochs and larder_tables (which namespace writes to which table), in one transaction. Once more does no harm.
#[derive(Debug, clap::Args)]
struct PrepareArgs {
    #[command(flatten)]
    table: Table,
    /// The namespace of the cache that writes to the table, and of no other; without it, the first that comes.
    #[arg(long, value_name = "NS")]
    namespace: Option<String>,
    /// Keep the version of every key in larder_applied and leave the table as it is; costs a second row for each one written.
    #[arg(long)]
    side_table: bool,
    /// Also keep other writers of the table from turning l_epoch and l_seq back.
    #[arg(long, conflicts_with = "side_table")]
    trigger: bool,
    /// Print the SQL and change nothing.
    #[arg(long)]
    print: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Outcome {
    match args.what {
        What::Prepare(args) => prepare(args, context).await,
    }
}

async fn prepare(args: PrepareArgs, context: &Context) -> Outcome {
    let limited = |config: PoolConfig| match args.print {
        true => config.connections(2).read_only(),
        false => config.connections(2),
    };
    let (pool, table) = args.table.open(context, limited).await?;
    let done = statements(&args, table.prepare()).await;
    pool.close().await;
    let statements = done?;
    if args.print {
        for statement in &statements {
            context.ui.line(format_args!("{statement};"));
        }
    } else {
        let owner = args
            .namespace
            .as_deref()
            .map_or_else(String::new, |namespace| format!(" for namespace {namespace}"));
        context
            .ui
            .line(format_args!("{}: ready for writing behind{owner}", args.table.name));
    }
    context.ui.document(&json!({
        "table": args.table.name,
        "namespace": args.namespace,
        "applied": !args.print,
        "statements": statements,
    }));
    Ok(())
}

async fn statements(args: &PrepareArgs, prepare: Prepare) -> Outcome<Vec<String>> {
    let prepare = match &args.namespace {
        Some(namespace) => prepare.namespace(namespace),
        None => prepare,
    };
    let prepare = if args.side_table { prepare.side_table() } else { prepare };
    let prepare = if args.trigger { prepare.trigger() } else { prepare };
    let done = if args.print {
        prepare.statements().await
    } else {
        prepare.apply().await
    };
    done.map_err(|error| match error {
        error @ SqlError::NoKey { .. } => Failure::from(error).hint("add --key COLUMN"),
        error @ SqlError::Owned { .. } => Failure::from(error)
            .hint("give each cache that writes behind a table of its own, or the namespace that owns this one"),
        error => Failure::from(error),
    })
}
