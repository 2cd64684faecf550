//! The [table](crate::table), read; drawing actions from it.

use std::collections::BTreeSet;

use larder_base::Random;
use larder_engine::{CommandInfo, commands};

use crate::{
    rule::Rule,
    step::{Action, Client, Step},
    syntax::{self, Bindings, Syntax},
    table, words,
};

/// In so many of a hundred draws an action of one step is spoiled.
const SPOILED_PERCENT: u64 = 10;

/// Containers with a subcommand that does not exist, and a command that does not.
const ALWAYS: &[&str] = &[
    "ACL", "CLIENT", "COMMAND", "CONFIG", "MEMORY", "NONSENSE", "OBJECT", "PUBSUB", "SCRIPT", "SLOWLOG", "XINFO",
];

/// The lines that can be drawn.
pub(crate) struct Lines {
    lines: Vec<Line>,
    /// Each line as often as its weight says.
    lot: Vec<usize>,
    /// `HELLO` with the protocol of the run, which some actions leave.
    hello: Vec<Vec<u8>>,
}

struct Line {
    steps: Vec<Pattern>,
}

struct Pattern {
    client: Client,
    rule: Rule,
    /// None for what `hello` stands for.
    syntax: Option<Vec<Syntax>>,
}

impl Lines {
    /// The lines all of whose commands are known.
    pub(crate) fn new(known: &BTreeSet<String>, resp3: bool) -> Self {
        let (mut lines, mut lot) = (Vec::new(), Vec::new());
        for text in table_lines() {
            let (weight, text) = weigh(text);
            let line = Line::parse(text);
            let implemented = line
                .commands()
                .all(|command| known.contains(&command) || ALWAYS.contains(&command.as_str()));
            if implemented {
                lot.extend(std::iter::repeat_n(lines.len(), weight));
                lines.push(line);
            }
        }
        let hello = vec![b"HELLO".to_vec(), if resp3 { b"3".to_vec() } else { b"2".to_vec() }];
        Self { lines, lot, hello }
    }

    /// `HELLO` as this client sends it first.
    pub(crate) fn hello(&self, client: Client) -> Step {
        Step {
            client,
            rule: Rule::Kind,
            args: self.hello.clone(),
        }
    }

    pub(crate) fn draw(&self, seed: u64) -> Action {
        let random = Random::seeded(seed);
        let line = &self.lines[*syntax::pick(&self.lot, &random)];
        let mut bound = Bindings::new();
        let steps = line.steps.iter().map(|pattern| {
            let Some(syntax) = &pattern.syntax else {
                return self.hello(Client::Main);
            };
            let mut args = Vec::new();
            syntax::draw(syntax, &random, &mut bound, &mut args);
            Step {
                client: pattern.client,
                rule: pattern.rule,
                args,
            }
        });
        let mut steps: Vec<Step> = steps.collect();
        if let [only] = steps.as_mut_slice()
            && only.client == Client::Main
            && only.rule.survives_spoiling()
            && random.below(100) < SPOILED_PERCENT
        {
            spoil(&mut only.args, &random);
        }
        Action(steps)
    }
}

/// The names of all commands that have a line.
pub(crate) fn covered() -> BTreeSet<String> {
    let lines: Vec<_> = table_lines().map(|text| Line::parse(weigh(text).1)).collect();
    lines.iter().flat_map(Line::commands).collect()
}

fn table_lines() -> impl Iterator<Item = &'static str> {
    let lines = table::LINES.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The number at the beginning of a line, and the rest.
fn weigh(line: &str) -> (usize, &str) {
    let (first, rest) = line.split_once(' ').expect("a line has several words");
    first.parse().map_or((1, line), |weight| (weight, rest))
}

impl Line {
    fn parse(text: &str) -> Self {
        Self {
            steps: text.split(" ; ").map(|step| Pattern::parse(step.trim())).collect(),
        }
    }

    /// The commands of its steps, `CONTAINER|WORD` where the second word is fixed too.
    fn commands(&self) -> impl Iterator<Item = String> {
        self.steps.iter().filter_map(|step| match step.syntax.as_deref()? {
            [Syntax::Literal(name), Syntax::Literal(word), ..] if is_container(name) => Some(format!("{name}|{word}")),
            [Syntax::Literal(name), ..] => Some(name.clone()),
            _ => None,
        })
    }
}

fn is_container(command: &str) -> bool {
    let container = |known: &CommandInfo| known.name == command && !known.subcommands.is_empty();
    commands().iter().any(container)
}

impl Pattern {
    fn parse(text: &str) -> Self {
        let (word, syntax) = text.split_once(' ').unwrap_or((text, ""));
        let (client, rule) = match word {
            "hello" => (Client::Main, Rule::Kind),
            "other" => (Client::Other, Rule::Same),
            "first" => (Client::First, Rule::Same),
            "second" => (Client::Second, Rule::Same),
            "listener" => (Client::Listener, Rule::Unordered),
            rule => (
                Client::Main,
                Rule::named(rule).unwrap_or_else(|| panic!("`{rule}` begins `{text}` but is no rule")),
            ),
        };
        Self {
            client,
            rule,
            syntax: (word != "hello").then(|| syntax::parse(syntax)),
        }
    }
}

/// Makes the arguments wrong, mostly: one too few, one too many, one out of place.
fn spoil(args: &mut Vec<Vec<u8>>, random: &Random) {
    let at = random.below(args.len() as u64) as usize;
    match random.below(4) {
        0 if args.len() > 1 => _ = args.remove(at.max(1)),
        1 => args.push(words::draw("garbage", random)),
        2 if at > 0 => args.insert(at, args[at].clone()),
        _ if at > 0 => args[at] = words::draw("garbage", random),
        _ => {}
    }
}
