//! A store when things go wrong: servers that are gone, silent, slow, full, or not what they were.

use std::time::Duration;

use super::common::{BEAT, Ear, Heard, SOON, gate::Gate, keys, soon};
use larder_base::Clock;
use larder_store::{
    Script, ScriptCall, Store, StoreConfig, StoreError,
    redis::{self, AsyncCommands},
};
use larder_testkit::{Proxy, RedisServer, eventually};

static INCR: Script = Script::new("incr", "return redis.call('INCR', KEYS[1])");

fn error_of<T: std::fmt::Debug>(result: redis::RedisResult<T>) -> StoreError {
    StoreError::from(result.expect_err("it cannot have worked"))
}

/// Everything an error says, causes included.
fn said(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

async fn get(store: &Store, key: &str) -> redis::RedisResult<Option<String>> {
    store.clone().get(key).await
}

async fn incr(store: &Store, key: &str) -> redis::RedisResult<i64> {
    store.clone().incr(key, 1).await
}

// --- getting in ---

#[tokio::test]
async fn nobody_at_the_address_is_said_with_address_and_cause() {
    let mut server = RedisServer::start().await;
    server.kill();
    let error = Store::open(&server.url()).await.unwrap_err();
    assert!(error.is_connection() && !error.is_unknown_outcome(), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains(&format!("127.0.0.1:{}", server.port()))
            && text.contains("refused")
            && !text.contains("password"),
        "{text}"
    );
}

#[tokio::test]
async fn the_first_connect_is_tried_again() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await.unwrap();
    proxy.refuse(true);
    let url = format!(
        "{}?max_attempts=1000&retry_delay=5ms&retry_max_delay=5ms&breaker_failures=0",
        proxy.url()
    );
    let opening = tokio::spawn(async move { Store::open(&url).await });
    let few = Store::open(&format!("{}?max_attempts=2&retry_delay=1ms", proxy.url()))
        .await
        .unwrap_err();
    assert!(said(&few).contains("attempt 2"), "{}", said(&few));
    proxy.refuse(false);
    opening
        .await
        .unwrap()
        .expect("it goes on trying until the server is there");
}

#[tokio::test]
async fn a_lazy_store_connects_when_it_is_used() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await.unwrap();
    proxy.refuse(true);
    let store = Store::lazy(&proxy.url()).unwrap();
    assert!(!store.is_connected());
    assert!(error_of(get(&store, "k").await).is_connection());
    proxy.refuse(false);
    eventually(SOON, async || get(&store, "k").await.is_ok()).await;
    assert!(store.is_connected());
}

#[tokio::test]
async fn a_silent_address_names_the_setting() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await.unwrap();
    proxy.hold_replies();
    let error = Store::open(&format!("{}?connect_timeout=50ms&max_attempts=1", proxy.url()))
        .await
        .unwrap_err();
    assert!(said(&error).contains("connect_timeout"), "{}", said(&error));
}

#[tokio::test]
async fn a_wrong_password_is_said_and_not_shown() {
    let server = RedisServer::start_with(&["--requirepass", "right"]).await;
    let at = |credentials: &str| format!("redis://{credentials}127.0.0.1:{}", server.port());
    let wrong = Store::open(&at(":hunter2@")).await.unwrap_err();
    let text = wrong.to_string();
    assert!(
        text.contains("WRONGPASS") || text.contains("invalid username-password"),
        "{text}"
    );
    assert!(text.contains("check user and password in the URL"), "{text}");
    assert!(
        !text.contains("hunter2") && !format!("{wrong:?}").contains("hunter2"),
        "{wrong:?}"
    );
    let none = Store::open(&at("")).await.unwrap_err().to_string();
    assert!(none.to_lowercase().contains("auth"), "{none}");
    assert!(none.contains("check user and password in the URL"), "{none}");
    let store = Store::open(&at("default:right@")).await.unwrap();
    assert!(
        !store.url().contains("right") && !format!("{store:?}").contains("right"),
        "{store:?}"
    );
}

