//! Running a sequence on both servers and comparing all that they say, then all that they hold.

use std::collections::BTreeSet;

use crate::{
    frame::Frame,
    lines::Lines,
    peer::Peer,
    rule::Rule,
    step::{Action, Client, Step},
    words,
};

/// The two servers.
pub(crate) struct Pair {
    pub(crate) redis: Peer,
    pub(crate) engine: Peer,
}

impl Pair {
    /// Runs a sequence on two empty servers; an error says where they differ.
    pub(crate) fn compare(&mut self, lines: &Lines, actions: &[Action]) -> Result<(), String> {
        self.reset(lines);
        let steps: Vec<&Step> = actions.iter().flat_map(|action| &action.0).collect();
        let redis = self.redis.run(&steps);
        let engine = self.engine.run(&steps);
        let mut transaction = None;
        let mut at = 0;
        for action in actions {
            let range = at..at + action.0.len();
            check(action, &redis[range.clone()], &engine[range.clone()], &mut transaction)?;
            at = range.end;
        }
        self.compare_contents()
    }

    fn reset(&mut self, lines: &Lines) {
        for peer in [&mut self.redis, &mut self.engine] {
            Client::ALL.into_iter().for_each(|client| peer.reconnect(client));
            let hello = Client::ALL.map(|client| lines.hello(client));
            peer.run(&hello.iter().collect::<Vec<_>>());
            for args in [&["FLUSHALL"][..], &["SCRIPT", "FLUSH"]] {
                let args: Vec<_> = args.iter().map(|arg| arg.as_bytes()).collect();
                let reply = peer.call(&args);
                assert!(reply.is_status("OK"), "{args:?}: {reply:?}");
            }
        }
    }

    /// Compares what two databases hold in the end, and what scans find in them.
    fn compare_contents(&mut self) -> Result<(), String> {
        for db in ["0", "1"] {
            let mut steps = vec![step(Rule::Same, &["DISCARD"]), step(Rule::Same, &["SELECT", db])];
            steps.extend(words::keys().flat_map(contents));
            let action = Action(steps);
            let all: Vec<&Step> = action.0.iter().collect();
            let (redis, engine) = (self.redis.run(&all), self.engine.run(&all));
            check(&action, &redis, &engine, &mut None).map_err(|error| format!("in the end: {error}"))?;
            self.compare_scan(&["SCAN"])?;
            for scan in [["HSCAN", "h1"], ["SSCAN", "e1"], ["ZSCAN", "z1"]] {
                self.compare_scan(&scan)?;
            }
        }
        Ok(())
    }

    /// Walks a scan to its end on both and compares what was found, however it was paged.
    fn compare_scan(&mut self, command: &[&str]) -> Result<(), String> {
        let (redis, engine) = (walk(&mut self.redis, command), walk(&mut self.engine, command));
        if redis == engine {
            return Ok(());
        }
        Err(format!(
            "in the end: {command:?} found\n  redis:  {redis:?}\n  engine: {engine:?}"
        ))
    }
}

/// What shows everything about a key, whatever its type.
fn contents(key: &str) -> [Step; 15] {
    [
        step(Rule::Same, &["TYPE", key]),
        step(Rule::Same, &["OBJECT", "ENCODING", key]),
        step(Rule::Near(3_000), &["PTTL", key]),
        step(Rule::Same, &["GET", key]),
        step(Rule::Pairs, &["HGETALL", key]),
        step(Rule::Same, &["LRANGE", key, "0", "-1"]),
        step(Rule::Unordered, &["SMEMBERS", key]),
        step(Rule::Same, &["ZRANGE", key, "0", "-1", "WITHSCORES"]),
        step(Rule::Same, &["XRANGE", key, "-", "+"]),
        step(Rule::Same, &["XINFO", "STREAM", key]),
        step(Rule::Same, &["XINFO", "GROUPS", key]),
        step(Rule::Consumers, &["XINFO", "CONSUMERS", key, "g"]),
        step(Rule::Consumers, &["XINFO", "CONSUMERS", key, "h"]),
        step(Rule::Pending, &["XPENDING", key, "g", "-", "+", "1000"]),
        step(Rule::Pending, &["XPENDING", key, "h", "-", "+", "1000"]),
    ]
}

pub(crate) fn step(rule: Rule, args: &[&str]) -> Step {
    Step {
        client: Client::Main,
        rule,
        args: args.iter().map(|arg| arg.as_bytes().to_vec()).collect(),
    }
}

fn walk(peer: &mut Peer, command: &[&str]) -> Result<BTreeSet<Frame>, Frame> {
    /// More pages than any collection here has items.
    const PAGES_MAX: usize = 2_000;
    let (mut cursor, mut found) = (b"0".to_vec(), BTreeSet::new());
    for _ in 0..PAGES_MAX {
        let mut args: Vec<&[u8]> = command.iter().map(|arg| arg.as_bytes()).collect();
        args.extend([&cursor[..], b"COUNT", b"7"]);
        let page = peer.call(&args);
        let Some([next, items]) = page.items() else {
            return Err(page);
        };
        found.extend(items.items().unwrap_or_default().iter().cloned());
        cursor = next.bytes().unwrap_or(b"0").to_vec();
        if cursor == b"0" {
            return Ok(found);
        }
    }
    panic!("{command:?} does not end");
}

/// What was queued since `MULTI`.
type Transaction<'a> = Option<Vec<&'a Step>>;

/// Compares the replies to the steps of one action.
fn check<'a>(
    action: &'a Action,
    redis: &[Frame],
    engine: &[Frame],
    transaction: &mut Transaction<'a>,
) -> Result<(), String> {
    for (i, step) in action.0.iter().enumerate() {
        let (a, b) = (&redis[i], &engine[i]);
        let holds = match transaction.take_if(|_| ends_transaction(step, a)) {
            Some(queued) if a.items().is_some() => replies_hold(&queued, a, b),
            _ if a.is_status("QUEUED") => {
                if let Some(queued) = transaction {
                    queued.push(step);
                }
                a == b
            }
            _ if step.rule.looks_back() => step.rule.holds_after(&step.args, &redis[..=i], &engine[..=i]),
            _ => step.rule.holds(a, b),
        };
        if !holds {
            return Err(format!(
                "`{step:?}` by {:?}\n  redis:  {a:?}\n  engine: {b:?}",
                step.rule
            ));
        }
        if step.client == Client::Main && names(step, "MULTI") && !a.is_error() {
            transaction.get_or_insert_default();
        }
    }
    Ok(())
}

fn names(step: &Step, command: &str) -> bool {
    step.args[0].eq_ignore_ascii_case(command.as_bytes())
}

fn ends_transaction(step: &Step, reply: &Frame) -> bool {
    let ends = ["EXEC", "DISCARD", "RESET", "QUIT"]
        .iter()
        .any(|command| names(step, command));
    let arity = reply.bytes().is_some_and(|text| text.starts_with(b"ERR wrong number"));
    step.client == Client::Main && ends && !arity
}

/// Whether the replies inside those to `EXEC` keep the rules of the steps queued.
fn replies_hold(queued: &[&Step], redis: &Frame, engine: &Frame) -> bool {
    match (redis.items(), engine.items()) {
        (Some(redis), Some(engine)) => {
            let alike = redis.len() == queued.len() && engine.len() == queued.len();
            alike
                && queued
                    .iter()
                    .zip(redis.iter().zip(engine))
                    .all(|(step, (a, b))| step.rule.holds(a, b))
        }
        _ => redis == engine,
    }
}
