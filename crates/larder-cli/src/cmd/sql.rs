//! `larder sql`: what Larder needs in a database.

use larder::{Fences, Outbox, PoolConfig, Prepare, SqlError};
use serde_json::json;

use crate::{
    context::Context,
    failure::{Failure, Outcome},
    flags::{Database, Table},
};

/// Add to a database what Larder needs there.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Prepare(PrepareArgs),
    Outbox(OutboxArgs),
    Fences(FencesArgs),
}

/// Add what a table needs so that a late write never replaces a newer one: versions, epochs, and one owner.
///
/// It adds the columns l_epoch and l_seq to the table, and beside it the tables larder_applied (versions of removed rows),
/// larder_counts (of counters), larder_epochs and larder_tables (which namespace writes to which table), in one transaction. Once more does no harm.
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

/// Add the table larder_outbox, for invalidations that survive a crash between COMMIT and invalidate. Once more does no harm.
#[derive(Debug, clap::Args)]
struct OutboxArgs {
    #[command(flatten)]
    database: Database,
    /// The schema that the table is in, instead of PostgreSQL's search path.
    #[arg(long, value_name = "SCHEMA")]
    schema: Option<String>,
    /// Print the SQL and change nothing.
    #[arg(long)]
    print: bool,
}

/// Add the table larder_fences, by which transactions under a lock turn away those who held it before. Once more does no harm.
#[derive(Debug, clap::Args)]
struct FencesArgs {
    #[command(flatten)]
    database: Database,
    /// Print the SQL and change nothing.
    #[arg(long)]
    print: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Outcome {
    match args.what {
        What::Prepare(args) => prepare(args, context).await,
        What::Outbox(args) => outbox(args, context).await,
        What::Fences(args) => fences(args, context).await,
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

async fn outbox(args: OutboxArgs, context: &Context) -> Outcome {
    let pool = args.database.open(context, |config| config.connections(2)).await?;
    let outbox = Outbox::new(pool.clone());
    let outbox = match &args.schema {
        Some(schema) => outbox.schema(schema),
        None => outbox,
    };
    let done = if args.print { Ok(()) } else { outbox.prepare().await };
    pool.close().await;
    done?;
    tell("larder_outbox", &outbox.statements(), args.print, context);
    Ok(())
}

async fn fences(args: FencesArgs, context: &Context) -> Outcome {
    let pool = args.database.open(context, |config| config.connections(2)).await?;
    let fences = Fences::new(pool.clone());
    let done = if args.print { Ok(()) } else { fences.prepare().await };
    pool.close().await;
    done?;
    tell("larder_fences", &fences.statements(), args.print, context);
    Ok(())
}

/// Says that `table` is there, or what would make it.
fn tell(table: &str, statements: &[String], is_print: bool, context: &Context) {
    if is_print {
        for statement in statements {
            context.ui.line(format_args!("{statement};"));
        }
    } else {
        context.ui.line(format_args!("{table}: ready"));
    }
    context.ui.document(&json!({
        "table": table,
        "applied": !is_print,
        "statements": statements,
    }));
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