#[tokio::test]
async fn a_database_that_is_not_there_is_said() {
    let server = RedisServer::start().await;
    let error = Store::open(&format!("{}/99", server.url())).await.unwrap_err();
    assert!(said(&error).contains("out of range"), "{}", said(&error));
}

#[tokio::test]
async fn a_full_server_is_said() {
    let server = RedisServer::start_with(&["--maxclients", "1"]).await;
    let first = format!("{}?max_attempts=1000&retry_delay=1ms&breaker_failures=0", server.url());
    let _first = Store::open(&first).await.unwrap();
    let error = Store::open(&server.url()).await.unwrap_err();
    assert!(said(&error).contains("max number of clients"), "{}", said(&error));
}

#[tokio::test]
async fn a_unix_socket_and_resp2_lead_to_the_same_server() {
    let server = RedisServer::start().await;
    let unix = Store::open(&format!("{}?client_name=by-socket", server.unix_url()))
        .await
        .unwrap();
    let old = Store::open(&format!("{}?resp=2", server.url())).await.unwrap();
    assert_eq!(incr(&unix, "n").await.unwrap() + incr(&old, "n").await.unwrap(), 3);
    assert!(server.cli(&["CLIENT", "LIST"]).contains("name=by-socket"));
    let error = old.listen(Ear::new()).await.unwrap_err();
    assert!(error.to_string().contains("resp=3"), "{error}");
    assert!(old.subscribe(["c"]).await.unwrap_err().to_string().contains("resp"));
}

// --- deadlines ---

#[tokio::test]
async fn an_answer_may_take_longer_than_the_crates_half_second() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await.unwrap();
    let store = Store::open(&proxy.url()).await.unwrap();
    proxy.delay_replies(Duration::from_millis(700));
    assert_eq!(incr(&store, "n").await.unwrap(), 1);
}

#[tokio::test]
async fn a_paused_server_ends_in_a_timeout_and_a_new_connection() {
    let server = RedisServer::start().await;
    let store = Store::open(&format!("{}?read_timeout=500ms&breaker_failures=0", server.url()))
        .await
        .unwrap();
    let before = store.generation().unwrap();
    server.pause();
    let clock = Clock::system();
    let began = clock.monotonic();
    let (read, write) = soon(async { tokio::join!(get(&store, "k"), incr(&store, "n")) }).await;
    let took = clock.monotonic() - began;
    let (read, write) = (error_of(read), error_of(write));
    assert!(read.is_timeout() || read.is_connection(), "{read:?}");
    assert!(write.is_unknown_outcome() && write.is_timeout(), "{write:?}");
    assert!(said(&write).contains("read_timeout"), "{write}");
    assert!(
        took >= Duration::from_secs(1),
        "the deadline is the sum of both timeouts: {took:?}"
    );
    server.resume();
    eventually(SOON, async || get(&store, "k").await.is_ok()).await;
    assert_eq!(store.generation().unwrap(), before, "the same run of the same server");
}

#[tokio::test]
async fn callers_who_give_up_early_do_not_hide_a_dead_connection() {
    let server = RedisServer::start().await;
    let store = Store::open(&format!("{}?read_timeout=500ms", server.url()))
        .await
        .unwrap();
    server.pause();
    let clock = Clock::system();
    eventually(SOON, async || {
        assert!(
            clock
                .timeout(Duration::from_millis(5), get(&store, "k"))
                .await
                .is_none_or(|answer| answer.is_err())
        );
        !store.is_connected()
    })
    .await;
    server.resume();
}

