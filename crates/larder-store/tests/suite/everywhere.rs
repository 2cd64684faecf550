//! What a store does the same wherever the data is.

use super::common::{Ear, Heard, SOON, everywhere, keys};
use larder_store::{
    Event, Script, ScriptCall, StoreError,
    redis::{self, AsyncCommands, Value},
};
use larder_testkit::eventually;

static SUM: Script = Script::new("sum", "return redis.call('INCRBY', KEYS[1], ARGV[1])");
static FLAGGED: Script = Script::new("flagged", "#!lua flags=allow-oom\nreturn ARGV[1]");
static BROKEN: Script = Script::new("broken", "return redis.call('GET')");

#[tokio::test]
async fn typed_commands_come_back_typed() {
    everywhere(async |place| {
        let mut store = place.store().await;
        let _: () = store.set("k", "v").await.unwrap();
        let (value, none): (String, Option<String>) =
            (store.get("k").await.unwrap(), store.get("absent").await.unwrap());
        assert_eq!((value.as_str(), none), ("v", None));
        let error = store.incr::<_, _, i64>("k", 1).await.unwrap_err();
        assert_eq!(error.code(), Some("ERR"));
        assert_eq!(error.detail(), Some("value is not an integer or out of range"));
        let unknown = redis::cmd("NOSUCH").arg("x").exec_async(&mut store).await.unwrap_err();
        assert!(unknown.to_string().contains("unknown command"), "{unknown}");
    })
    .await;
}

#[tokio::test]
async fn a_pipeline_answers_each_of_its_commands() {
    everywhere(async |place| {
        let mut store = place.store().await;
        let mut pipe = redis::pipe();
        pipe.set("a", 1).ignore().get("a").incr("a", 4);
        let (a, b): (i64, i64) = pipe.query_async(&mut store).await.unwrap();
        assert_eq!((a, b), (1, 5));
        let mut pipe = redis::pipe();
        pipe.set("s", "x").ignore().incr("s", 1).get("s");
        let error = pipe.query_async::<()>(&mut store).await.unwrap_err();
        assert_eq!(error.code(), Some("ERR"));
    })
    .await;
}

#[tokio::test]
async fn an_atomic_pipeline_is_one_transaction() {
    everywhere(async |place| {
        let mut store = place.store().await;
        let mut pipe = redis::pipe();
        pipe.atomic().set("n", 1).ignore().incr("n", 1).incr("n", 1);
        let (a, b): (i64, i64) = pipe.query_async(&mut store).await.unwrap();
        assert_eq!((a, b), (2, 3));
        let mut aborted = redis::pipe();
        aborted.atomic().set("n", 9).cmd("NOSUCH");
        let error = aborted.query_async::<()>(&mut store).await.unwrap_err();
        assert_eq!(
            error.kind(),
            redis::ErrorKind::Server(redis::ServerErrorKind::ExecAbort),
            "{error}"
        );
        assert_eq!(
            store.get::<_, i64>("n").await.unwrap(),
            3,
            "nothing of an aborted transaction ran"
        );
    })
    .await;
}

#[tokio::test]
async fn a_scan_goes_through_all_keys() {
    everywhere(async |place| {
        let mut store = place.store().await;
        let pairs: Vec<(String, u32)> = (0..500).map(|n| (format!("key:{n}"), n)).collect();
        let _: () = store.mset(&pairs).await.unwrap();
        let mut seen = std::collections::BTreeSet::new();
        let mut keys = store.scan_match::<_, String>("key:*").await.unwrap();
        while let Some(key) = keys.next_item().await {
            seen.insert(key.unwrap());
        }
        assert_eq!(seen.len(), 500);
    })
    .await;
}

