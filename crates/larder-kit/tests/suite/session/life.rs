//! When a session ends, and that it stays ended.

use larder_kit::session::{SessionError, Sessions};
use redis::AsyncCommands as _;

use super::lab::{ABSOLUTE, IDLE, checks, cookie, standing, stands};
use crate::full::is_full;

checks! {
    async fn an_idle_session_ends_and_every_use_renews_it(lab) {
        let sessions = lab.mortal().await;
        let mut session = sessions.create_for(&7u64).await.expect("created");
        let id = cookie(&session);
        lab.t.advance(IDLE - 3).await;
        session.set("a", &1).await.expect("stands");
        lab.t.advance(IDLE - 3).await;
        assert!(stands(&sessions, &id).await, "a change renewed it");
        lab.t.advance(IDLE - 3).await;
        assert!(stands(&sessions, &id).await, "a load renewed it");
        lab.t.advance(IDLE + 2).await;
        assert!(!stands(&sessions, &id).await);
        assert!(session.touch().await.expect_err("it ended").is_gone());
    }

    async fn no_use_keeps_a_session_beyond_its_absolute_end(lab) {
        let sessions = lab.mortal().await;
        let mut session = sessions.create_for(&7u64).await.expect("created");
        let key = lab.key_of(&session);
        let mut passed = 0;
        while passed + 4 < ABSOLUTE {
            lab.t.advance(4).await;
            passed += 4;
            session.rotate().await.expect("stands");
        }
        let renamed = lab.key_of(&session);
        assert_ne!(key, renamed);
        let ttl = lab.t.wire().call(&["PTTL", &renamed]).expect("answers").int();
        assert!(ttl <= lab.t.units(ABSOLUTE - passed).as_millis() as i64, "{ttl} ms");
        session.touch().await.expect("stands");
        let ttl = lab.t.wire().call(&["PTTL", &renamed]).expect("answers").int();
        assert!(ttl <= lab.t.units(ABSOLUTE - passed).as_millis() as i64, "{ttl} ms");
        lab.t.advance(6).await;
        assert!(session.set("a", &1).await.expect_err("it ended").is_gone());
        assert!(lab.keys("session:*").is_empty(), "{:?}", lab.keys("session:*"));
    }

    /// Somebody took the TTL off a session: it ends all the same.
    async fn a_session_whose_ttl_was_removed_ends_in_time(lab) {
        let sessions = lab.mortal().await;
        let session = sessions.create().await.expect("created");
        let other = sessions.create().await.expect("created");
        for session in [&session, &other] {
            lab.t.wire().call(&["PERSIST", &lab.key_of(session)]).expect("answers");
        }
        lab.t.advance(ABSOLUTE + 1).await;
        assert!(!stands(&sessions, &cookie(&session)).await);
        let mut other = other;
        assert!(other.rotate().await.expect_err("it ended").is_gone());
    }

    /// By hand: HSET, then EXPIRE where the code that creates does it. An update that comes after the expiry makes a session
    /// again, of one field, and for ever. Ours is refused.
    async fn a_change_after_the_end_makes_no_immortal_session(lab) {
        let mut store = lab.t.store().await;
        let _: () = store.hset("naive", "user", 7).await.expect("set");
        let _: bool = store.pexpire("naive", 1).await.expect("expires");
        lab.t.advance(1).await;
        let _: () = store.hset("naive", "seen", 1).await.expect("set");
        let ttl: i64 = store.pttl("naive").await.expect("answers");
        assert_eq!(ttl, -1, "the naive session is back, without a TTL");
        let _: () = store.del("naive").await.expect("removed");

        let sessions = lab.mortal().await;
        let mut session = sessions.create().await.expect("created");
        lab.t.advance(IDLE + 2).await;
        assert!(session.set("seen", &1).await.expect_err("it ended").is_gone());
        assert!(session.incr("visits", 1).await.expect_err("it ended").is_gone());
        assert!(session.remove("seen").await.expect_err("it ended").is_gone());
        assert!(lab.keys("session:*:s:*").is_empty());
    }

    /// A store without room refuses what needs it, and goes on with what does not: nobody is logged out by it, and everybody can be.
    async fn a_full_store_still_loads_and_ends_sessions(lab) {
        let sessions = lab.sessions().await;
        let mut session = sessions.create_for(&1u64).await.expect("created");
        let other = sessions.create_for(&2u64).await.expect("created");
        session.set("a", &1).await.expect("stands");
        is_full(&lab.t, true);
        let error = session.change().remove("b").set("a", &2).save().await.expect_err("no room");
        assert!(matches!(&error, SessionError::Store(error) if error.is_out_of_memory()), "{error}");
        sessions.create().await.expect_err("no room");
        let mut loaded = standing(&sessions, session.id().reveal()).await;
        assert_eq!(loaded.get::<i64>("a").expect("number"), Some(1));
        loaded.touch().await.expect("no room is needed");
        loaded.rotate().await.expect("no room is needed");
        other.delete().await.expect("deleted");
        assert_eq!(sessions.revoke_all(&1u64).await.expect("revoked"), 1);
        assert!(!stands(&sessions, loaded.id().reveal()).await);
        is_full(&lab.t, false);
    }

    async fn every_common_call_is_one_round_trip(lab) {
        let store = lab.t.another_store().await;
        // The figures of an address: all embedded engines of this process share one.
        if lab.t.port().is_none() {
            return;
        }
        let sessions = lab.builder(&store).build().expect("builds");
        let mut made = sessions.create_for(&1u64).await.expect("created");
        made.set("a", &1).await.expect("stands");
        let before = store.stats().commands;
        let mut session = standing(&sessions, made.id().reveal()).await;
        session.change().set("a", &2).incr("n", 1).remove("b").save().await.expect("stands");
        session.update("a", |a: Option<u64>| a.unwrap_or(0) + 1).await.expect("stands");
        session.touch().await.expect("stands");
        sessions.create_for(&1u64).await.expect("created");
        assert_eq!(store.stats().commands - before, 5);
    }

    async fn a_change_after_a_deletion_brings_nothing_back(lab) {
        let sessions = lab.sessions().await;
        let session = sessions.create_for(&7u64).await.expect("created");
        let id = cookie(&session);
        let mut other = standing(&sessions, &id).await;
        session.delete().await.expect("deleted");
        assert!(other.set("a", &1).await.expect_err("it ended").is_gone());
        assert!(other.rotate().await.expect_err("it ended").is_gone());
        assert!(!sessions.delete(&id).await.expect("answers"), "there is none any more");
        assert!(lab.keys("session:*:s:*").is_empty());
    }
}

#[tokio::test]
async fn settings_that_cannot_be_meant_are_refused_by_name() {
    use std::time::Duration;
    let store = larder_store::Store::open("embedded:").await.expect("opens");
    let refused = |builder: larder_kit::session::SessionsBuilder, name: &str| {
        let error = builder.build().expect_err(name);
        assert!(matches!(error, SessionError::Settings(_)), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    };
    let new = || Sessions::builder("web").store(&store);
    refused(Sessions::builder("web"), "store");
    refused(new().idle(Duration::ZERO), "idle");
    refused(
        new().idle(Duration::from_secs(100)).absolute(Duration::from_secs(99)),
        "absolute",
    );
    refused(new().absolute(Duration::MAX), "absolute");
    refused(new().renew_every(Duration::from_secs(3_600)), "renew_every");
    refused(new().login_max(Duration::ZERO), "login_max");
    refused(new().data_max(0), "data_max");
    refused(new().max_per_user(0), "max_per_user");
    let error = Sessions::builder("We b")
        .store(&store)
        .build()
        .expect_err("no namespace");
    assert!(matches!(error, SessionError::Namespace(_)), "{error}");
}