#[tokio::test]
async fn requests_stuck_on_an_old_connection_cannot_run_later() {
    let server = RedisServer::start().await;
    let gate = Gate::start(server.port()).await;
    let store = Store::open(&format!("{}?read_timeout=500ms", gate.url()))
        .await
        .unwrap();
    gate.set(0, false);
    let error = error_of(incr(&store, "stuck").await);
    assert!(error.is_unknown_outcome(), "{error:?}");
    // The next command goes over a new connection, whose first act was to end the old one.
    eventually(SOON, async || incr(&store, "later").await.is_ok()).await;
    assert_eq!(gate.connections(), 2);
    gate.set(0, true);
    // While these go through the gate, what it let pass arrives at the server, if the server still takes it.
    for _ in 0..200 {
        let stuck = get(&store, "stuck").await.unwrap();
        assert_eq!(stuck, None, "the stuck request ran after its successor");
    }
}

// --- outcomes ---

/// A server whose replies are held back, and a store on it; what is asked runs and is not answered.
async fn mute() -> (RedisServer, Proxy, Store) {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await.expect("loopback has a free port");
    let store = Store::open(&proxy.url()).await.expect("the server is up");
    store
        .call(&ScriptCall::new(&INCR).key("warm"))
        .await
        .expect("the server is up");
    proxy.hold_replies();
    (server, proxy, store)
}

#[tokio::test]
async fn a_command_that_may_have_run_is_not_sent_again() {
    let (server, proxy, store) = mute().await;
    let watched = store.clone();
    let asking = tokio::spawn(async move { incr(&store, "n").await });
    eventually(SOON, async || server.cli(&["GET", "n"]) == "1").await;
    proxy.cut();
    eventually(SOON, async || !watched.is_connected()).await;
    proxy.let_pass();
    let error = error_of(asking.await.unwrap());
    assert!(error.is_unknown_outcome() && !error.is_timeout(), "{error:?}");
    assert_eq!(server.cli(&["GET", "n"]), "1");
}

#[tokio::test]
async fn a_script_that_may_have_run_is_not_sent_again() {
    let (server, proxy, store) = mute().await;
    let watched = store.clone();
    let asking = tokio::spawn(async move {
        let call = ScriptCall::new(&INCR).key("n");
        store.call_many(&[call.clone(), call]).await
    });
    eventually(SOON, async || server.cli(&["GET", "n"]) == "2").await;
    proxy.cut();
    eventually(SOON, async || !watched.is_connected()).await;
    proxy.let_pass();
    for result in asking.await.unwrap() {
        assert!(result.unwrap_err().is_unknown_outcome());
    }
    assert_eq!(server.cli(&["GET", "n"]), "2");
}

#[tokio::test]
async fn an_idempotent_command_is_sent_again() {
    let (server, proxy, store) = mute().await;
    let watched = store.clone();
    server.cli(&["CONFIG", "RESETSTAT"]);
    let mut writer = store.clone();
    let asking = tokio::spawn(async move { writer.set::<_, _, ()>("k", "v").await });
    eventually(SOON, async || {
        server.cli(&["INFO", "commandstats"]).contains("cmdstat_set:calls=1")
    })
    .await;
    proxy.cut();
    eventually(SOON, async || !watched.is_connected()).await;
    proxy.let_pass();
    asking.await.unwrap().expect("SET is as good twice as once");
    assert!(server.cli(&["INFO", "commandstats"]).contains("cmdstat_set:calls=2"));
}

#[tokio::test]
async fn what_may_have_run_is_said_even_if_it_cannot_be_sent_again() {
    let (server, proxy, store) = mute().await;
    server.cli(&["CONFIG", "RESETSTAT"]);
    let mut writer = store.clone();
    let asking = tokio::spawn(async move { writer.set::<_, _, ()>("k", "v").await });
    eventually(SOON, async || server.cli(&["GET", "k"]) == "v").await;
    proxy.refuse(true);
    proxy.cut();
    let error = error_of(asking.await.unwrap());
    assert!(
        error.is_unknown_outcome(),
        "the first copy ran, the second could not be sent: {error:?}"
    );
    let later = error_of(get(&store, "k").await);
    assert!(!later.is_unknown_outcome(), "this one was never sent: {later:?}");
}

