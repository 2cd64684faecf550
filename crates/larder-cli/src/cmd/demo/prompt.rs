//! The prompt after the scenes: ids in, rows out, with the tier that answered and how long it took.

use std::{io::IsTerminal, time::Duration};

use larder::{Cache, Lookup, Tier};
use larder_base::Clock;
use serde_json::{Value, json};

use super::{report::shown, source::Counted, stage::Stage, users::Row};
use crate::{
    context::Context,
    failure::{Failure, Outcome},
    lines::Lines,
};

const TTL: Duration = Duration::from_secs(60);

/// A pipe that stays open but says nothing (as a service manager or a build server leaves it) must not keep the
/// demo waiting for ever; someone at a terminal may think as long as they like.
const PIPE_PATIENCE: Duration = Duration::from_secs(5);

/// How long an unknown id is remembered as unknown.
const NEGATIVE: Duration = Duration::from_secs(5);

const PROMPT: &str = "larder> ";

const HELP: &str = "  an id      reads that row: the first time from the source, then from near or store
  get ID     the same, for an id that is also a command
  help       this text
  quit       ends the demo (so do Ctrl-D and Ctrl-C)";

/// What more there is where the demo reads its own database: a table of somebody else is never written to.
const HELP_OWN: &str = "  new ID     adds a user and invalidates the id";

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked<'a> {
    Nothing,
    Help,
    Quit,
    New(&'a str),
    Get(&'a str),
}

impl<'a> Asked<'a> {
    fn parse(line: &'a str, is_own: bool) -> Self {
        let line = line.trim();
        match line.split_once(char::is_whitespace) {
            Some(("new", id)) if is_own => Self::New(id.trim()),
            Some(("get", id)) => Self::Get(id.trim()),
            _ => match line {
                "" => Self::Nothing,
                "help" | "?" => Self::Help,
                "quit" | "exit" | "q" => Self::Quit,
                id => Self::Get(id),
            },
        }
    }
}

/// Answers lines until there are no more; the answers, for `--json`.
pub(super) async fn ask(stage: &Stage, context: &Context) -> Outcome<Vec<Value>> {
    let mut answers = Vec::new();
    if context.ui.is_json() && std::io::stdin().is_terminal() {
        return Ok(answers);
    }
    let mut lines = Lines::of_stdin()?;
    let source = stage.table.fresh(Duration::ZERO);
    let cache = stage
        .cache("prompt")
        .ttl(TTL)
        // The age that is shown is counted back from the TTL, which jitter would blur.
        .jitter(0.0)
        .negative_ttl(NEGATIVE)
        .source(source.clone())
        .build()
        .await?;
    let desk = Desk {
        stage,
        context,
        cache,
        source,
    };
    if std::io::stdin().is_terminal() {
        context.ui.line(format_args!(
            "\nAsk for a row of {} by its key, such as {}; `help` says more.",
            stage.table_name, stage.keys[0]
        ));
    }
    loop {
        let typed = std::io::stdin().is_terminal();
        if typed {
            context.ui.text(PROMPT);
        }
        let Some(line) = next(&mut lines, typed, &context.clock).await else {
            break;
        };
        if !typed {
            // What is piped in does not show by itself, and an answer without its question says little.
            context.ui.line(format_args!("{PROMPT}{line}"));
        }
        match Asked::parse(&line, stage.is_own) {
            Asked::Nothing => {}
            Asked::Quit => break,
            Asked::Help if stage.is_own => context.ui.line(format_args!("{HELP}\n{HELP_OWN}")),
            Asked::Help => context.ui.line(HELP),
            Asked::New(id) => answers.push(desk.add(id).await?),
            Asked::Get(key) => answers.push(desk.get(key).await),
        }
    }
    Ok(answers)
}

/// The next line; `None` at the end of input, and input that cannot be read has ended.
async fn next(lines: &mut Lines, is_typed: bool, clock: &Clock) -> Option<String> {
    let line = if is_typed {
        lines.next().await
    } else {
        clock.timeout(PIPE_PATIENCE, lines.next()).await?
    };
    Some(String::from_utf8_lossy(&line.ok()??).into_owned())
}

/// What is odd about the answer.
fn state(found: &Lookup<Row>) -> String {
    if found.is_negative() {
        format!(", remembered as absent for {}", shown(found.remaining()))
    } else if found.is_stale() {
        ", stale: within its grace".to_owned()
    } else {
        String::new()
    }
}

/// Who answers.
struct Desk<'a> {
    stage: &'a Stage,
    context: &'a Context,
    cache: Cache<String, Row>,
    source: Counted,
}

