//! The sessions of a user: listed, bounded, ended one by one or all, whatever is under way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use larder_kit::session::{SessionError, WhenFull};
use redis::AsyncCommands as _;
use tokio::task::JoinSet;

use super::lab::{ABSOLUTE, IDLE, checks, cookie, standing, stands};

/// How many revocations are raced by logins.
fn rounds() -> u64 {
    let asked = std::env::var("LARDER_ROUNDS").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(4)
}

checks! {
    async fn a_users_sessions_are_listed_and_ended_one_by_one(lab) {
        // Every load is noted.
        let sessions = lab.sessions_with(|builder| builder.renew_every(Duration::ZERO)).await;
        let phone = sessions.create_for(&1u64).await.expect("created");
        lab.t.advance(1).await;
        let desk = sessions.create_for(&1u64).await.expect("created");
        let other = sessions.create_for(&2u64).await.expect("created");
        lab.t.advance(1).await;
        standing(&sessions, phone.id().reveal()).await;
        let listed = lab.elsewhere().await.list(&1u64).await.expect("listed");
        let references: Vec<_> = listed.iter().map(|session| session.reference.clone()).collect();
        assert_eq!(references, [phone.reference(), desk.reference()], "the one used last comes first");
        assert!(listed[0].created_at < listed[1].created_at && listed[0].seen_at > listed[1].seen_at);
        assert!(listed[0].expires_at > listed[0].seen_at);
        assert!(sessions.end(&1u64, &phone.reference()).await.expect("ended"));
        assert!(!sessions.end(&1u64, &phone.reference()).await.expect("answers"), "it has ended");
        assert!(!sessions.end(&1u64, &other.reference()).await.expect("answers"), "another user's");
        assert!(!stands(&sessions, phone.id().reveal()).await);
        assert!(stands(&sessions, desk.id().reveal()).await && stands(&sessions, other.id().reveal()).await);
        desk.delete().await.expect("deleted");
        assert!(sessions.list(&1u64).await.expect("listed").is_empty());
    }

    async fn a_user_has_no_more_sessions_than_may_be(lab) {
        let sessions = lab.sessions_with(|builder| builder.max_per_user(3)).await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(cookie(&sessions.create_for(&1u64).await.expect("created")));
            lab.t.advance(1).await;
        }
        for (at, id) in ids.iter().enumerate() {
            assert_eq!(stands(&sessions, id).await, at >= 2, "the oldest ended: {at}");
        }
        let refusing = lab.sessions_with(|builder| builder.max_per_user(3).when_full(WhenFull::Refuse)).await;
        let error = refusing.create_for(&1u64).await.expect_err("full");
        assert!(matches!(error, SessionError::TooMany { limit: 3 }), "{error}");
        assert!(sessions.delete(&ids[4]).await.expect("deleted"));
        refusing.create_for(&1u64).await.expect("there is room again");
        assert_eq!(sessions.list(&1u64).await.expect("listed").len(), 3);
    }

    async fn sessions_that_ended_take_up_no_room(lab) {
        let (idle, absolute) = (lab.t.units(IDLE), lab.t.units(ABSOLUTE));
        let build = |builder: larder_kit::session::SessionsBuilder| {
            builder.idle(idle).absolute(absolute).max_per_user(2).when_full(WhenFull::Refuse)
        };
        let sessions = lab.sessions_with(build).await;
        for _ in 0..2 {
            sessions.create_for(&1u64).await.expect("created");
        }
        sessions.create_for(&1u64).await.expect_err("full");
        sessions.create_for(&2u64).await.expect("another user");
        lab.t.advance(IDLE + 2).await;
        assert!(sessions.list(&2u64).await.expect("listed").is_empty());
        sessions.create_for(&1u64).await.expect("two have ended");
        assert_eq!(sessions.list(&1u64).await.expect("listed").len(), 1);
    }

    /// By hand: a set of a user's sessions. The revocation reads it, deletes what it finds, and deletes the set; a login in
    /// between is missed, and stands.
    async fn a_revocation_reaches_the_login_that_was_under_way(lab) {
        let mut store = lab.t.store().await;
        let _: () = store.set_ex("naive:s:1", "user", 60).await.expect("set");
        let _: () = store.sadd("naive:of:1", "naive:s:1").await.expect("added");
        let found: Vec<String> = store.smembers("naive:of:1").await.expect("read");
        // The login of whoever has the old password.
        let _: () = store.set_ex("naive:s:2", "user", 60).await.expect("set");
        let _: () = store.sadd("naive:of:1", "naive:s:2").await.expect("added");
        let _: () = store.del(found).await.expect("deleted");
        let _: () = store.del("naive:of:1").await.expect("deleted");
        let leaked: bool = store.exists("naive:s:2").await.expect("answers");
        assert!(leaked, "a session was missed, and nobody has it on a list");
        let _: () = store.del("naive:s:2").await.expect("removed");

        let sessions = lab.sessions().await;
        let stolen = sessions.create_for(&1u64).await.expect("created");
        let begun = lab.elsewhere().await.begin_login(&1u64).await.expect("begun");
        let other = sessions.create_for(&2u64).await.expect("created");
        assert_eq!(sessions.revoke_all(&1u64).await.expect("revoked"), 1);
        assert!(!stands(&sessions, stolen.id().reveal()).await);
        let error = sessions.create_signed_in(&begun).await.expect_err("begun before");
        assert!(matches!(error, SessionError::LoginEnded), "{error}");
        let mut anonymous = sessions.create().await.expect("created");
        let error = anonymous.sign_in(&begun).await.expect_err("begun before");
        assert!(matches!(error, SessionError::LoginEnded), "{error}");
        assert!(stands(&sessions, anonymous.id().reveal()).await, "it is as it was");
        assert!(stands(&sessions, other.id().reveal()).await, "another user's");
        let fresh = sessions.begin_login(&1u64).await.expect("begun");
        sessions.create_signed_in(&begun).await.expect_err("still ended");
        sessions.create_signed_in(&fresh).await.expect("begun after");
    }

    /// Logins run beside a revocation: of those begun before it, none is left.
    async fn a_revocation_is_complete_beside_logins(lab) {
        const TASKS: usize = 4;
        let sessions = lab.sessions().await;
        let mut elsewhere = Vec::new();
        for _ in 0..TASKS {
            elsewhere.push(lab.elsewhere().await);
        }
        let (mut ended, mut refused, mut standing_after) = (0, 0, 0);
        for round in 0..rounds() {
            let is_revoking = Arc::new(AtomicBool::new(false));
            let mut tasks = JoinSet::new();
            for sessions in &elsewhere {
                let (sessions, is_revoking) = (sessions.clone(), is_revoking.clone());
                tasks.spawn(async move {
                    let (mut made, mut refused) = (Vec::new(), 0);
                    for _ in 0..10 {
                        let login = sessions.begin_login(&round).await.expect("begun");
                        let began_before = !is_revoking.load(Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        match sessions.create_signed_in(&login).await {
                            Ok(session) => made.push((began_before, cookie(&session))),
                            Err(SessionError::LoginEnded) => refused += 1,
                            Err(error) => panic!("{error}"),
                        }
                    }
                    (made, refused)
                });
            }
            // Sooner or later among the logins: after some round trips.
            for _ in 0..round % 12 {
                sessions.list(&round).await.expect("listed");
            }
            is_revoking.store(true, Ordering::SeqCst);
            ended += sessions.revoke_all(&round).await.expect("revoked");
            while let Some(made) = tasks.join_next().await {
                let (made, refused_here) = made.expect("no task failed");
                refused += refused_here;
                for (began_before, id) in made {
                    let stands = stands(&sessions, &id).await;
                    assert!(!began_before || !stands, "a login from before it stands");
                    standing_after += u64::from(stands);
                }
            }
        }
        println!("{}: {ended} sessions ended, {refused} logins under way refused, {standing_after} begun after stand", lab.t.kind());
    }

    /// What a store may lose: the user's key (evicted), or one entry of it. A session that is on no list is revoked as well.
    async fn a_session_that_no_list_knows_is_revoked_as_well(lab) {
        let sessions = lab.sessions().await;
        let mut unlisted = sessions.create_for(&1u64).await.expect("created");
        let spare = sessions.create_for(&1u64).await.expect("created");
        let key = lab.key("session:*:u:1");
        for session in [&unlisted, &spare] {
            let field = format!(".{}", session.reference());
            lab.t.wire().call(&["HDEL", &key, &field]).expect("lost");
        }
        assert!(stands(&sessions, unlisted.id().reveal()).await);
        sessions.revoke_all(&1u64).await.expect("revoked");
        assert!(unlisted.rotate().await.expect_err("revoked").is_gone());
        assert!(!stands(&sessions, spare.id().reveal()).await);

        let session = sessions.create_for(&1u64).await.expect("created");
        lab.t.wire().call(&["DEL", &lab.key("session:*:u:1")]).expect("evicted");
        assert!(!stands(&sessions, session.id().reveal()).await, "nothing says that it stands");
        sessions.create_for(&1u64).await.expect("as new");
        assert!(!stands(&sessions, session.id().reveal()).await);
    }

    async fn a_session_can_be_kept_while_all_others_end(lab) {
        let sessions = lab.sessions().await;
        let others = [sessions.create_for(&1u64).await.expect("created"), sessions.create_for(&1u64).await.expect("created")];
        let mut own = sessions.create_for(&1u64).await.expect("created");
        let begun = sessions.begin_login(&1u64).await.expect("begun");
        assert_eq!(own.revoke_others().await.expect("revoked"), 2);
        for other in &others {
            assert!(!stands(&sessions, other.id().reveal()).await);
        }
        sessions.create_signed_in(&begun).await.expect_err("begun before");
        own.set("a", &1).await.expect("stands");
        own.rotate().await.expect("stands");
        assert!(stands(&sessions, own.id().reveal()).await);
        assert_eq!(sessions.list(&1u64).await.expect("listed").len(), 1);
        // It is revoked itself as any other.
        sessions.revoke_all(&1u64).await.expect("revoked");
        assert_eq!(own.revoke_others().await.expect("nothing to end"), 0);
        assert!(!stands(&sessions, own.id().reveal()).await);
    }

    async fn a_kept_sessions_user_is_not_kept_for_ever(lab) {
        let sessions = lab.mortal().await;
        let mut own = sessions.create_for(&1u64).await.expect("created");
        own.revoke_others().await.expect("revoked");
        lab.t.advance(ABSOLUTE + 1).await;
        assert!(lab.keys("session:*").is_empty(), "{:?}", lab.keys("session:*"));
    }

    async fn a_login_takes_no_longer_than_it_may_and_ends_nothing(lab) {
        let login_max = lab.t.units(IDLE);
        let sessions = lab.sessions_with(|builder| builder.login_max(login_max)).await;
        let late = sessions.begin_login(&1u64).await.expect("begun");
        lab.t.advance(IDLE + 2).await;
        let error = sessions.create_signed_in(&late).await.expect_err("too long ago");
        assert!(matches!(error, SessionError::LoginEnded), "{error}");

        let session = sessions.create_for(&1u64).await.expect("created");
        let login = sessions.begin_login(&1u64).await.expect("begun");
        assert!(stands(&sessions, session.id().reveal()).await, "another login ends nothing");
        lab.t.advance(IDLE + 2).await;
        assert!(stands(&sessions, session.id().reveal()).await, "nor does its end");
        drop(login);
    }

    /// A short session beside a long login leaves that its time.
    async fn a_session_does_not_shorten_a_login(lab) {
        let (idle, absolute) = (lab.t.units(3), lab.t.units(6));
        let sessions = lab.sessions_with(|builder| builder.idle(idle).absolute(absolute)).await;
        let login = sessions.begin_login(&1u64).await.expect("begun");
        sessions.create_for(&1u64).await.expect("created");
        lab.t.advance(8).await;
        sessions.create_signed_in(&login).await.expect("15 minutes are not over");
    }

    async fn users_are_found_again_by_what_they_are(lab) {
        let sessions = lab.sessions().await;
        let mail = "ann@example.org".to_owned();
        let session = sessions.create_for(&mail).await.expect("created");
        let loaded = standing(&sessions, session.id().reveal()).await;
        assert_eq!((loaded.user::<String>(), loaded.user::<u64>()), (Some(mail.clone()), None));
        let nobody = sessions.create_for(&String::new()).await.expect("an empty name is a name");
        let loaded = standing(&sessions, nobody.id().reveal()).await;
        assert_eq!(loaded.user::<String>(), Some(String::new()));
        assert!(!loaded.is_anonymous());
        let anonymous = sessions.create().await.expect("created");
        let loaded = standing(&sessions, anonymous.id().reveal()).await;
        assert_eq!((loaded.is_anonymous(), loaded.user::<String>()), (true, None));
        assert_eq!(sessions.list(&mail).await.expect("listed").len(), 1);
    }
}