#[tokio::test]
async fn a_busy_server_is_asked_again_until_it_has_time() {
    let server = RedisServer::start_with(&["--lua-time-limit", "1"]).await;
    let store = Store::open(&format!("{}?max_attempts=1000&retry_delay=2ms", server.url()))
        .await
        .unwrap();
    let hog = Store::open(&server.url()).await.unwrap();
    let busy = tokio::spawn(async move {
        redis::cmd("EVAL")
            .arg("while true do end")
            .arg(0)
            .exec_async(&mut hog.clone())
            .await
    });
    eventually(SOON, async || server.cli(&["PING"]).contains("BUSY")).await;
    let asking = tokio::spawn(async move { incr(&store, "n").await });
    eventually(SOON, async || server.cli(&["SCRIPT", "KILL"]) == "OK").await;
    assert_eq!(
        asking.await.unwrap().unwrap(),
        1,
        "it was refused as busy, hence did not run, hence is sent again"
    );
    assert!(busy.await.unwrap().is_err());
}

#[tokio::test]
async fn a_demoted_server_is_asked_again_until_it_takes_writes() {
    let server = RedisServer::start().await;
    let store = Store::open(&format!(
        "{}?max_attempts=1000&retry_delay=2ms&retry_max_delay=5ms",
        server.url()
    ))
    .await
    .unwrap();
    server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    let few = Store::open(&format!("{}?max_attempts=2&retry_delay=1ms", server.url()))
        .await
        .unwrap();
    let error = error_of(incr(&few, "n").await);
    assert_eq!(error.code(), Some("READONLY"), "{error}");
    let asking = tokio::spawn(async move { incr(&store, "n").await });
    server.cli(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(asking.await.unwrap().unwrap(), 1);
}

// --- coming back ---

#[tokio::test]
async fn a_store_is_back_within_two_seconds_of_its_server() {
    let mut server = RedisServer::start().await;
    // Its own seconds, whatever this machine makes of them.
    let (clock, hand) = Clock::manual();
    let config = StoreConfig::from_url(&server.url()).unwrap().clock(clock);
    let store = soon(Store::connect(config)).await.unwrap();
    let before = store.generation().unwrap();
    server.kill();
    let time_passes = async {
        loop {
            hand.advance(Duration::from_millis(10));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let goes_down = async {
        eventually(SOON, async || get(&store, "k").await.is_err()).await;
        eventually(SOON, async || error_of(get(&store, "k").await).is_breaker_open()).await;
        assert!(!store.is_connected() && !store.health().await.is_healthy());
    };
    tokio::select! {
        () = goes_down => {}
        () = time_passes => unreachable!("time does not end"),
    }
    server.restart_empty().await;
    hand.advance(Duration::from_secs(2));
    eventually(SOON, async || {
        let asked = tokio::time::timeout(Duration::from_millis(100), get(&store, "k")).await;
        asked.is_ok_and(|answer| answer.is_ok())
    })
    .await;
    assert_ne!(store.generation().unwrap(), before, "another run is another generation");
    assert!(store.health().await.is_healthy());
}

#[tokio::test]
async fn a_store_that_is_cut_off_often_answers_every_read() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await.unwrap();
    let store = Store::open(&format!("{}?max_attempts=50&retry_delay=1ms", proxy.url()))
        .await
        .unwrap();
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..200 {
                    get(&store, "k").await.expect("a read is sent again");
                }
            })
        })
        .collect();
    while !readers.iter().all(tokio::task::JoinHandle::is_finished) {
        proxy.cut();
        tokio::task::yield_now().await;
        get(&store, "k").await.expect("a read is sent again");
    }
    for reader in readers {
        reader.await.unwrap();
    }
}

