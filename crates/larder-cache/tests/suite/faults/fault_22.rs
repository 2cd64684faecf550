//! 22: values, tags and keys beyond their limits, and keys that look like something else. What is too large is refused
//! before it is sent; every other key is a key, in one slot, and nothing but a key.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use larder_base::codec::Codec;
use larder_cache::{Cache, CacheBuilder, PutOptions};
use larder_store::Store;
use larder_testkit::{Kind, RedisServer, Topology, eventually};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::row::{Baseline, Verdict, row};

/// The longest key that is written out; a longer one is written as its digest.
const WRITTEN_MAX: usize = 8 * 1024;

/// A value of so many MiB, which exists only while it is written.
#[derive(Debug, Deserialize)]
struct Vast(usize);

impl Serialize for Vast {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A string with its quotes, and the comma after it; written as it is, for half a gigabyte of escaping takes time.
        let mebibyte = format!("\"{}\"", "x".repeat((1 << 20) - 3));
        let mebibyte = RawValue::from_string(mebibyte).expect("a string is JSON");
        serializer.collect_seq(std::iter::repeat_n(&mebibyte, self.0))
    }
}

async fn build<K: larder_base::CacheKey, V>(
    store: &Store,
    settings: impl FnOnce(CacheBuilder<K, V>) -> CacheBuilder<K, V>,
) -> Cache<K, V>
where
    V: Serialize + serde::de::DeserializeOwned + Send + Sync + 'static,
{
    let builder = Cache::builder("fault")
        .store(store)
        .ttl(Duration::from_secs(60))
        .jitter(0.0);
    settings(builder).build().await.expect("the settings agree")
}

/// What the largest string of a server could not hold is refused here, and a read that loads it is answered all the same.
#[test]
fn fault_22_a_value_of_512_mib() {
    row(22, &[], &[Kind::Embedded], async |turn| {
        let t = turn.topology().await;
        let (mut verdict, cache) = (
            Verdict::default(),
            build::<u64, Vast>(&t.another_store().await, |b| b).await,
        );
        let put = cache.put(&1, Vast(512)).await.map(drop);
        let said = put.as_ref().map_or_else(ToString::to_string, |()| "stored".to_owned());
        let causes = put.err().map_or_else(String::new, |error| causes(&error));
        verdict.expect(
            causes.contains("value_max"),
            format!("the setting is named: {said}: {causes}"),
        );
        let loaded = cache.get_or_load(&1, || async { Ok::<_, io::Error>(Vast(16)) }).await;
        verdict.expect(loaded.is_ok(), format!("{loaded:?}"));
        let cached = cache.get(&1).await.expect("the store is up");
        verdict.expect(cached.is_none(), "loaded, not stored");
        verdict
    });
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text += &format!(": {cause}");
        next = cause.source();
    }
    text
}

/// A value as large as is allowed passes; one that the server refuses breaks the connection that everybody shares, unless
/// it is refused before.
#[test]
fn fault_22_a_value_that_the_server_refuses() {
    const SERVERS_LIMIT: usize = 1 << 20;
    row(22, &[Baseline::Naive], &[Kind::Redis], async |turn| {
        let server = RedisServer::start_with(&["--proto-max-bulk-len", "1mb"]).await;
        let mut verdict = Verdict::default();
        let large = "x".repeat(SERVERS_LIMIT + 1);
        if turn.is_larder() {
            let store = Store::open(&server.url()).await.expect("the server is up");
            let codec = Codec::json().value_max(SERVERS_LIMIT / 2).compress_above(usize::MAX);
            let cache = build::<u64, String>(&store, |b| b.codec(codec)).await;
            let (small, large, bystander) = tokio::join!(
                cache.put(&1, "x".repeat(SERVERS_LIMIT / 2 - 2)),
                cache.put(&2, large),
                cache.get(&3),
            );
            verdict.expect(small.is_ok(), format!("the largest value is stored: {small:?}"));
            verdict.expect(large.is_err(), "a larger one is refused");
            verdict.expect(
                bystander.is_ok(),
                format!("another request is none the worse: {bystander:?}"),
            );
            let stored = cache.get(&1).await.expect("the server is up");
            verdict.expect(
                stored.is_some_and(|value| value.len() == SERVERS_LIMIT / 2 - 2),
                "and comes back",
            );
        } else {
            let client = redis::Client::open(server.url()).expect("a URL");
            let connection = client
                .get_multiplexed_async_connection()
                .await
                .expect("the server is up");
            let (mut one, mut other) = (connection.clone(), connection);
            let (mut set, mut get) = (redis::cmd("SET"), redis::cmd("GET"));
            let set = set.arg("k").arg(large).query_async::<()>(&mut one);
            let get = get.arg("other").query_async::<Option<String>>(&mut other);
            let (large, bystander) = tokio::join!(set, get);
            verdict.expect(large.is_err(), "the server refuses it");
            verdict.expect(
                bystander.is_ok(),
                format!("another request is none the worse: {bystander:?}"),
            );
        }
        verdict
    });
}

