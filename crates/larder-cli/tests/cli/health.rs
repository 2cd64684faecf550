//! `larder health` and `larder stats`: figures of a live store, and a failure that names what is wrong.

use std::time::Duration;

use larder_cache::{Cache, Coherence};
use larder_store::Store;
use larder_testkit::{RedisServer, eventually};

use crate::run::{larder, larder_on};

/// Longer than anything takes here.
const SOON: Duration = Duration::from_secs(20);

/// A password, which no output may have, at a port that is reserved and refuses at once.
const DOWN: &str = "redis://:opensesame@127.0.0.1:1";

#[tokio::test]
async fn a_server_that_is_up_is_healthy() {
    let server = RedisServer::start().await;
    let text = larder_on(&server.url(), &["health"]).out;
    for line in ["status     healthy", "role       master", "version    "] {
        assert!(
            text.lines().any(|found| found.starts_with(line)),
            "{line:?} is in {text}"
        );
    }
    let document = larder_on(&server.url(), &["health", "--json"]).json();
    assert_eq!(document["status"], "healthy");
    assert_eq!(document["problems"], serde_json::json!([]));
    assert_eq!(document["error"], serde_json::Value::Null);
    assert!(
        document["ping_seconds"].as_f64().is_some_and(|ping| ping > 0.0),
        "{document:#}"
    );
    assert!(
        document["memory_used_bytes"].as_u64().is_some_and(|bytes| bytes > 0),
        "{document:#}"
    );
}

#[tokio::test]
async fn a_server_that_will_soon_refuse_writes_is_degraded() {
    let server = RedisServer::start().await;
    server.config("maxmemory", "1mb");
    let url = server.url();
    let run = larder(&["health", "--store", &url]).ended(1).says(&["degraded"]);
    assert!(run.out.contains("problem    memory is"), "{run:#?}");
    let document = larder(&["health", "--json", "--store", &url]).ended(1).json();
    assert_eq!(document["status"], "degraded");
    assert_eq!(document["problems"].as_array().map(Vec::len), Some(1), "{document:#}");
}

#[test]
fn a_server_that_is_down_is_a_failure_with_address_cause_and_hint() {
    for command in ["health", "stats"] {
        let failed = larder(&[command, "--store", DOWN]).ended(1);
        let failed = failed.says(&["127.0.0.1:1", "refused", "hint:", "LARDER_STORE"]);
        assert!(!format!("{failed:?}").contains("opensesame"), "{failed:#?}");
        let document = larder(&[command, "--json", "--store", DOWN]).ended(1).json();
        let error = document["error"].to_string();
        assert!(
            error.contains("127.0.0.1:1") && error.contains("refused"),
            "{document:#}"
        );
    }
}

#[tokio::test]
async fn stats_count_reads_and_the_keys_of_each_namespace() {
    let server = RedisServer::start().await;
    server.cli(&["MSET", "user:1", "a", "user:2", "b", "order:1", "c", "plain", "d"]);
    server.cli(&["GET", "user:1"]);
    server.cli(&["MGET", "user:2", "order:1", "nobody"]);
    let document = larder_on(&server.url(), &["stats", "--json"]).json();
    assert_eq!(
        (&document["hits"], &document["misses"]),
        (&3.into(), &1.into()),
        "{document:#}"
    );
    assert_eq!(document["hit_ratio"], 0.75);
    let namespaces = &document["namespaces"];
    for (name, keys) in [("user", 2), ("order", 1), ("(none)", 1)] {
        assert_eq!(namespaces[name]["keys"], keys, "{document:#}");
        assert!(
            namespaces[name]["bytes"].as_u64().is_some_and(|bytes| bytes > 0),
            "{document:#}"
        );
    }
    let commands = document["commands"].as_array().expect("a list");
    assert!(
        commands
            .iter()
            .any(|command| command["name"] == "mget" && command["calls"] == 1),
        "{document:#}"
    );

    let text = larder_on(&server.url(), &["stats", "--keys", "2"]).out;
    assert!(
        text.contains("hit ratio     75.0 % of reads of keys (3 hits, 1 miss)"),
        "{text}"
    );
    assert!(text.contains("more keys than --keys"), "{text}");
}

/// Two processes with a near tier: one that the server tells of changes, one that reads the log.
#[tokio::test(flavor = "multi_thread")]
async fn stats_tell_of_near_tiers_what_the_server_knows() {
    let server = RedisServer::start().await;
    let text = larder_on(&server.url(), &["stats"]).out;
    assert!(text.contains("near tiers    none is told of changes"), "{text}");
    let mut caches: Vec<Cache<u64, u64>> = Vec::new();
    for (namespace, coherence) in [("pushed", Coherence::Tracking), ("logged", Coherence::Log)] {
        let store = Store::open(&server.url()).await.expect("the server runs");
        let builder = Cache::builder(namespace).store(&store).ttl(SOON * 100);
        let cache = builder.near(10).coherence(coherence).build().await.expect("they agree");
        cache.put(&1, 1).await.expect("the server answers");
        caches.push(cache);
    }
    eventually(SOON, async || {
        let document = larder_on(&server.url(), &["stats", "--json"]).json();
        let near = &document["near"];
        let read = &document["namespaces"]["logged"]["log_read_seconds_ago"];
        assert!(
            document["namespaces"]["pushed"]["log_read_seconds_ago"].is_null(),
            "{document:#}"
        );
        near["connections"] == 1
            && near["quietest_seconds"].as_u64().is_some_and(|seconds| seconds < 5)
            && read.as_f64().is_some_and(|seconds| seconds < 5.0)
    })
    .await;
    let text = larder_on(&server.url(), &["stats"]).out;
    assert!(
        text.contains("1 connection is told of changes, the quietest asked"),
        "{text}"
    );
    assert!(text.contains("log of invalidations read"), "{text}");
}
