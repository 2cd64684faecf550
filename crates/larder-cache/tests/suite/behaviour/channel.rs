//! Invalidations in JSON, from and to whoever speaks to the store.

use std::{process::Command, sync::Arc, time::Duration};

use larder_base::Random;
use larder_cache::{Cache, CacheBuilder, CacheEvent, Coherence, Error, OnGap};
use larder_engine::Engine;
use larder_store::{
    Event, Fate, Passage, Store, Stuck, Transit,
    redis::{self, aio::ConnectionLike as _},
};
use larder_testkit::{Answer, Kind, Proxy, RedisServer, Topology, eventually, for_each_topology};

use super::subject::{Numbers, answers, build, fails};

const CHANNEL: &str = "invalidations";

/// Real time for what takes a millisecond, on a machine that is busy.
const SOON: Duration = Duration::from_secs(20);

async fn listening(t: &Topology) -> Numbers {
    build(t, |b| b.channel(CHANNEL).near(100)).await
}

/// Publishes as a stranger does; how many received it.
fn publish(t: &Topology, message: &str) -> String {
    let answer = t.wire().call(&["PUBLISH", CHANNEL, message]).unwrap();
    format!("{answer:?}")
}

/// Lets time pass, where it has to be moved, until `condition` holds.
async fn comes(t: &Topology, mut condition: impl AsyncFnMut() -> bool) {
    eventually(SOON, async || {
        if t.kind() == Kind::Serve {
            t.advance(1).await;
        }
        condition().await
    })
    .await;
}

async fn filled(cache: &Numbers, keys: u64) -> Vec<u64> {
    let keys: Vec<u64> = (0..keys).collect();
    cache
        .get_or_load_many(&keys, async |keys: Vec<u64>| {
            Ok::<_, std::io::Error>(keys.into_iter().map(|key| (key, key)).collect())
        })
        .await;
    keys
}

