//! `larder dlq`: the changes that a database refused for good.

use std::collections::BTreeSet;

use larder::{DeadLetter, LetterId, SinkError, SinkErrorKind};
use serde_json::{Value, json};

use crate::{
    behind::{self, Flusher, Settings},
    context::Context,
    failure::{Failure, Outcome},
    flags::{LiveStore, Table},
    shown::{bytes, safe, utc},
    ui::count,
};

/// Tend dead letters: changes written behind a cache that the database refused for good.
///
/// They lie in the store until somebody replays or drops them. Each has an id such as 7-3-121.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    List(ListArgs),
    Show(ShowArgs),
    Replay(ReplayArgs),
    Drop(DropArgs),
}

/// Whose letters.
#[derive(Debug, clap::Args)]
struct Place {
    #[command(flatten)]
    store: LiveStore,
    /// The namespace, as `Cache::builder` was given it.
    #[arg(long, value_name = "NS")]
    namespace: String,
}

/// Which letters.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Chosen {
    /// Their ids, such as 7-3-121.
    #[arg(value_name = "ID", value_parser = id)]
    ids: Vec<LetterId>,
    /// All there are.
    #[arg(long)]
    all: bool,
}

/// List them, the oldest first: when each died, its id, what it was, its size, its key, and why; `show` has the values.
#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    place: Place,
}

/// Show some with their values.
#[derive(Debug, clap::Args)]
struct ShowArgs {
    #[command(flatten)]
    place: Place,
    /// Their ids, such as 7-3-121.
    #[arg(value_name = "ID", required = true, value_parser = id)]
    ids: Vec<LetterId>,
}

/// Commit some to the database, now that it may take them.
///
/// Each keeps the place that it had among the writes of its key: what was written after it stands. One that is refused again
/// stays a dead letter, and the exit code is 1.
#[derive(Debug, clap::Args)]
struct ReplayArgs {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    table: Table,
    #[command(flatten)]
    chosen: Chosen,
}

/// Drop some for good: the database will never have them.
#[derive(Debug, clap::Args)]
struct DropArgs {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    chosen: Chosen,
}

/// Reads an id.
fn id(text: &str) -> Result<LetterId, String> {
    text.parse()
        .map_err(|_| "ids look like 7-3-121; `larder dlq list` shows them".to_owned())
}

pub(crate) async fn run(args: Args, context: &Context) -> Outcome {
    match args.what {
        What::List(args) => list(&args, context).await,
        What::Show(args) => show(&args, context).await,
        What::Replay(args) => replay(&args, context).await,
        What::Drop(args) => discard(&args, context).await,
    }
}

impl Place {
    async fn letters(&self) -> Outcome<Box<dyn Flusher>> {
        behind::letters_of(&self.store.open().await?, &self.namespace).await
    }
}

/// Those that are still to be tended, each once.
struct Left<'a> {
    chosen: &'a Chosen,
    /// How many there were in all when it began: later ones are left.
    most: u64,
    given: BTreeSet<LetterId>,
}

impl<'a> Left<'a> {
    async fn of(chosen: &'a Chosen, letters: &dyn Flusher) -> Outcome<Self> {
        let most = match chosen.all {
            true => letters.lag().await.map_err(behind::explain)?.dead_letters,
            false => chosen.ids.len() as u64,
        };
        let given = BTreeSet::new();
        Ok(Self { chosen, most, given })
    }

    /// The next ones; none if there are no more. A list has the oldest alone, hence another when those are tended.
    async fn take(&mut self, letters: &dyn Flusher) -> Outcome<Vec<LetterId>> {
        if self.given.len() as u64 >= self.most {
            return Ok(Vec::new());
        }
        let ids = match self.chosen.all {
            true => ids(&letters.letters().await.map_err(behind::explain)?),
            false => self.chosen.ids.clone(),
        };
        Ok(ids.into_iter().filter(|id| self.given.insert(*id)).collect())
    }
}

fn ids(letters: &[DeadLetter]) -> Vec<LetterId> {
    letters.iter().map(|letter| letter.id).collect()
}

async fn list(args: &ListArgs, context: &Context) -> Outcome {
    let flusher = args.place.letters().await?;
    let there_are = flusher.lag().await.map_err(behind::explain)?.dead_letters;
    let letters = flusher.letters().await.map_err(behind::explain)?;
    let ui = &context.ui;
    for letter in &letters {
        ui.line(format_args!(
            "{}  {:<12}  {}  {}  {}  {}",
            utc(letter.died),
            letter.id.to_string(),
            what(letter),
            bytes(letter.bytes),
            safe(&letter.key),
            safe(&letter.why)
        ));
    }
    if letters.is_empty() {
        ui.remark(format_args!("{}: no dead letters", args.place.namespace));
    }
    let unlisted = there_are.saturating_sub(letters.len() as u64);
    if unlisted > 0 {
        ui.remark(format_args!("{unlisted} more are not listed: tend these first"));
    }
    let letters: Vec<Value> = letters.iter().map(summary).collect();
    ui.document(&json!({ "namespace": args.place.namespace, "letters": letters, "unlisted": unlisted }));
    Ok(())
}

async fn show(args: &ShowArgs, context: &Context) -> Outcome {
    let letters = args.place.letters().await?;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for id in &args.ids {
        match letters.letter(*id).await.map_err(behind::explain)? {
            Some(letter) => found.push(letter),
            None => missing.push(*id),
        }
    }
    for letter in &found {
        print(letter, context);
    }
    let documents: Vec<Value> = found.iter().map(whole).collect();
    context
        .ui
        .document(&json!({ "namespace": args.place.namespace, "letters": documents, "missing": texts(&missing) }));
    none_missing(&missing)
}