#[tokio::test]
async fn tracking_is_on_again_before_the_new_connection_carries_anything() {
    let server = RedisServer::start().await;
    let (store, mut other) = (
        Store::open(&server.url()).await.unwrap(),
        Store::open(&server.url()).await.unwrap(),
    );
    let ear = Ear::new();
    let _listening = store.listen(ear.clone()).await.unwrap();
    for round in 1..=20 {
        let id: i64 = redis::cmd("CLIENT")
            .arg("ID")
            .query_async(&mut store.clone())
            .await
            .unwrap();
        assert_eq!(server.cli(&["CLIENT", "KILL", "ID", &id.to_string()]), "1");
        eventually(SOON, async || ear.count(&Heard::Lost) == round).await;
        // The first read on the new connection is tracked.
        let key = format!("k{round}");
        get(&store, &key).await.unwrap();
        let _: () = other.set(&key, round).await.unwrap();
        eventually(SOON, async || ear.has(&keys([&key]))).await;
        assert_eq!(ear.count(&Heard::Restored), round + 1);
    }
    let order: Vec<Heard> = ear
        .heard()
        .into_iter()
        .filter(|heard| !matches!(heard, Heard::Keys(_)))
        .collect();
    let alternate = |(at, heard): (usize, &Heard)| *heard == if at % 2 == 0 { Heard::Restored } else { Heard::Lost };
    assert!(order.iter().enumerate().all(alternate), "{order:?}");
}

#[tokio::test]
async fn nobody_vouches_for_what_a_demoted_server_says_and_its_successor_is_found() {
    let (old, new) = (RedisServer::start().await, RedisServer::start().await);
    let proxy = Proxy::start(old.port()).await.unwrap();
    let store = Store::open(&proxy.url()).await.unwrap();
    let ear = Ear::new();
    let _listening = store.listen(ear.clone()).await.unwrap();
    old.cli(&["REPLICAOF", "127.0.0.1", &new.port().to_string()]);
    eventually(SOON, async || ear.has(&Heard::Lost)).await;
    // It is connected anew to the same address, which still leads to the old server, again and again.
    let connects = store.stats().reconnects;
    eventually(SOON, async || store.stats().reconnects > connects + 1).await;
    assert_eq!(ear.count(&Heard::Restored), 1, "{:?}", ear.heard());
    proxy.point_at(new.port());
    eventually(SOON, async || ear.count(&Heard::Restored) == 2).await;
    get(&store, "k").await.unwrap();
}

#[tokio::test]
async fn who_listens_to_a_server_that_is_down_hears_when_it_is_up() {
    let mut server = RedisServer::start().await;
    let url = server.url();
    server.kill();
    let store = Store::lazy(&url).unwrap();
    let ear = Ear::new();
    let _listening = store.listen(ear.clone()).await.unwrap();
    assert_eq!((ear.heard(), ear.beats()), (vec![], vec![]));
    server.restart_empty().await;
    eventually(SOON, async || ear.heard() == [Heard::Restored]).await;
    eventually(SOON, async || !ear.beats().is_empty()).await;
}

#[tokio::test]
async fn a_stream_is_proven_again_and_again_while_the_server_answers() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await.unwrap();
    let store = Store::open(&proxy.url()).await.unwrap();
    let ear = Ear::new();
    let _listening = store.listen(ear.clone()).await.unwrap();
    eventually(SOON, async || ear.beats().len() > 5).await;
    let beats = ear.beats();
    assert!(beats.windows(2).all(|pair| pair[0].sent < pair[1].sent), "{beats:?}");
    assert!(
        beats[1..]
            .iter()
            .all(|beat| beat.sent <= beat.received && beat.server.is_some())
    );
    // Half open: everything is sent, nothing comes back, and nobody sees an end.
    proxy.hold_replies();
    let clock = Clock::system();
    let silence = || {
        clock
            .monotonic()
            .saturating_sub(ear.beats().last().expect("there were some").received)
    };
    eventually(SOON, async || silence() > 10 * BEAT).await;
    assert_eq!(ear.count(&Heard::Lost), 0);
    let silent = ear.beats().len();
    proxy.let_pass();
    eventually(SOON, async || ear.beats().len() > silent + 2).await;
}

