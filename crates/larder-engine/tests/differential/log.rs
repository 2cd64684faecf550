//! The log of one is the log of the other: random sequences on the engine are loaded by redis-server from the same folder,
//! go on there, and are loaded back.

use std::{path::Path, time::Duration};

use larder_engine::{
    Engine, Fsync, LogConfig,
    serve::{ServeConfig, Server},
};
use larder_testkit::{Case, RedisServer, eventually};

use crate::{
    frame::Frame,
    lines::Lines,
    peer::Peer,
    rule::Rule,
    run::step,
    step::{Action, Client, Step},
    words,
};

/// How many sequences: a redis-server is started for each.
const CASES: u64 = 12;

/// Actions of a sequence, on each of the two servers.
const ACTIONS: u64 = 150;

const PATIENCE: Duration = Duration::from_secs(20);

/// What shows everything that a log has to keep of a key. How it is held may differ after it was read back.
fn contents() -> Vec<Step> {
    let of_key = |key: &'static str| {
        [
            step(Rule::Same, &["TYPE", key]),
            step(Rule::Near(3_000), &["PTTL", key]),
            step(Rule::Same, &["GET", key]),
            step(Rule::Pairs, &["HGETALL", key]),
            step(Rule::Same, &["LRANGE", key, "0", "-1"]),
            step(Rule::Unordered, &["SMEMBERS", key]),
            step(Rule::Same, &["ZRANGE", key, "0", "-1", "WITHSCORES"]),
            step(Rule::Same, &["XRANGE", key, "-", "+"]),
            step(Rule::Same, &["XINFO", "STREAM", key]),
            step(Rule::Same, &["XINFO", "GROUPS", key]),
            step(Rule::Pending, &["XPENDING", key, "g", "-", "+", "1000"]),
        ]
    };
    ["0", "1"]
        .iter()
        .flat_map(|db| std::iter::once(step(Rule::Same, &["SELECT", db])).chain(words::keys().flat_map(of_key)))
        .collect()
}

fn look(peer: &mut Peer) -> Vec<Frame> {
    peer.reconnect(Client::Main);
    let steps = contents();
    peer.run(&steps.iter().collect::<Vec<_>>())
}

/// What a stream is, without how it is held.
fn essence(frame: &Frame) -> Vec<Frame> {
    let wanted: [&[u8]; 4] = [
        b"length",
        b"last-generated-id",
        b"max-deleted-entry-id",
        b"entries-added",
    ];
    let pairs = frame.items().unwrap_or_default().chunks_exact(2);
    let kept = pairs.filter(|pair| pair[0].bytes().is_some_and(|name| wanted.contains(&name)));
    kept.flatten().cloned().collect()
}

/// What groups have read. How much is pending with whom is looked at apart, and a log does not keep consumers that have
/// nothing.
fn progress(frame: &Frame) -> Vec<Frame> {
    let wanted: [&[u8]; 3] = [b"name", b"last-delivered-id", b"entries-read"];
    let groups = frame.items().unwrap_or_default().iter();
    let pairs = groups.flat_map(|group| group.items().unwrap_or_default().chunks_exact(2));
    let kept = pairs.filter(|pair| pair[0].bytes().is_some_and(|name| wanted.contains(&name)));
    kept.flatten().cloned().collect()
}

/// Which entries are pending with whom: of those that are in the stream, for a log does not keep the others. Nor does it
/// keep that entries were read again.
fn pending<'a>(frame: &'a Frame, stream: &Frame) -> Vec<&'a [Frame]> {
    let entries = stream.items().unwrap_or_default();
    let is_there = |id: &Frame| {
        entries
            .iter()
            .any(|entry| entry.items().is_some_and(|parts| parts[0] == *id))
    };
    let all = frame.items().unwrap_or_default().iter().filter_map(Frame::items);
    all.filter(|parts| is_there(&parts[0]))
        .map(|parts| &parts[..2])
        .collect()
}

/// Members and scores. A small sorted set does not tell -0 from 0, a large one does: it is not in what it is, but in how
/// it is held.
fn scored(frame: &Frame) -> Vec<&[u8]> {
    let texts = frame.items().unwrap_or_default().iter().filter_map(Frame::bytes);
    texts
        .enumerate()
        .map(|(i, text)| if i % 2 == 1 && text == b"-0" { b"0" } else { text })
        .collect()
}

