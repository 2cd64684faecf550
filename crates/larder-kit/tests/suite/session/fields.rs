//! Fields: changes of different ones never undo each other, a change is whole or refused, and what is stored is bounded.

use std::collections::BTreeMap;

use larder_kit::session::SessionError;
use redis::AsyncCommands as _;
use tokio::task::JoinSet;

use super::lab::{checks, cookie, standing, stands};

const TASKS: u64 = 6;
const STEPS: u64 = 10;

checks! {
    /// By hand, the session is one JSON value: read, changed, written. Of two requests at once, one is lost.
    async fn concurrent_changes_of_fields_are_all_kept(lab) {
        let mut store = lab.t.store().await;
        let _: () = store.set_ex("naive", "{}", 60).await.expect("set");
        let read = async |store: &mut larder_store::Store| -> BTreeMap<String, u64> {
            let json: String = store.get("naive").await.expect("read");
            serde_json::from_str(&json).expect("JSON")
        };
        let (mut one, mut other) = (read(&mut store).await, read(&mut store).await);
        one.insert("cart".into(), 1);
        other.insert("visits".into(), 1);
        for session in [&one, &other] {
            let json = serde_json::to_string(session).expect("JSON");
            let _: () = store.set_ex("naive", json, 60).await.expect("written");
        }
        assert!(!read(&mut store).await.contains_key("cart"), "the cart is lost");

        let sessions = lab.sessions().await;
        let id = cookie(&sessions.create().await.expect("created"));
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let mut session = standing(&lab.elsewhere().await, &id).await;
            tasks.spawn(async move {
                for step in 1..=STEPS {
                    session.set(&format!("own-{task}"), &step).await.expect("stands");
                    session.incr("shared", 1).await.expect("stands");
                    let push = |list: Option<Vec<u64>>| {
                        let mut list = list.unwrap_or_default();
                        list.push(task);
                        list
                    };
                    session.update("list", push).await.expect("stands");
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.expect("no task failed");
        }
        let session = standing(&sessions, &id).await;
        for task in 0..TASKS {
            assert_eq!(session.get::<u64>(&format!("own-{task}")).expect("number"), Some(STEPS));
        }
        assert_eq!(session.get::<u64>("shared").expect("number"), Some(TASKS * STEPS));
        let list: Vec<u64> = session.get("list").expect("a list").expect("there");
        assert_eq!(list.len() as u64, TASKS * STEPS);
    }

    async fn compare_and_set_stores_only_over_what_was_loaded(lab) {
        let sessions = lab.sessions().await;
        let mut one = sessions.create().await.expect("created");
        let mut other = standing(&sessions, one.id().reveal()).await;
        assert!(one.compare_and_set("step", &1).await.expect("stands"), "there was none");
        assert!(!other.compare_and_set("step", &9).await.expect("stands"), "there is one now");
        assert_eq!(other.get::<i64>("step").expect("number"), Some(1), "and this is it");
        assert!(other.compare_and_set("step", &2).await.expect("stands"));
        assert!(!one.compare_and_set("step", &9).await.expect("stands"), "it is another now");
        other.remove("step").await.expect("stands");
        assert!(!one.compare_and_set("step", &9).await.expect("stands"), "it is gone now");
        assert_eq!(one.get::<i64>("step").expect("nothing"), None);
        assert_eq!(standing(&sessions, one.id().reveal()).await.fields().count(), 0);
    }

    async fn a_change_is_made_as_a_whole_or_not_at_all(lab) {
        let sessions = lab.sessions().await;
        let mut session = sessions.create().await.expect("created");
        session.change().set("city", "Uruk").incr("visits", 2).incr("visits", 3).remove("none").save().await.expect("saved");
        assert_eq!(session.get::<i64>("visits").expect("number"), Some(5));
        let error = session.change().set("other", &1).incr("city", 1).save().await.expect_err("no number");
        assert!(matches!(&error, SessionError::NotACounter { field } if field == "city"), "{error}");
        let mut stale = standing(&sessions, session.id().reveal()).await;
        session.set("city", "Ur").await.expect("stands");
        let error = stale.change().set("other", &1).if_unchanged("city").save().await.expect_err("changed");
        assert!(error.is_conflict(), "{error}");
        let loaded = standing(&sessions, session.id().reveal()).await;
        let fields: Vec<&str> = loaded.fields().collect();
        assert_eq!(fields, ["city", "visits"]);
    }

    /// More than one call of a script's language takes.
    async fn a_change_of_very_many_fields_is_made_as_a_whole(lab) {
        const FIELDS: usize = 5_000;
        let sessions = lab.sessions_with(|builder| builder.data_max(1024 * 1024)).await;
        let mut session = sessions.create().await.expect("created");
        let change = (0..FIELDS).fold(session.change(), |change, n| change.set(&format!("field-{n}"), &n));
        change.save().await.expect("saved");
        let loaded = standing(&sessions, session.id().reveal()).await;
        assert_eq!(loaded.fields().count(), FIELDS);
        for n in 0..FIELDS {
            assert_eq!(loaded.get::<usize>(&format!("field-{n}")).expect("number"), Some(n));
        }
        let change = (0..FIELDS).fold(session.change(), |change, n| change.remove(&format!("field-{n}")));
        change.save().await.expect("saved");
        assert_eq!(standing(&sessions, session.id().reveal()).await.fields().count(), 0);
    }

    async fn a_counter_stays_exact_and_within_its_bounds(lab) {
        let sessions = lab.sessions().await;
        let mut session = sessions.create().await.expect("created");
        const MOST: i64 = (1 << 53) - 1;
        assert_eq!(session.incr("n", MOST).await.expect("the most"), MOST);
        let error = session.incr("n", 1).await.expect_err("beyond");
        assert!(error.is_unreadable(), "{error}");
        assert_eq!(session.incr("n", -1).await.expect("back"), MOST - 1);
        assert_eq!(session.incr("m", -MOST).await.expect("the least"), -MOST);
        session.set("x", &1.5).await.expect("stands");
        session.incr("x", 1).await.expect_err("no whole number");
        assert_eq!(standing(&sessions, session.id().reveal()).await.get::<f64>("x").expect("number"), Some(1.5));
    }

    async fn more_data_than_may_be_is_refused_and_changes_nothing(lab) {
        let sessions = lab.sessions_with(|builder| builder.data_max(100)).await;
        let mut session = sessions.create().await.expect("created");
        // Name and JSON: 1 + 52.
        session.set("a", &"x".repeat(50)).await.expect("fits");
        let error = session.change().set("c", &1).set("b", &"x".repeat(50)).save().await.expect_err("too large");
        assert!(matches!(error, SessionError::TooLarge { bytes: 108, limit: 100 }), "{error}");
        assert_eq!(session.fields().collect::<Vec<_>>(), ["a"]);
        session.set("b", &"x".repeat(44)).await.expect("exactly 100");
        session.set("c", &1).await.expect_err("one too many");
        session.set("a", "").await.expect("smaller");
        session.set("c", &1).await.expect("there is room again");
        session.remove("b").await.expect("smaller");
        session.set("a", &"x".repeat(90)).await.expect("there is room again");
        let loaded = standing(&sessions, session.id().reveal()).await;
        assert_eq!(loaded.fields().collect::<Vec<_>>(), ["a", "c"]);

        // Where the limit was lowered: it may shrink, and not be carried into a login.
        let strict = lab.sessions_with(|builder| builder.data_max(50)).await;
        let mut session = standing(&strict, session.id().reveal()).await;
        session.set("d", &1).await.expect_err("it grows");
        session.remove("c").await.expect("it shrinks");
        let login = strict.begin_login(&1u64).await.expect("begun");
        assert!(session.sign_in(&login).await.expect_err("too large").is_limit());
        assert!(stands(&strict, session.id().reveal()).await, "it is as it was");
    }

    async fn a_login_carries_the_size_of_the_data(lab) {
        let sessions = lab.sessions_with(|builder| builder.data_max(100)).await;
        let mut session = sessions.create().await.expect("created");
        session.set("a", &"x".repeat(90)).await.expect("fits");
        let login = sessions.begin_login(&1u64).await.expect("begun");
        session.sign_in(&login).await.expect("signed in");
        assert!(session.set("b", &"x".repeat(20)).await.expect_err("too large").is_limit());
    }

    async fn what_cannot_be_read_says_so_and_harms_nothing_else(lab) {
        let sessions = lab.sessions().await;
        let mut session = sessions.create().await.expect("created");
        session.change().set("good", &1).set("bad", "text").save().await.expect("saved");
        assert!(session.get::<u64>("bad").expect_err("text").is_unreadable());
        let key = lab.key_of(&session);
        lab.t.wire().call(&["HSET", &key, ".bad", "{\"never"]).expect("damaged");
        session.reload().await.expect("loads");
        assert!(session.get::<String>("bad").expect_err("no JSON").is_unreadable());
        assert_eq!(session.get::<u64>("good").expect("number"), Some(1));
        session.update("bad", |_: Option<u64>| 1).await.expect_err("it would be overwritten unseen");
        session.set("bad", &1).await.expect("replaced");
    }

    async fn what_is_no_session_is_not_taken_for_one(lab) {
        let sessions = lab.sessions().await;
        for damage in [&["SET", "text"][..], &["HSET", "x", "1"], &["RPUSH", "1"], &["HSET", "=a", "never"]] {
            let mut session = sessions.create().await.expect("created");
            let key = lab.key_of(&session);
            let mut wire = lab.t.wire();
            wire.call(&["DEL", &key]).expect("removed");
            let damaged: Vec<&str> = [damage[0], &key].into_iter().chain(damage[1..].iter().copied()).collect();
            wire.call(&damaged).expect("written");
            wire.call(&["EXPIRE", &key, "60"]).expect("expires");
            let error = sessions.load(session.id().reveal()).await.expect_err("no session");
            assert!(matches!(error, SessionError::Damaged), "{damage:?}: {error}");
            let error = session.set("a", &1).await.expect_err("no session");
            assert!(matches!(error, SessionError::Damaged), "{damage:?}: {error}");
            session.rotate().await.expect_err("no session");
            assert!(sessions.delete(session.id().reveal()).await.expect("removed"));
            assert!(!stands(&sessions, session.id().reveal()).await);
        }
        // The user's own key: a login says so, and a revocation puts it right.
        let mut wire = lab.t.wire();
        let session = sessions.create_for(&1u64).await.expect("created");
        let key = lab.key("session:*:u:1");
        wire.call(&["SET", &key, "text", "EX", "60"]).expect("written");
        let error = sessions.begin_login(&1u64).await.expect_err("no list");
        assert!(matches!(error, SessionError::Damaged), "{error}");
        sessions.load(session.id().reveal()).await.expect_err("nothing says that it stands");
        sessions.revoke_all(&1u64).await.expect("removed");
        assert!(!stands(&sessions, session.id().reveal()).await);
        sessions.create_for(&1u64).await.expect("as new");
    }
}