async fn discard(args: &DropArgs, context: &Context) -> Outcome {
    let letters = args.place.letters().await?;
    let (mut dropped, mut missing) = (Vec::new(), Vec::new());
    let mut left = Left::of(&args.chosen, &*letters).await?;
    loop {
        let ids = left.take(&*letters).await?;
        if ids.is_empty() {
            break;
        }
        for id in ids {
            match letters.discard(id).await.map_err(behind::explain)? {
                true => dropped.push(id),
                false => missing.push(id),
            }
        }
    }
    let said = count(dropped.len() as u64, "dead letter", "dead letters");
    context
        .ui
        .line(format_args!("{}: dropped {said}", args.place.namespace));
    context.ui.document(&json!({
        "namespace": args.place.namespace,
        "dropped": texts(&dropped),
        "missing": texts(&missing),
    }));
    none_missing(&missing)
}

async fn replay(args: &ReplayArgs, context: &Context) -> Outcome {
    let store = args.place.store.open().await?;
    let (pool, table) = args.table.open(context, |config| config.connections(2)).await?;
    let flusher = behind::open(&store, &args.place.namespace, &table, Settings::idle()).await?;
    let mut replayed = Replayed::default();
    let mut left = Left::of(&args.chosen, &*flusher).await?;
    loop {
        let ids = left.take(&*flusher).await?;
        if ids.is_empty() {
            break;
        }
        for id in ids {
            match flusher.replay(id).await {
                Ok(true) => replayed.done.push(id),
                Ok(false) => replayed.missing.push(id),
                Err(error) if error.sink_error().is_some_and(is_final) => {
                    let failure = Failure::from(error);
                    context.ui.remark(format_args!(
                        "{id}: {}",
                        safe(&failure.chain().collect::<Vec<_>>().join(": "))
                    ));
                    replayed.refused.push((id, failure.chain().collect()));
                }
                // The next one would meet it, too.
                Err(error) => {
                    let done = count(replayed.done.len() as u64, "dead letter was", "dead letters were");
                    return Err(
                        behind::explain(error).heading(format_args!("{done} replayed, and then {id} could not be"))
                    );
                }
            }
        }
    }
    pool.close().await;
    replayed.tell(args, context)
}

/// Whether the source refused that one, rather than all.
fn is_final(error: &SinkError) -> bool {
    error.kind() == SinkErrorKind::Permanent
}

#[derive(Default)]
struct Replayed {
    done: Vec<LetterId>,
    missing: Vec<LetterId>,
    refused: Vec<(LetterId, Vec<String>)>,
}

impl Replayed {
    fn tell(&self, args: &ReplayArgs, context: &Context) -> Outcome {
        let said = count(self.done.len() as u64, "dead letter", "dead letters");
        context.ui.line(format_args!(
            "{}: replayed {said} into {}",
            args.place.namespace, args.table.name
        ));
        let refused: Vec<Value> = self
            .refused
            .iter()
            .map(|(id, chain)| json!({ "id": id.to_string(), "error": chain }))
            .collect();
        context.ui.document(&json!({
            "namespace": args.place.namespace,
            "replayed": texts(&self.done),
            "missing": texts(&self.missing),
            "refused": refused,
        }));
        if !self.refused.is_empty() {
            let said = count(self.refused.len() as u64, "dead letter was", "dead letters were");
            return Err(Failure::new(format_args!("{said} refused again, and kept")).told_in_json());
        }
        none_missing(&self.missing)
    }
}

fn none_missing(missing: &[LetterId]) -> Outcome {
    match missing {
        [] => Ok(()),
        missing => Err(
            Failure::new(format_args!("no dead letter {}", texts(missing).join(", ")))
                .hint("larder dlq list shows those that there are; others may have tended them meanwhile")
                .told_in_json(),
        ),
    }
}

fn texts(ids: &[LetterId]) -> Vec<String> {
    ids.iter().map(LetterId::to_string).collect()
}

/// What was to happen to the key.
fn what(letter: &DeadLetter) -> &'static str {
    if letter.is_removal { "remove" } else { "put" }
}

/// The same of a letter that was read as a whole.
fn what_if_readable(letter: &DeadLetter) -> &'static str {
    match (letter.is_removal, &letter.value) {
        (false, None) => "unreadable",
        _ => what(letter),
    }
}

fn print(letter: &DeadLetter, context: &Context) {
    let ui = &context.ui;
    ui.line(format_args!("id     {}", letter.id));
    ui.line(format_args!("died   {}", utc(letter.died)));
    ui.line(format_args!("key    {}", safe(&letter.key)));
    ui.line(format_args!("what   {}", what_if_readable(letter)));
    ui.line(format_args!("size   {}", bytes(letter.bytes)));
    ui.line(format_args!("why    {}", safe(&letter.why)));
    if let Some(value) = &letter.value {
        ui.line(format_args!("value  {}", safe(&value.to_string())));
    }
    ui.line("");
}

fn summary(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id.to_string(),
        "died": utc(letter.died),
        "key": letter.key,
        "what": what(letter),
        "bytes": letter.bytes,
        "why": letter.why,
    })
}

fn whole(letter: &DeadLetter) -> Value {
    let mut document = summary(letter);
    document["what"] = json!(what_if_readable(letter));
    document["value"] = json!(letter.value);
    document
}
