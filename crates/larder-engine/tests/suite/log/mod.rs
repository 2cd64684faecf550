//! The append-only log: what is there again after a restart, a crash, a broken disk.

mod crash;
mod damage;
mod faults;
mod owner;

mod replay;
mod rewrite;
mod waiting;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use larder_base::{Clock, ManualClock, Random};
use larder_engine::{Engine, Fsync, LogConfig, LogError, Reply, Session};
use larder_testkit::SimDisk;

/// Where the log lies on a [`SimDisk`].
const HOME: &str = "/data";

/// The first increment.
const INCREMENT: &str = "/data/appendonlydir/appendonly.aof.1.incr.aof";

/// An engine whose log is on `disk`, with a clock that stands still.
fn open(disk: &SimDisk, fsync: Fsync) -> Result<(Engine, ManualClock), LogError> {
    let (clock, hand) = Clock::manual();
    let config = LogConfig::new(HOME).fsync(fsync).disk(Arc::new(disk.clone()));
    let builder = Engine::builder().clock(clock).random(Random::seeded(1));
    Ok((builder.open(config)?, hand))
}

/// An engine whose log is in a folder of this machine.
fn open_folder(folder: &Path, fsync: Fsync) -> Result<Engine, LogError> {
    Engine::builder().open(LogConfig::new(folder).fsync(fsync))
}

fn run(session: &Session, line: &str) -> Reply {
    let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    session.execute(&args)
}

/// Everything that the engine's databases hold: a line for each key.
fn dump(engine: &Engine) -> BTreeMap<String, String> {
    let session = engine.connect();
    let mut all = BTreeMap::new();
    for db in 0..16 {
        run(&session, &format!("SELECT {db}"));
        let Reply::Array(keys) = run(&session, "KEYS *") else {
            panic!("KEYS answers with a list")
        };
        for key in keys {
            let Reply::Bulk(key) = key else {
                panic!("a key is a string")
            };
            let ask = |words: &[&[u8]]| session.execute(words);
            let kind = ask(&[b"TYPE", &key]);
            let content = match &kind {
                Reply::Status(kind) => match kind.as_ref() {
                    "string" => ask(&[b"GET", &key]),
                    "hash" => ask(&[b"HGETALL", &key]),
                    "list" => ask(&[b"LRANGE", &key, b"0", b"-1"]),
                    "set" => ask(&[b"SMEMBERS", &key]),
                    "zset" => ask(&[b"ZRANGE", &key, b"0", b"-1", b"WITHSCORES"]),
                    "stream" => Reply::Array(vec![
                        ask(&[b"XRANGE", &key, b"-", b"+"]),
                        stream_info(&ask(&[b"XINFO", b"STREAM", &key])),
                        groups(&ask(&[b"XINFO", b"STREAM", &key, b"FULL", b"COUNT", b"0"])),
                    ]),
                    other => panic!("a type without a line here: {other}"),
                },
                other => panic!("TYPE answered {other:?}"),
            };
            let deadline = ask(&[b"PEXPIRETIME", &key]);
            let line = format!("{} {:?}", sorted(content), deadline);
            all.insert(format!("{db}:{}", key.escape_ascii()), line);
        }
    }
    all
}

/// What a stream remembers of entries it no longer has.
fn stream_info(reply: &Reply) -> Reply {
    let wanted = ["length", "last-generated-id", "max-deleted-entry-id", "entries-added"];
    let pairs: Vec<(Reply, Reply)> = match reply {
        Reply::Map(pairs) => pairs.clone(),
        Reply::Array(items) => items.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect(),
        other => panic!("XINFO answered {other:?}"),
    };
    let keep = |pair: &&(Reply, Reply)| wanted.iter().any(|name| pair.0 == Reply::bulk(name));
    Reply::Array(pairs.iter().filter(keep).map(|pair| pair.1.clone()).collect())
}

/// The groups in the full account of a stream: how far they read, their consumers, and what is pending of entries that are
/// there. A log keeps no more of what is pending, nor when a consumer was last seen.
fn groups(reply: &Reply) -> Reply {
    let entries = items(field(reply, "entries"));
    let is_there = |pending: &&Reply| entries.iter().any(|entry| items(entry)[0] == items(pending)[0]);
    let groups = items(field(reply, "groups")).iter().map(|group| {
        let consumers = items(field(group, "consumers")).iter();
        let mut kept: Vec<Reply> = ["name", "last-delivered-id", "entries-read"]
            .map(|name| field(group, name).clone())
            .into();
        kept.extend(consumers.map(|consumer| field(consumer, "name").clone()));
        kept.extend(items(field(group, "pending")).iter().filter(is_there).cloned());
        Reply::Array(kept)
    });
    Reply::Array(groups.collect())
}

fn items(reply: &Reply) -> &[Reply] {
    match reply {
        Reply::Array(items) => items,
        other => panic!("a list was expected: {other:?}"),
    }
}

fn field<'a>(reply: &'a Reply, name: &str) -> &'a Reply {
    let Reply::Map(pairs) = reply else {
        panic!("a map was expected: {reply:?}")
    };
    let found = pairs.iter().find(|pair| pair.0 == Reply::bulk(name));
    &found.unwrap_or_else(|| panic!("no {name} in {reply:?}")).1
}