#[test]
fn fault_22_tags() {
    row(22, &[], &Kind::ALL, async |turn| {
        let t = turn.topology().await;
        let (mut verdict, cache) = (
            Verdict::default(),
            build::<u64, u64>(&t.another_store().await, |b| b).await,
        );
        let put = async |count: usize, tag: fn(usize) -> String| {
            let tags = (0..count).map(tag);
            cache.put_with(&1, 7, |o| tags.fold(o, PutOptions::tag)).await
        };
        let million = if t.kind() == Kind::Embedded { 1_000_000 } else { 1_000 };
        for count in [65, million] {
            let refused = put(count, |i| i.to_string()).await;
            verdict.expect(refused.is_err(), format!("{count} tags are refused"));
        }
        let refused = put(1, |_| "x".repeat(256)).await;
        verdict.expect(refused.is_err(), "a tag of 256 bytes is refused");
        let refused = cache.invalidate_tag(&"x".repeat(256)).await;
        verdict.expect(refused.is_err_and(|error| error.is_config()), "so is its invalidation");
        verdict.expect(
            cache.get(&1).await.expect("the store is up").is_none(),
            "nothing of that was stored",
        );

        let long = |i: usize| format!("{i:02}{}", "{}*\r\n\0".repeat(42)) + "x";
        let stored = put(64, long).await;
        verdict.expect(stored.is_ok(), format!("64 tags of 255 bytes are stored: {stored:?}"));
        verdict.expect(
            cache.get(&1).await.expect("the store is up").is_some(),
            "and the value comes back",
        );
        let invalidated = cache.invalidate_tag(&long(63)).await;
        verdict.expect(invalidated.is_ok(), format!("{invalidated:?}"));
        verdict.expect(
            cache.get(&1).await.expect("the store is up").is_none(),
            "each of them counts",
        );
        verdict
    });
}

/// Keys that mean something elsewhere: to a cluster, a glob, a protocol, this cache's own writing; and long ones.
fn strange_keys() -> Vec<String> {
    let mut keys: Vec<String> = [
        "",
        " ",
        "{}",
        "}{",
        "{a}",
        "a}b{c",
        "{",
        "}",
        "*",
        "?",
        "[a-z]",
        "\\",
        "a*",
        "ab",
        "%",
        "%00",
        "%2A",
        "\0",
        "\r\n",
        "a\r\nFLUSHALL\r\n",
        "$3\r\nfoo\r\n",
        "*1\r\n$8\r\nFLUSHALL\r\n",
        ":",
        "e:1",
        "m",
        "t0",
        "}:m",
        "%sha256:00",
        "\u{7f}",
        "größe",
        "\u{1F980}",
    ]
    .map(str::to_owned)
    .to_vec();
    for length in [WRITTEN_MAX, WRITTEN_MAX + 1, 64 * 1024] {
        keys.push("k".repeat(length));
        // Of the same length, and different in the last byte alone.
        keys.push("k".repeat(length - 1) + "l");
    }
    keys
}

/// Every strange key has a value of its own, and loses it alone.
async fn keeps_apart(store: &Store) -> Verdict {
    let (mut verdict, cache) = (Verdict::default(), build::<String, u64>(store, |b| b).await);
    let keys = strange_keys();
    for (number, key) in (0..).zip(&keys) {
        let load = || async move { Ok::<_, io::Error>(number) };
        let loaded = cache.get_or_load(key, load).await.map(|value| *value);
        verdict.expect(
            matches!(loaded, Ok(value) if value == number),
            format!("{}: {loaded:?}", shown(key)),
        );
    }
    let cached = async |key: &String| cache.get(key).await.expect("the store is up").map(|value| *value);
    for (number, key) in (0..).zip(&keys) {
        verdict.expect(
            cached(key).await == Some(number),
            format!("{} has its own value", shown(key)),
        );
    }
    for (number, key) in (0..).zip(&keys) {
        cache.invalidate(key).await.expect("the store is up");
        verdict.expect(cached(key).await.is_none(), format!("{} is invalidated", shown(key)));
        let mut left = 0;
        for other in &keys[number + 1..] {
            left += usize::from(cached(other).await.is_some());
        }
        verdict.expect(
            left == keys.len() - number - 1,
            format!("{} takes nothing else along", shown(key)),
        );
        let hold = cache.hold(key).await.expect("the store is up");
        let committed = hold
            .commit_value(async { Ok::<_, io::Error>(7) })
            .await
            .expect("the store is up");
        verdict.expect(committed.stored, format!("{} is held and stored", shown(key)));
        cache.invalidate(key).await.expect("the store is up");
    }
    verdict
}