#[test]
fn every_form_of_message_invalidates_what_it_names_and_nothing_else() {
    for_each_topology(async |t: Topology| {
        let forms: [(&str, &[u64]); 7] = [
            (r#"{"type":"n","id":1}"#, &[1]),
            (r#"{"type":"n","id":"2"}"#, &[2]),
            (r#"{"type":"n","ids":[3,"4"]}"#, &[3, 4]),
            (r#"{"key":"n:5"}"#, &[5]),
            (r#"{"pattern":"n:1?"}"#, &[10, 11, 12, 13, 14, 15, 16, 17, 18, 19]),
            (r#"{"type":"n","clear":true}"#, &[]),
            (r#"{"clear":true}"#, &[]),
        ];
        let here = listening(&t).await;
        let there = build(&t, |b| b.near(100)).await;
        for (message, named) in forms {
            let keys = filled(&here, 20).await;
            filled(&there, 20).await;
            let before = here.stats().channel_applied;
            publish(&t, message);
            eventually(SOON, async || here.stats().channel_applied > before).await;
            let left = if named.is_empty() { 0 } else { 20 - named.len() };
            comes(&t, async || here.get_many(&keys).await.len() == left).await;
            comes(&t, async || there.get_many(&keys).await.len() == left).await;
            for key in named {
                assert!(here.get(key).await.unwrap().is_none(), "{message}");
            }
        }
        assert_eq!(here.stats().channel_malformed, 0);
    });
}

#[test]
fn a_tag_from_outside_takes_along_what_has_it() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| {
            b.channel(CHANNEL).tags(|value: &u64| [format!("last:{}", value % 10)])
        })
        .await;
        let keys = filled(&cache, 20).await;
        publish(&t, r#"{"tag":"last:3"}"#);
        comes(&t, async || cache.get_many(&keys).await.len() == 18).await;
        publish(&t, r#"{"type":"n","tag":"last:4"}"#);
        comes(&t, async || cache.get_many(&keys).await.len() == 16).await;
        publish(&t, r#"{"type":"other","tag":"last:5"}"#);
        eventually(SOON, async || cache.stats().channel_other == 1).await;
        assert_eq!(cache.get_many(&keys).await.len(), 16);
    });
}

#[test]
fn composite_and_textual_keys_are_named_by_their_parts() {
    for_each_topology(async |t: Topology| {
        let store = t.another_store().await;
        let cache: Cache<(String, u32), u64> = Cache::builder("pair")
            .store(&store)
            .ttl(t.units(1_000))
            .channel(CHANNEL)
            .build()
            .await
            .unwrap();
        let key = |n: u32| (format!("eu:{n}%"), n);
        for n in 0..3 {
            cache.put(&key(n), 7).await.unwrap();
        }
        publish(&t, r#"{"type":"pair","id":["eu:0%",0]}"#);
        publish(&t, r#"{"key":"pair:eu%3A1%25:1"}"#);
        comes(&t, async || cache.get_many(&[key(0), key(1), key(2)]).await.len() == 1).await;
        assert!(cache.contains(&key(2)).await.unwrap());
    });
}

/// A load that began before the message does not bring the old value back: the plain `DEL` of a naive subscriber would let it.
#[test]
fn a_load_from_before_a_message_is_not_kept() {
    for_each_topology(async |t: Topology| {
        let cache = listening(&t).await;
        let old = cache.get_or_load(&1, async || {
            publish(&t, r#"{"type":"n","id":1}"#);
            for _ in 0..20_000 {
                if cache.stats().channel_applied == 1 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            answers(7).await
        });
        assert_eq!(*old.await.unwrap(), 7, "who asked before may have it");
        assert!(cache.get(&1).await.unwrap().is_none());
        assert_eq!(cache.stats().fills_gone, 1);
    });
}

#[test]
fn hostile_messages_are_counted_and_change_nothing() {
    for_each_topology(async |t: Topology| {
        let cache = listening(&t).await;
        let keys = filled(&cache, 5).await;
        let (deep, long) = ("[".repeat(20_000), format!(r#"{{"key":"n:{}"}}"#, "x".repeat(70_000)));
        let bad = [
            "",
            "nonsense",
            "{",
            "null",
            "{}",
            r#"{"type":"n"}"#,
            r#"{"id":1}"#,
            r#"{"type":"n","id":1.5}"#,
            r#"{"type":"n","id":"abc"}"#,
            r#"{"type":"n","id":[1,2]}"#,
            r#"{"type":"n","id":1,"clear":true}"#,
            r#"{"key":"n"}"#,
            r#"{"key":"n:abc"}"#,
            r#"{"type":"n","id":-1}"#,
            r#"{"type":"n","id":01}"#,
            &deep,
        ];
        for message in bad {
            publish(&t, message);
        }
        publish(&t, &long);
        publish(&t, r#"{"type":"other","id":1}"#);
        eventually(SOON, async || {
            let stats = cache.stats();
            stats.channel_malformed == bad.len() as u64 && stats.channel_oversized == 1 && stats.channel_other == 1
        })
        .await;
        assert_eq!(cache.get_many(&keys).await.len(), 5);
        publish(&t, r#"{"type":"n","id":1}"#);
        comes(&t, async || cache.get_many(&keys).await.len() == 4).await;
    });
}

#[test]
fn a_flood_is_done_or_answered_as_a_gap_and_costs_bounded_memory() {
    for_each_topology(async |t: Topology| {
        let cache = listening(&t).await;
        let keys = filled(&cache, 50).await;
        const FLOOD: usize = 20_000;
        for _ in 0..FLOOD / 1_000 {
            let mut pipe = larder_store::redis::pipe();
            for n in 0..1_000u64 {
                pipe.cmd("PUBLISH")
                    .arg(CHANNEL)
                    .arg(format!(r#"{{"type":"n","id":{}}}"#, 1_000 + n));
            }
            t.store().await.req_packed_commands(&pipe, 0, 1_000).await.unwrap();
        }
        publish(&t, r#"{"type":"n","id":7}"#);
        eventually(Duration::from_secs(120), async || {
            let stats = cache.stats();
            stats.channel_applied > FLOOD as u64 || stats.channel_gaps > 0
        })
        .await;
        comes(&t, async || cache.get(&7).await.unwrap().is_none()).await;
        if cache.stats().channel_gaps > 0 {
            comes(&t, async || cache.get_many(&keys).await.is_empty()).await;
        }
    });
}

#[test]
fn what_this_process_invalidates_is_announced_once_and_done_once() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (listening(&t).await, listening(&t).await);
        let stranger = t.another_store().await;
        let mut heard = stranger.subscribe([CHANNEL]).await.unwrap();
        filled(&here, 3).await;
        here.invalidate(&1).await.unwrap();
        here.invalidate_many(&[1, 2]).await.unwrap();
        here.invalidate_matching("1*").await.unwrap();
        here.invalidate_tag("t").await.unwrap();
        here.remove(&2).await.unwrap();
        here.clear().await.unwrap();
        // Comes last, and shows that nothing else is on its way: who answers an announcement with one would loop.
        eventually(SOON, async || {
            here.stats().channel_known == 6 && there.stats().channel_known == 6
        })
        .await;
        publish(&t, r#"{"end":true}"#);
        let mut messages: Vec<serde_json::Value> = Vec::new();
        loop {
            let Some(Event::Message(message)) = heard.next().await else {
                panic!("the subscription stands")
            };
            let message: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
            if message.get("end").is_some() {
                break;
            }
            messages.push(message);
        }
        let origin = messages[0]["origin"].as_str().unwrap().to_owned();
        assert_eq!(origin.len(), 32);
        let bare: Vec<String> = messages
            .iter()
            .map(|message| {
                assert_eq!(
                    (&message["origin"], &message["applied"]),
                    (&origin.as_str().into(), &true.into())
                );
                let mut bare = message.clone();
                let fields = bare.as_object_mut().unwrap();
                fields.remove("origin");
                fields.remove("applied");
                bare.to_string()
            })
            .collect();
        assert_eq!(
            bare,
            [
                r#"{"id":1,"type":"n"}"#,
                r#"{"ids":[1,2],"type":"n"}"#,
                r#"{"pattern":"n:1*","type":"n"}"#,
                r#"{"tag":"t","type":"n"}"#,
                r#"{"id":2,"type":"n"}"#,
                r#"{"clear":true,"type":"n"}"#,
            ]
        );
        assert_eq!((here.stats().announced, there.stats().announced), (6, 0));
        assert_eq!((here.stats().channel_applied, there.stats().channel_applied), (0, 0));
    });
}

/// A cache that listens, of a process whose way to the server leads through `proxy`, and that needs no answer but the
/// channel's to be built.
fn slow_to_listen(store: &Store) -> CacheBuilder<u64, u64> {
    let bound = Duration::from_secs(1);
    Cache::builder("n")
        .store(store)
        .ttl(Duration::from_secs(500))
        .coherence(Coherence::TtlOnly { max_staleness: bound })
        .channel(CHANNEL)
}

/// Begins two builds of one cache whose answers are held up, ends the first with `end`, and lets the answers come.
async fn two_builds(
    server: &RedisServer,
    end: impl AsyncFnOnce(tokio::task::JoinHandle<Result<Numbers, Error>>, &Proxy),
) -> (Result<Numbers, Error>, Store, Proxy) {
    let proxy = Proxy::start(server.port()).await.unwrap();
    let store = Store::open(&proxy.url()).await.unwrap();
    let connections = proxy.connections();
    proxy.hold_replies();
    let first = tokio::spawn(slow_to_listen(&store).build());
    eventually(SOON, async || proxy.connections() > connections).await;
    let mut second = std::pin::pin!(slow_to_listen(&store).build());
    let early = tokio::select! {
        biased;
        built = second.as_mut() => Some(built),
        () = tokio::task::yield_now() => None,
    };
    end(first, &proxy).await;
    proxy.let_pass();
    let built = match early {
        Some(built) => built,
        None => second.await,
    };
    (built, store, proxy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_a_cache_whose_build_was_cancelled_hears_the_channel() {
    let server = RedisServer::start().await;
    let (built, _store, _proxy) = two_builds(&server, async |first, _| {
        first.abort();
        assert!(first.await.is_err_and(|error| error.is_cancelled()));
    })
    .await;
    let cache = built.unwrap();
    server.cli(&["PUBLISH", CHANNEL, r#"{"type":"n","id":1}"#]);
    eventually(SOON, async || cache.stats().channel_applied == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_a_cache_that_may_not_listen() {
    let server = RedisServer::start().await;
    server.cli(&["ACL", "SETUSER", "default", "-subscribe"]);
    let (built, store, _proxy) = two_builds(&server, async |first, proxy| {
        proxy.let_pass();
        let refused = first.await.unwrap().unwrap_err();
        assert!(format!("{refused:?}").contains("subscribe"), "{refused:?}");
    })
    .await;
    assert!(built.is_err(), "it would hear nothing");
    drop(built);
    server.cli(&["ACL", "SETUSER", "default", "+subscribe"]);
    let cache = loop {
        // What was refused may take a moment to be gone.
        match slow_to_listen(&store).build().await {
            Ok(cache) => break cache,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    server.cli(&["PUBLISH", CHANNEL, r#"{"type":"n","id":1}"#]);
    eventually(SOON, async || cache.stats().channel_applied == 1).await;
}

/// Loses everything but what is published.
#[derive(Debug)]
struct Deaf;

impl Transit for Deaf {
    fn request<'a>(&'a self, command: &'a str) -> Passage<'a, Fate> {
        let fate = if command == "PUBLISH" {
            Fate::Arrives
        } else {
            Fate::Lost
        };
        Box::pin(async move { fate })
    }

    fn reply<'a>(&'a self, _command: &'a str) -> Passage<'a, ()> {
        Box::pin(async {})
    }

    fn stuck(&self, _request: Stuck) {}
}

/// However many keys a message names, they are taken up some at a time: those that fail show how many.
#[tokio::test]
async fn a_message_of_many_keys_is_done_in_parts() {
    let store = Store::embedded_through(Engine::new(), Random::seeded(1), Arc::new(Deaf));
    let builder = Cache::<u64, u64>::builder("n")
        .store(&store)
        .ttl(Duration::from_secs(500));
    let cache = builder.channel(CHANNEL).build().await.unwrap();
    let mut events = cache.events();
    let ids: Vec<u64> = (0..5_000).collect();
    let message = serde_json::json!({ "type": "n", "ids": ids }).to_string();
    let mut publish = redis::cmd("PUBLISH");
    store
        .clone()
        .req_packed_command(publish.arg(CHANNEL).arg(message))
        .await
        .unwrap();
    let mut seen = 0;
    while seen < 5_000 {
        let told = tokio::time::timeout(SOON, events.next()).await;
        let Ok(Some(CacheEvent::Pending { waiting })) = told else {
            panic!("nothing else happens: {told:?}, {:?}", cache.stats())
        };
        assert!(waiting - seen <= 1_000, "{} at once", waiting - seen);
        seen = waiting;
    }
}

/// Cuts every subscription, publishes while nobody listens, and lets the listeners come back.
async fn miss_a_message(t: &Topology, cache: &Numbers) {
    let mut wire = t.wire();
    // At one moment, so that nobody is back in time.
    wire.call(&["MULTI"]).unwrap();
    wire.call(&["CLIENT", "KILL", "TYPE", "pubsub"]).unwrap();
    wire.call(&["PUBLISH", CHANNEL, r#"{"type":"n","id":1}"#]).unwrap();
    let done = wire.call(&["EXEC"]).unwrap();
    let [killed, heard] = done.list() else {
        panic!("two commands: {done:?}")
    };
    assert!(
        *killed != Answer::Int(0) && *heard == Answer::Int(0),
        "somebody listened, and nobody heard: {done:?}"
    );
    comes(t, async || cache.stats().channel_gaps == 1).await;
}

#[test]
fn a_missed_message_is_noticed_and_repaired() {
    for_each_topology(async |t: Topology| {
        if t.kind() != Kind::Redis {
            return; // an embedded subscription cannot be cut, and the engine has no CLIENT KILL TYPE
        }
        let cache = build(&t, |b| b.channel(CHANNEL).ttl(t.units(10_000))).await;
        let keys = filled(&cache, 5).await;
        miss_a_message(&t, &cache).await;
        comes(&t, async || cache.get_many(&keys).await.is_empty()).await;
        // And it listens again.
        filled(&cache, 5).await;
        publish(&t, r#"{"type":"n","id":1}"#);
        comes(&t, async || cache.get_many(&keys).await.len() == 4).await;
    });
}

/// What a subscriber that only resubscribes does: it goes on serving what the missed message named.
#[test]
fn a_gap_that_is_only_counted_leaves_what_was_missed() {
    for_each_topology(async |t: Topology| {
        if t.kind() != Kind::Redis {
            return;
        }
        let cache = build(&t, |b| b.channel(CHANNEL).on_gap(OnGap::Count).ttl(t.units(10_000))).await;
        filled(&cache, 5).await;
        miss_a_message(&t, &cache).await;
        assert_eq!(*cache.get_or_load(&1, fails).await.unwrap(), 1, "nobody told it");
    });
}

/// A service in another language, as far as the store can tell: a client that is not ours.
#[test]
fn redis_cli_and_python_publish() {
    for_each_topology(async |t: Topology| {
        let Some(port) = t.port() else { return };
        let cache = listening(&t).await;
        let keys = filled(&cache, 5).await;
        let run = |program: &str, args: Vec<String>| {
            Command::new(program)
                .args(args)
                .output()
                .ok()
                .filter(|output| output.status.success())
        };
        let message = r#"{"type":"n","id":1}"#;
        let cli = ["-p", &port.to_string(), "PUBLISH", CHANNEL, message].map(str::to_owned);
        let mut published = usize::from(tokio::task::block_in_place(|| run("redis-cli", cli.to_vec())).is_some());
        let script = format!(
            "import json, socket\n\
             message = json.dumps({{'type': 'n', 'id': 2}})\n\
             words = ['PUBLISH', '{CHANNEL}', message]\n\
             request = '*%d\\r\\n' % len(words) + ''.join('$%d\\r\\n%s\\r\\n' % (len(w), w) for w in words)\n\
             s = socket.create_connection(('127.0.0.1', {port}))\n\
             s.sendall(request.encode())\n\
             assert s.recv(64).startswith(b':'), 'a number of receivers'\n"
        );
        let python = tokio::task::block_in_place(|| run("python3", vec!["-c".into(), script]));
        published += usize::from(python.is_some());
        assert!(published > 0, "neither redis-cli nor python3 is on this machine");
        comes(&t, async || cache.get_many(&keys).await.len() == 5 - published).await;
    });
}