#[tokio::test]
async fn commands_that_would_block_or_change_the_session_are_refused_by_name() {
    everywhere(async |place| {
        let mut store = place.store().await;
        let refused = store.blpop::<_, Value>("queue", 0.0).await.unwrap_err();
        let refused = StoreError::from(refused);
        assert!(
            refused.is_refused() && refused.to_string().contains("Store::dedicated()"),
            "{refused}"
        );
        let mut pipe = redis::pipe();
        pipe.set("a", 1).cmd("SELECT").arg(1).set("a", 2);
        let refused = StoreError::from(pipe.exec_async(&mut store).await.unwrap_err());
        assert!(refused.is_refused(), "{refused}");
        assert!(
            !store.exists::<_, bool>("a").await.unwrap(),
            "nothing of a refused pipeline is sent"
        );
        let refused = redis::cmd("subscribe")
            .arg("c")
            .exec_async(&mut store)
            .await
            .unwrap_err();
        assert!(refused.to_string().contains("Store::subscribe()"), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn a_script_needs_no_loading() {
    everywhere(async |place| {
        let store = place.store().await;
        let add = |n| ScriptCall::new(&SUM).key("n").int(n);
        assert_eq!(store.call(&add(1)).await.unwrap(), Value::Int(1));
        redis::cmd("SCRIPT")
            .arg("FLUSH")
            .exec_async(&mut store.clone())
            .await
            .unwrap();
        assert_eq!(store.call(&add(1)).await.unwrap(), Value::Int(2));
    })
    .await;
}

#[tokio::test]
async fn among_several_scripts_only_the_missing_ones_run_again() {
    everywhere(async |place| {
        let store = place.store().await;
        let add = |n| ScriptCall::new(&SUM).key("n").int(n);
        store.call(&add(1)).await.unwrap();
        let flagged = ScriptCall::new(&FLAGGED).arg("x");
        let calls = [add(1), flagged.clone(), ScriptCall::new(&BROKEN), add(1), flagged];
        let mut results = store.call_many(&calls).await;
        let broken = results.remove(2).unwrap_err();
        assert!(!broken.is_unknown_outcome(), "{broken}");
        let values: Vec<Value> = results.into_iter().map(Result::unwrap).collect();
        let x = || Value::BulkString(b"x".to_vec());
        assert_eq!(values, [Value::Int(2), x(), Value::Int(3), x()]);
        assert!(store.call_many(&[]).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn the_crates_own_scripts_work_as_well() {
    everywhere(async |place| {
        let mut store = place.store().await;
        let script = redis::Script::new("return ARGV[1] + 1");
        let two: i64 = script.arg(1).invoke_async(&mut store).await.unwrap();
        assert_eq!(two, 2);
    })
    .await;
}

#[tokio::test]
async fn a_listener_hears_of_what_it_read_and_others_changed() {
    everywhere(async |place| {
        let (mut mine, mut other) = (place.store().await, place.store().await);
        let ear = Ear::new();
        let listening = mine.listen(ear.clone()).await.unwrap();
        assert_eq!(ear.heard(), [Heard::Restored]);
        let _: Option<String> = mine.get("seen").await.unwrap();
        let _: () = other.set("unseen", 1).await.unwrap();
        let _: () = other.set("seen", 1).await.unwrap();
        eventually(SOON, async || ear.has(&keys(["seen"]))).await;
        assert!(!ear.has(&keys(["unseen"])));

        // One's own changes are not told, and end the tracking of the key.
        let _: Option<String> = mine.get("own").await.unwrap();
        let _: () = mine.set("own", 1).await.unwrap();
        let _: Option<String> = mine.get("fence").await.unwrap();
        let _: () = other.set("own", 2).await.unwrap();
        let _: () = other.set("fence", 2).await.unwrap();
        eventually(SOON, async || ear.has(&keys(["fence"]))).await;
        assert!(!ear.has(&keys(["own"])), "{:?}", ear.heard());

        redis::cmd("FLUSHALL").exec_async(&mut other).await.unwrap();
        eventually(SOON, async || ear.has(&Heard::All)).await;
        drop(listening);
    })
    .await;
}

#[tokio::test]
async fn an_invalidation_comes_before_the_answer_to_a_later_ping() {
    everywhere(async |place| {
        let (mut mine, mut other) = (place.store().await, place.store().await);
        let ear = Ear::new();
        let _listening = mine.listen(ear.clone()).await.unwrap();
        for n in 0..200 {
            let key = format!("k{n}");
            let _: Option<String> = mine.get(&key).await.unwrap();
            let _: () = other.set(&key, n).await.unwrap();
            mine.ping().await.unwrap();
            assert!(
                ear.has(&keys([&key])),
                "{key} was changed, the PING answered, and no word of it"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn nobody_hears_anything_after_the_listening_was_dropped() {
    everywhere(async |place| {
        let (mut mine, mut other) = (place.store().await, place.store().await);
        let (first, second) = (Ear::new(), Ear::new());
        let listening = mine.listen(first.clone()).await.unwrap();
        let still = mine.listen(second.clone()).await.unwrap();
        drop(listening);
        let _: Option<String> = mine.get("k").await.unwrap();
        let _: () = other.set("k", 1).await.unwrap();
        eventually(SOON, async || second.has(&keys(["k"]))).await;
        assert_eq!(first.heard(), [Heard::Restored]);
        drop(still);
        // And it can be taken up again.
        let _again = mine.listen(first.clone()).await.unwrap();
        let _: Option<String> = mine.get("k").await.unwrap();
        let _: () = other.set("k", 2).await.unwrap();
        eventually(SOON, async || first.has(&keys(["k"]))).await;
    })
    .await;
}

#[tokio::test]
async fn a_dedicated_connection_may_do_what_the_shared_one_may_not() {
    everywhere(async |place| {
        let mut store = place.store().await;
        let mut own = store.dedicated().await.unwrap();
        redis::cmd("WATCH").arg("w").exec_async(&mut own).await.unwrap();
        let _: () = store.set("w", "changed").await.unwrap();
        let mut pipe = redis::pipe();
        pipe.atomic().set("w", "mine");
        let outcome: Option<()> = pipe.query_async(&mut own).await.unwrap();
        assert_eq!(outcome, None, "a watched key changed");
        redis::cmd("SELECT").arg(1).exec_async(&mut own).await.unwrap();
        let _: () = own.set("only-in-1", 1).await.unwrap();
        assert!(!store.exists::<_, bool>("only-in-1").await.unwrap());
        drop(own);
        // The next user finds nothing of that.
        let mut own = store.dedicated().await.unwrap();
        assert!(!own.exists::<_, bool>("only-in-1").await.unwrap());
        let refused = redis::cmd("SUBSCRIBE").arg("c").exec_async(&mut own).await.unwrap_err();
        assert!(refused.to_string().contains("Store::subscribe()"), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn a_subscription_hears_channels_and_patterns() {
    everywhere(async |place| {
        let mut store = place.store().await;
        let mut news = store.subscribe(["news", "weather"]).await.unwrap();
        let mut all = store.subscribe_patterns(["n*"]).await.unwrap();
        let heard: i64 = store.publish("news", "one").await.unwrap();
        assert_eq!(heard, 2);
        let _: i64 = store.publish("weather", "rain").await.unwrap();
        let payload = |event| match event {
            Some(Event::Message(message)) => (String::from_utf8(message.payload).unwrap(), message.pattern),
            other => panic!("{other:?}"),
        };
        assert_eq!(payload(news.next().await), ("one".to_owned(), None));
        assert_eq!(payload(news.next().await), ("rain".to_owned(), None));
        assert_eq!(payload(all.next().await), ("one".to_owned(), Some(b"n*".to_vec())));
        drop(news);
        drop(all);
        eventually(SOON, async || {
            store.publish::<_, _, i64>("news", "two").await.unwrap() == 0
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_slow_subscriber_is_told_how_much_it_missed() {
    everywhere(async |place| {
        let mut store = place.store().await;
        let mut news = store.subscribe(["flood"]).await.unwrap();
        for _ in 0..20 {
            let mut pipe = redis::pipe();
            (0..100).for_each(|n| _ = pipe.publish("flood", n).ignore());
            pipe.exec_async(&mut store).await.unwrap();
        }
        let (mut messages, mut missed) = (0, 0);
        while messages + missed < 2_000 {
            match news.next().await {
                Some(Event::Message(_)) => messages += 1,
                Some(Event::Lagged(n)) => missed += n,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(messages + missed, 2_000, "every message is delivered or counted");
    })
    .await;
}

#[tokio::test]
async fn two_databases_are_two_worlds() {
    everywhere(async |place| {
        let mut first = place.store_with(|config| config.db(1)).await;
        let mut second = place.store_with(|config| config.db(2)).await;
        let _: () = first.set("k", 1).await.unwrap();
        assert!(!second.exists::<_, bool>("k").await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn health_says_what_is_behind_the_store() {
    everywhere(async |place| {
        let mut store = place.store().await;
        let _: () = store.set("k", "v").await.unwrap();
        let health = store.health().await;
        assert!(health.is_healthy() && health.is_reachable(), "{health}");
        assert!(health.memory_used.unwrap_or(0) > 0, "{health:?}");
        assert!(
            health.server_version.is_some() && health.eviction_policy.is_some(),
            "{health:?}"
        );
        assert_eq!(store.topology().len(), 1);
        let sizes = store.each_primary(async |mut node| redis::cmd("DBSIZE").query_async::<i64>(&mut node).await);
        assert_eq!(sizes.await.map_err(StoreError::from).unwrap(), [1]);
    })
    .await;
}

#[tokio::test]
async fn a_closed_store_says_so() {
    everywhere(async |place| {
        let mut store = place.store().await;
        let _: () = store.set("k", 1).await.unwrap();
        store.close().await;
        let error = StoreError::from(store.get::<_, i64>("k").await.unwrap_err());
        assert!(error.is_closed(), "{error}");
        assert!(!store.is_connected());
        assert!(store.dedicated().await.unwrap_err().is_closed());
        assert!(store.subscribe(["c"]).await.unwrap_err().is_closed());
        assert!(store.listen(Ear::new()).await.unwrap_err().is_closed());
    })
    .await;
}

#[tokio::test]
async fn a_connection_of_ones_own_waits_for_what_comes() {
    everywhere(async |place| {
        let mut store = place.store().await;
        let mut own = store.dedicated().await.unwrap();
        let nothing: Option<(String, String)> = own.blpop("jobs", 0.01).await.unwrap();
        assert_eq!(nothing, None);
        let waiting = tokio::spawn(async move {
            let first: (String, String) = own.blpop("jobs", 0.0).await.unwrap();
            let mut pipe = redis::pipe();
            pipe.cmd("ECHO").arg("x").cmd("BLPOP").arg("jobs").arg(0);
            let second: (String, (String, String)) = pipe.query_async(&mut own).await.unwrap();
            (first.1, second.1.1)
        });
        for job in ["one", "two"] {
            eventually(SOON, async || {
                let mut store = store.clone();
                let info = redis::cmd("INFO").arg("clients").query_async(&mut store).await;
                let left: i64 = store.llen("jobs").await.unwrap();
                left == 0 && info.is_ok_and(|info: String| info.contains("blocked_clients:1"))
            })
            .await;
            let _: () = store.rpush("jobs", job).await.unwrap();
        }
        assert_eq!(waiting.await.unwrap(), ("one".to_owned(), "two".to_owned()));
    })
    .await;
}