impl Desk<'_> {
    /// Reads one key and says where the answer came from. A failure is an answer too: the prompt goes on.
    async fn get(&self, key: &str) -> Value {
        let loads = self.source.loads();
        let (found, took) = self.stage.timed(self.cache.lookup(&key.to_owned())).await;
        match found {
            Ok(found) => self.answer(key, &found, took, self.source.loads() - loads),
            Err(error) => {
                let failure = Failure::from(error);
                self.context.ui.line(format_args!("  {failure}"));
                json!({"key": key, "error": failure.chain().collect::<Vec<_>>()})
            }
        }
    }

    fn answer(&self, key: &str, found: &Lookup<Row>, took: Duration, loads: u64) -> Value {
        let ui = &self.context.ui;
        let from = match found.tier() {
            Tier::Near => "near",
            Tier::Store => "store",
            _ => "source",
        };
        match found.value() {
            Some(row) => ui.line(format_args!("  {}", json!(**row))),
            None => ui.line(format_args!(
                "  no row of {} has the key `{key}`",
                self.stage.table_name
            )),
        }
        let age = Self::age(found);
        let old = age.map(|age| format!(", {} old", shown(age))).unwrap_or_default();
        ui.line(format_args!("  from {from} in {}{old}{}", shown(took), state(found)));
        json!({
            "key": key,
            "row": found.value().map(|row| &**row),
            "from": from,
            "took_us": took.as_nanos() as f64 / 1_000.0,
            "age_ms": age.map(|age| age.as_secs_f64() * 1_000.0),
            "loads": loads,
        })
    }

    /// How old a cached answer is, where that can be known.
    fn age(found: &Lookup<Row>) -> Option<Duration> {
        matches!(found.tier(), Tier::Near | Tier::Store).then(|| found.age())?
    }

    /// Adds a user, and invalidates its id: the prompt may remember that there was none.
    async fn add(&self, id: &str) -> Outcome<Value> {
        let ui = &self.context.ui;
        let Some(number) = id.parse::<u64>().ok().filter(|id| i64::try_from(*id).is_ok()) else {
            ui.line(format_args!(
                "  `{id}` is no number: new takes an id such as {}",
                self.stage.user_count + 1
            ));
            return Ok(json!({"new": id, "added": false}));
        };
        let added = self.stage.users.add(number).await?;
        self.cache.invalidate(&number.to_string()).await?;
        if added {
            ui.line(format_args!(
                "  added user {number}; reading it now goes to the source once"
            ));
        } else {
            ui.line(format_args!("  there is a user {number} already"));
        }
        Ok(json!({"new": number, "added": added}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_ids_unless_they_are_commands() {
        let parse = |line| Asked::parse(line, true);
        assert_eq!(parse(" 42 "), Asked::Get("42"));
        assert_eq!(parse("new 5000"), Asked::New("5000"));
        assert_eq!(parse("get help"), Asked::Get("help"));
        assert_eq!(parse("two words"), Asked::Get("two words"));
        assert_eq!(parse("quit"), Asked::Quit);
        assert_eq!(parse("  "), Asked::Nothing);
        assert_eq!(Asked::parse("new 5000", false), Asked::Get("new 5000"));
    }
}