#[track_caller]
fn same(before: &[Frame], after: &[Frame], what: &str) {
    // Where the entries of the same stream are, from its groups and from what is pending.
    const RANGE_BEFORE: usize = 3;
    for (i, ((step, a), b)) in contents().iter().zip(before).zip(after).enumerate() {
        let holds = match &step.args[0][..] {
            b"XINFO" if a.items().is_some() && step.args[1] == b"GROUPS" => progress(a) == progress(b),
            b"XPENDING" if a.items().is_some() && b.items().is_some() => {
                pending(a, &before[i - RANGE_BEFORE]) == pending(b, &after[i - RANGE_BEFORE])
            }
            b"XINFO" if a.items().is_some() => essence(a) == essence(b),
            b"ZRANGE" if a.items().is_some() => scored(a) == scored(b),
            _ => step.rule.holds(a, b),
        };
        assert!(holds, "{what}: `{step:?}`\n  before: {a:?}\n  after:  {b:?}");
    }
}

fn run(peer: &mut Peer, lines: &Lines, actions: &[Action]) {
    for client in Client::ALL {
        peer.reconnect(client);
        peer.run(&[&lines.hello(client)]);
    }
    let steps: Vec<&Step> = actions.iter().flat_map(|action| &action.0).collect();
    peer.run(&steps);
}

/// The engine with the log in `folder`, served while `work` runs.
async fn served<T>(folder: &Path, work: impl AsyncFnOnce(&mut Peer) -> T) -> T {
    let engine = Engine::builder()
        .open(LogConfig::new(folder).fsync(Fsync::EverySecond))
        .expect("the log can be read");
    let server = Server::start(engine, ServeConfig::new().bind("127.0.0.1:0"))
        .await
        .expect("a free port can be listened on");
    let mut peer = Peer::connect(server.local_addr().expect("it listens on TCP").port());
    let result = work(&mut peer).await;
    server.shutdown(PATIENCE).await;
    result
}

async fn rewrite(peer: &mut Peer) {
    let reply = peer.call(&[b"BGREWRITEAOF"]);
    assert!(!reply.is_error(), "{reply:?}");
    eventually(PATIENCE, async || {
        let text = info(peer);
        text.contains("aof_rewrite_in_progress:0") && text.contains("aof_rewrite_scheduled:0")
    })
    .await;
}

fn info(peer: &mut Peer) -> String {
    let info = peer.call(&[b"INFO", b"persistence"]);
    String::from_utf8_lossy(info.bytes().unwrap_or_default()).into_owned()
}

pub(crate) async fn exchange(lines: &Lines) {
    for case in Case::each(CASES, 1) {
        let random = case.random();
        let draw = || -> Vec<Action> { (0..ACTIONS).map(|_| lines.draw(random.next_u64())).collect() };
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().display().to_string();
        let (first, second, third) = (draw(), draw(), draw());

        let held = served(folder.path(), async |peer| {
            run(peer, lines, &first);
            if case.seed() % 2 == 0 {
                rewrite(peer).await;
                run(peer, lines, &second);
            }
            look(peer)
        })
        .await;
        let again = served(folder.path(), async |peer| look(peer)).await;
        same(&held, &again, "the engine, from its own log");

        // `always`, for it is killed: under `everysec` it may hold back what it has answered already.
        let log = [
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--aof-use-rdb-preamble",
            "no",
        ];
        let options = [&["--dir", &path], &log[..]].concat();
        let mut redis = RedisServer::start_with(&options).await;
        let mut peer = Peer::connect(redis.port());
        eventually(PATIENCE, async || info(&mut peer).contains("\nloading:0")).await;
        same(&held, &look(&mut peer), "redis, from the engine's log");

        run(&mut peer, lines, &third);
        if case.seed() % 3 == 0 {
            rewrite(&mut peer).await;
        }
        // What redis itself makes of its log is less than it had: how far a group has read is not in it, unless it was rewritten.
        redis.restart_with_data().await;
        let mut peer = Peer::connect(redis.port());
        eventually(PATIENCE, async || info(&mut peer).contains("\nloading:0")).await;
        let held = look(&mut peer);
        redis.kill();
        let back = served(folder.path(), async |peer| look(peer)).await;
        same(&held, &back, "the engine, from redis's log");
    }
}
