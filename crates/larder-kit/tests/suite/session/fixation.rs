//! Fixation: whoever plants an id in a browser has nothing when its user signs in. And nothing is lost on the way.

use larder_kit::session::SessionError;
use redis::AsyncCommands as _;

use super::lab::{checks, cookie, standing, stands};

checks! {
    async fn a_planted_id_is_worth_nothing_after_the_login(lab) {
        // By hand: the login writes the user into the session that is there.
        let mut store = lab.t.store().await;
        let _: () = store.hset("naive:planted", "cart", "book").await.expect("set");
        let _: () = store.hset("naive:planted", "user", 42).await.expect("set");
        let seen_by_the_attacker: Option<u64> = store.hget("naive:planted", "user").await.expect("answers");
        assert_eq!(seen_by_the_attacker, Some(42), "the attacker is logged in");
        let _: () = store.del("naive:planted").await.expect("removed");

        let sessions = lab.sessions().await;
        // Users enough that some move to another partition, and few enough to be quick.
        for user in 0..8u64 {
            let planted = cookie(&sessions.create().await.expect("created"));
            let mut session = standing(&sessions, &planted).await;
            session.set("cart", "book").await.expect("stands");
            let login = sessions.begin_login(&user).await.expect("begun");
            session.sign_in(&login).await.expect("signed in");
            assert_ne!(session.id().reveal(), planted);
            assert!(!stands(&sessions, &planted).await, "the planted id is dead");
            let loaded = standing(&sessions, session.id().reveal()).await;
            assert_eq!(loaded.user::<u64>(), Some(user));
            assert_eq!(loaded.get::<String>("cart").expect("text").as_deref(), Some("book"));
        }
    }

    async fn a_rotated_id_is_dead_at_once(lab) {
        let sessions = lab.sessions().await;
        let mut session = sessions.create_for(&42u64).await.expect("created");
        session.set("cart", "book").await.expect("stands");
        let (old, created) = (cookie(&session), session.created_at());
        session.rotate().await.expect("stands");
        assert!(!stands(&sessions, &old).await, "the old id is dead");
        let loaded = standing(&sessions, session.id().reveal()).await;
        assert_eq!(loaded.get::<String>("cart").expect("text").as_deref(), Some("book"));
        assert_eq!((loaded.user::<u64>(), loaded.created_at()), (Some(42), created));
        let listed = sessions.list(&42u64).await.expect("listed");
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].reference, session.reference());
    }

    /// A request changed the session between its load and the login of another.
    async fn a_login_loses_no_change_of_another_request(lab) {
        let sessions = lab.sessions().await;
        let mut session = sessions.create().await.expect("created");
        let mut other = standing(&lab.elsewhere().await, session.id().reveal()).await;
        other.set("cart", "book").await.expect("stands");
        // An own change after it: what was loaded is still not the whole.
        session.set("city", "Uruk").await.expect("stands");
        let login = sessions.begin_login(&1u64).await.expect("begun");
        session.sign_in(&login).await.expect("signed in");
        for session in [&session, &standing(&sessions, session.id().reveal()).await] {
            assert_eq!(session.get::<String>("cart").expect("text").as_deref(), Some("book"));
            assert_eq!(session.get::<String>("city").expect("text").as_deref(), Some("Uruk"));
        }
        assert!(other.set("cart", "pen").await.expect_err("moved").is_gone());
        assert_eq!(sessions.list(&1u64).await.expect("listed").len(), 1, "no copy is left");
    }

    /// Changes run while users sign in: each that was answered is in the session.
    async fn changes_beside_a_login_are_kept_or_refused(lab) {
        let sessions = lab.sessions().await;
        for round in 0..10u64 {
            let mut session = sessions.create().await.expect("created");
            let mut other = standing(&lab.elsewhere().await, session.id().reveal()).await;
            let counting = tokio::spawn(async move {
                let mut counted = 0;
                while counted < 20 {
                    match other.incr("visits", 1).await {
                        Ok(_) => counted += 1,
                        Err(error) => {
                            assert!(error.is_gone(), "{error}");
                            break;
                        }
                    }
                    tokio::task::yield_now().await;
                }
                counted
            });
            let login = sessions.begin_login(&round).await.expect("begun");
            let signed = session.sign_in(&login).await;
            let counted: i64 = counting.await.expect("ran");
            match signed {
                Ok(()) => {
                    let loaded = standing(&sessions, session.id().reveal()).await;
                    assert_eq!(loaded.get::<i64>("visits").expect("number").unwrap_or(0), counted);
                }
                Err(error) => assert!(error.is_conflict(), "{error}"),
            }
        }
    }

    async fn a_session_of_one_user_does_not_become_anothers(lab) {
        let sessions = lab.sessions().await;
        let mut session = sessions.create_for(&1u64).await.expect("created");
        let login = sessions.begin_login(&2u64).await.expect("begun");
        let error = session.sign_in(&login).await.expect_err("another user");
        assert!(matches!(error, SessionError::OtherUser), "{error}");
        let again = sessions.begin_login(&1u64).await.expect("begun");
        let old = cookie(&session);
        session.sign_in(&again).await.expect("the same user");
        assert!(!stands(&sessions, &old).await);
    }

    async fn a_login_of_a_session_that_ended_is_refused_and_leaves_nothing(lab) {
        let sessions = lab.sessions().await;
        let mut session = sessions.create().await.expect("created");
        assert!(sessions.delete(session.id().reveal()).await.expect("answers"));
        let login = sessions.begin_login(&1u64).await.expect("begun");
        assert!(session.sign_in(&login).await.expect_err("it ended").is_gone());
        assert!(lab.keys("session:*:s:*").is_empty());
        assert!(sessions.list(&1u64).await.expect("listed").is_empty());
    }
}