fn shown(key: &str) -> String {
    let beginning: String = key.chars().take(20).collect();
    format!("the key {beginning:?} of {} bytes", key.len())
}

#[test]
fn fault_22_keys() {
    row(22, &[Baseline::Naive], &Kind::ALL, async |turn| {
        let t = turn.topology().await;
        if turn.is_larder() {
            keeps_apart(&t.another_store().await).await
        } else {
            drops_by_glob(&t).await
        }
    });
}

/// "Everything of this user", by hand: a user whose name is a glob takes everybody's along.
async fn drops_by_glob(t: &Topology) -> Verdict {
    let (mut verdict, mut wire) = (Verdict::default(), t.wire());
    for user in ["ada", "*"] {
        wire.call(&["SET", &format!("user:{user}:cart"), "1"])
            .expect("there is memory");
    }
    let found = wire
        .call(&["KEYS", &format!("user:{}:*", "*")])
        .expect("KEYS cannot fail");
    for key in found.list() {
        wire.call(&[b"DEL".as_slice(), key.bytes()]).expect("DEL cannot fail");
    }
    let left = wire
        .call(&["EXISTS", "user:ada:cart"])
        .expect("EXISTS cannot fail")
        .int();
    verdict.expect(left == 1, "another user's cart is still there");
    verdict
}

/// A key with a line break, pasted into a command: by hand it is two commands.
#[test]
fn fault_22_line_breaks() {
    row(22, &[Baseline::Naive], &[Kind::Redis], async |turn| {
        let t = turn.topology().await;
        let (mut verdict, mut wire) = (Verdict::default(), t.wire());
        let (key, store) = ("x\r\nFLUSHALL\r\n".to_owned(), t.another_store().await);
        wire.call(&["SET", "precious", "1"]).expect("there is memory");
        if turn.is_larder() {
            let cache = build::<String, u64>(&store, |b| b).await;
            cache.put(&key, 1).await.expect("the store is up");
            cache.invalidate(&key).await.expect("the store is up");
        } else {
            let port = t.port().expect("it is a server");
            let pasted = move || -> io::Result<()> {
                let mut line = TcpStream::connect(("127.0.0.1", port))?;
                write!(line, "GET {key}\r\nQUIT\r\n")?;
                line.read_to_end(&mut Vec::new()).map(drop)
            };
            tokio::task::spawn_blocking(pasted)
                .await
                .expect("no panic")
                .expect("the server answers");
        }
        let left = wire.call(&["EXISTS", "precious"]).expect("EXISTS cannot fail").int();
        verdict.expect(left == 1, "what has nothing to do with the key is still there");
        verdict
    });
}

/// A server in cluster mode refuses whatever touches two slots. Every script touches one; by hand a value and its tag's
/// set lie in two.
#[test]
fn fault_22_slots() {
    row(22, &[Baseline::Naive], &[Kind::Redis], async |turn| {
        let server = RedisServer::start_with(&["--cluster-enabled", "yes"]).await;
        assert_eq!(server.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]), "OK");
        let is_up = async || server.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok");
        eventually(Duration::from_secs(20), is_up).await;
        let store = Store::open(&server.url()).await.expect("the server is up");
        if turn.is_larder() {
            let mut verdict = keeps_apart(&store).await;
            let cache = build::<String, u64>(&store, |b| b).await;
            for key in strange_keys() {
                cache
                    .put_with(&key, 1, |o| o.tag("{a}").tag("}{"))
                    .await
                    .expect("the server is up");
            }
            for tag in ["{a}", "}{"] {
                let invalidated = cache.invalidate_tag(tag).await;
                verdict.expect(invalidated.is_ok(), format!("{tag}: {invalidated:?}"));
            }
            return verdict;
        }
        let (mut verdict, mut store) = (Verdict::default(), store);
        let mut both = redis::cmd("MSET");
        both.arg("row:1").arg(1).arg("tag:team").arg("row:1");
        let stored = both.query_async::<()>(&mut store).await;
        verdict.expect(stored.is_ok(), format!("a value and its tag: {stored:?}"));
        verdict
    });
}