/// Sets and hashes have no order.
fn sorted(content: Reply) -> String {
    match content {
        Reply::Set(items) => {
            let mut items: Vec<_> = items.iter().map(|item| format!("{item:?}")).collect();
            items.sort();
            items.join(" ")
        }
        Reply::Map(pairs) => {
            let mut pairs: Vec<_> = pairs.iter().map(|pair| format!("{pair:?}")).collect();
            pairs.sort();
            pairs.join(" ")
        }
        other => format!("{other:?}"),
    }
}

/// A random command that changes something more often than not, on few keys of every type.
fn command(random: &Random) -> Vec<Vec<u8>> {
    let n = |max: u64| random.below(max);
    let key = |kind: &str| format!("{kind}{}", n(3));
    let value = || match n(3) {
        0 => n(100).to_string(),
        1 => "x".repeat(n(300) as usize),
        _ => format!("v\r\n*{}\r\n$", n(9)),
    };
    let member = || format!("m{}", n(12));
    let consumer = || format!("c{}", n(3));
    let words: Vec<String> = match n(41) {
        0 | 1 => vec!["SET".into(), key("s"), value()],
        2 => vec!["SET".into(), key("s"), value(), "PX".into(), (n(5_000) + 1).to_string()],
        3 => vec!["SETEX".into(), key("s"), (n(50) + 1).to_string(), value()],
        4 => vec!["APPEND".into(), key("s"), value()],
        5 => vec!["INCRBY".into(), key("n"), n(9).to_string()],
        6 => vec!["INCRBYFLOAT".into(), key("n"), "0.1".into()],
        7 => vec!["GETEX".into(), key("s"), "PX".into(), (n(5_000) + 1).to_string()],
        8 => vec!["GETDEL".into(), key("s")],
        9 => vec!["DEL".into(), key("s"), key("l")],
        10 => vec!["EXPIRE".into(), key("h"), n(3).to_string()],
        11 => vec!["PERSIST".into(), key("h")],
        12 => vec!["HSET".into(), key("h"), member(), value()],
        13 => vec!["HINCRBYFLOAT".into(), key("f"), member(), "1.5".into()],
        14 => vec!["HDEL".into(), key("h"), member()],
        15 => vec!["RPUSH".into(), key("l"), value(), value()],
        16 => vec!["LMOVE".into(), key("l"), key("l"), "LEFT".into(), "RIGHT".into()],
        17 => vec!["LPOP".into(), key("l")],
        18 => vec!["SADD".into(), key("e"), member(), member()],
        19 => vec!["SPOP".into(), key("e"), n(3).to_string()],
        20 => vec!["SMOVE".into(), key("e"), key("e"), member()],
        21 => vec!["SUNIONSTORE".into(), key("e"), key("e"), key("e")],
        22 => vec!["SORT".into(), key("e"), "BY".into(), "nosort".into(), "STORE".into(), key("l")],
        23 => vec!["ZADD".into(), key("z"), n(9).to_string(), member()],
        24 => vec!["ZINCRBY".into(), key("z"), "0.3".into(), member()],
        25 => vec!["ZPOPMIN".into(), key("z")],
        26 => vec!["XADD".into(), key("x"), "MAXLEN".into(), "~".into(), "150".into(), "*".into(), "f".into(), value()],
        27 => vec!["XADD".into(), key("x"), "*".into(), member(), value()],
        28 => vec!["XTRIM".into(), key("x"), "MAXLEN".into(), "~".into(), n(200).to_string()],
        29 => vec!["RENAME".into(), key("s"), key("s")],
        30 => vec!["COPY".into(), key("h"), key("h"), "DB".into(), n(3).to_string(), "REPLACE".into()],
        31 => vec!["MOVE".into(), key("z"), n(3).to_string()],
        32 => vec![
            "EVAL".into(),
            "redis.call('SET', KEYS[1], ARGV[1]) redis.call('LPUSH', KEYS[2], ARGV[1]) redis.call('SPOP', KEYS[3]) return 1".into(),
            "3".into(), key("s"), key("q"), key("e"), value(),
        ],
        33 => vec!["XGROUP".into(), "CREATE".into(), key("x"), "g".into(), "0".into(), "MKSTREAM".into()],
        34 | 35 => ["XREADGROUP", "GROUP", "g", &consumer(), "COUNT", "3", "STREAMS", &key("x"), ">"].map(Into::into).into(),
        36 => ["XREADGROUP", "GROUP", "g", &consumer(), "NOACK", "STREAMS", &key("x"), ">"].map(Into::into).into(),
        37 => ["XAUTOCLAIM", &key("x"), "g", &consumer(), "300", "-", "COUNT", "2"].map(Into::into).into(),
        38 => ["XGROUP", "DELCONSUMER", &key("x"), "g", &consumer()].map(Into::into).into(),
        39 => ["BLMPOP", "0", "2", &key("l"), &key("l"), "LEFT", "COUNT", "2"].map(Into::into).into(),
        _ => vec!["SELECT".into(), n(3).to_string()],
    };
    words.into_iter().map(String::into_bytes).collect()
}

fn submit(session: &Session, command: &[Vec<u8>]) -> Reply {
    session.execute(&command.iter().map(Vec::as_slice).collect::<Vec<_>>())
}
