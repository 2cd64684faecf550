//! `larder demo`: the tour. Reads a table through the cache, scene by scene, and measures each.

mod naive;
mod prompt;
mod report;
mod scene;
mod source;
mod stage;
mod users;

use std::time::Duration;

use serde_json::{Value, json};

use self::{report::Report, scene::Scene, stage::Stage, users::Users};
use crate::{
    context::Context,
    failure::{Failure, OrHint, Outcome},
    flags::{OwnStore, span},
    own_keys,
};

/// The tour: a table read through the cache, scene by scene, with measured figures.
///
/// It creates a private SQLite database in a temporary folder, fills it with users, plays the scenes, and then
/// answers user ids from the keyboard (or from lines piped in), saying where each answer came from. Nothing needs
/// to be installed; with --store it runs on a Redis or Valkey, under keys of its own that it removes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    store: OwnStore,
    /// Users to create in the demo's own database.
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    users: u64,
    /// Users written to that database in one transaction.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    batch: u64,
    /// Reads of each tier (near, store) that the scene `warm` measures.
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    lookups: u64,
    /// Make every load from the database take this much longer (such as 2s), so that a miss is felt.
    #[arg(long, default_value = "0", value_name = "SPAN", value_parser = span)]
    load_delay: Duration,
    /// Read a table of this database (a path, sqlite:PATH or postgres://..) instead of the demo's own; nothing is
    /// written to it. Without --table, on PostgreSQL: the demo's own tables are there, in a schema that it makes and removes.
    #[arg(long, value_name = "URL")]
    db: Option<String>,
    /// The table of --db to read.
    #[arg(long, value_name = "TABLE", requires = "db")]
    table: Option<String>,
    /// The column of --table that finds a row, where it has no primary key of one column.
    #[arg(long, value_name = "COLUMN", requires = "table")]
    key: Option<String>,
    /// Play only these scenes, by name and separated by commas; --list shows them.
    #[arg(long = "scene", value_name = "NAME", value_delimiter = ',')]
    scenes: Vec<String>,
    /// List the scenes and play none.
    #[arg(long)]
    list: bool,
}

/// How long connections and the private database may take to be closed; what is open after that is dropped.
const CLOSE_MAX: Duration = Duration::from_secs(2);

pub(crate) async fn run(args: Args, context: &Context) -> Outcome {
    let scenes = scene::chosen(&args.scenes)?;
    if args.list {
        return list(context, &scenes);
    }
    // The demo ends by itself when told to, so that the folder and the keys it made are gone before it does.
    let stop = context.stop_signal();
    let users = match (&args.db, &args.table) {
        (Some(db), None) => Users::create_at(db, context).await?,
        _ => Users::create(context).await?,
    };
    let stage = match stop
        .run_until_cancelled(Stage::set(&args, users.clone(), context))
        .await
    {
        Some(Ok(stage)) => stage,
        not_set => {
            users.remove(&context.ui).await;
            users.close().await;
            return not_set.map_or(Err(Failure::interrupted()), |failed| failed.map(drop));
        }
    };
    let keys = stage.own_keys(context);
    let played = own_keys::until_stopped(context, play(&stage, &scenes, context)).await;
    let removed = keys.remove().await;
    stage.users.remove(&context.ui).await;
    context.clock.timeout(CLOSE_MAX, stage.close()).await;
    played?;
    removed
}

fn list(context: &Context, scenes: &[&Scene]) -> Outcome {
    let width = scenes.iter().map(|scene| scene.name.len()).max().unwrap_or(0);
    for scene in scenes {
        context.ui.line(format_args!("{:width$}  {}", scene.name, scene.shows));
    }
    let scenes: Vec<Value> = scenes
        .iter()
        .map(|scene| json!({"name": scene.name, "shows": scene.shows}))
        .collect();
    context.ui.document(&json!({ "scenes": scenes }));
    Ok(())
}

/// Plays the scenes, answers what is asked, and fails if a scene broke its promise.
async fn play(stage: &Stage, scenes: &[&Scene], context: &Context) -> Outcome {
    let started = context.clock.monotonic();
    let mut reports: Vec<(&str, Report)> = Vec::with_capacity(scenes.len());
    for scene in scenes {
        context.ui.line(format_args!("\n{}: {}", scene.name, scene.shows));
        let report = (scene.run)(stage)
            .await
            .or_while(format_args!("the scene `{}` could not be played", scene.name))?;
        report.print(&context.ui);
        reports.push((scene.name, report));
    }
    let took = context.clock.monotonic().saturating_sub(started);
    let broken = broken(&reports);
    let verdict = if broken.is_empty() {
        "every promise held"
    } else {
        "promises were BROKEN"
    };
    context.ui.line(format_args!(
        "\n{} scene{} in {}, {verdict}.",
        reports.len(),
        if reports.len() == 1 { "" } else { "s" },
        report::shown(took)
    ));
    let answers = prompt::ask(stage, context).await?;
    let scenes: Vec<Value> = reports.iter().map(|(name, report)| report.json(name)).collect();
    context.ui.document(&json!({
        "store": stage.store.url(),
        "table": stage.table_name,
        "ok": broken.is_empty(),
        "took_ms": took.as_secs_f64() * 1_000.0,
        "scenes": scenes,
        "answers": answers,
    }));
    match broken.as_slice() {
        [] => Ok(()),
        broken => Err(Failure::new(format_args!("broken promises: {}", broken.join("; "))).told_in_json()),
    }
}

fn broken(reports: &[(&str, Report)]) -> Vec<String> {
    let of_scene = |(name, report): &(&str, Report)| {
        let label = |claim: &String| format!("{name}: {claim}");
        report.broken().iter().map(label).collect::<Vec<_>>()
    };
    reports.iter().flat_map(of_scene).collect()
}