#[tokio::test]
async fn what_changed_is_told_before_the_heartbeat_that_was_sent_after_it() {
    let server = RedisServer::start().await;
    let (store, mut other) = (
        Store::open(&server.url()).await.unwrap(),
        Store::open(&server.url()).await.unwrap(),
    );
    let ear = Ear::new();
    let _listening = store.listen(ear.clone()).await.unwrap();
    let clock = Clock::system();
    for round in 0..50 {
        let key = format!("k{round}");
        get(&store, &key).await.unwrap();
        let _: () = other.set(&key, round).await.unwrap();
        let acknowledged = clock.monotonic();
        eventually(SOON, async || {
            ear.beats().last().is_some_and(|beat| beat.sent > acknowledged)
        })
        .await;
        assert!(ear.has(&keys([&key])), "round {round}");
    }
}

#[tokio::test]
async fn several_shared_connections_are_all_tracked() {
    let server = RedisServer::start().await;
    let store = Store::open(&format!("{}?connections=3", server.url())).await.unwrap();
    let ear = Ear::new();
    let _listening = store.listen(ear.clone()).await.unwrap();
    for n in 0..9 {
        get(&store, &format!("k{n}")).await.unwrap();
    }
    for n in 0..9 {
        server.cli(&["SET", &format!("k{n}"), "x"]);
    }
    eventually(SOON, async || (0..9).all(|n| ear.has(&keys([&format!("k{n}")])))).await;
    assert_eq!(ear.count(&Heard::Restored), 1);
}

#[tokio::test]
async fn a_user_without_rights_to_ask_still_gets_a_store() {
    let server = RedisServer::start().await;
    server.cli(&[
        "ACL",
        "SETUSER",
        "limited",
        "on",
        ">pw",
        "~*",
        "&*",
        "+@read",
        "+@write",
        "+ping",
        "+hello",
        "+client|id",
    ]);
    let url = format!("redis://limited:pw@127.0.0.1:{}", server.port());
    let store = Store::open(&url).await.unwrap();
    assert_eq!(incr(&store, "n").await.unwrap(), 1);
    assert!(store.health().await.server_version.is_none());
}

#[tokio::test]
async fn a_url_is_one_store_per_process() {
    let server = RedisServer::start().await;
    let url = server.url();
    let (one, two) = tokio::join!(Store::shared(&url), Store::shared(&url));
    let id = async |store: &Store| {
        redis::cmd("CLIENT")
            .arg("ID")
            .query_async::<i64>(&mut store.clone())
            .await
            .unwrap()
    };
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(id(&one).await, id(&two).await);
    let first = id(&one).await;
    drop((one, two));
    let three = Store::shared(&server.url()).await.unwrap();
    assert_ne!(id(&three).await, first, "once nobody holds it, it is gone");
}

#[test]
fn a_store_outlives_the_runtime_that_it_was_opened_on() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
    };
    let first = runtime();
    let server = first.block_on(RedisServer::start());
    let store = first.block_on(Store::open(&server.url())).unwrap();
    drop(first);
    let value = runtime().block_on(async { get(&store, "k").await });
    assert_eq!(value.unwrap(), None);
}

// --- another server behind the same connection ---

#[tokio::test]
async fn a_server_that_was_demoted_and_promoted_again_is_another_one() {
    let (server, other) = (RedisServer::start().await, RedisServer::start().await);
    let store = Store::open(&server.url()).await.unwrap();
    let before = store.generation().expect("it is connected");
    let mut connections = store.connections();
    let port = other.port().to_string();
    assert_eq!(server.cli(&["REPLICAOF", "127.0.0.1", &port]), "OK");
    server.promote();
    eventually(SOON, async || store.generation().is_some_and(|now| now != before)).await;
    let now = store.generation().expect("it is connected");
    assert_eq!(now.run_id, before.run_id, "it never went down");
    tokio::time::timeout(SOON, connections.next())
        .await
        .expect("a new connection was told of");
    assert!(store.topology()[0].is_primary);
}
