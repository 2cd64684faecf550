//! Loads by plain reads: they find what the script would find, and keep what it promises.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use larder_base::Random;
use larder_engine::Engine;
use larder_kit::session::Sessions;
use larder_store::{Fate, Passage, Store, Stuck, Transit};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::lab::{Lab, checks, cookie, standing, stands};

/// What stands in a field of what is stored.
fn stored(lab: &Lab, key: &str, field: &str) -> String {
    lab.t.wire().call(&["HGET", key, field]).expect("answers").text()
}

/// Writes down what is sent.
#[derive(Debug, Default)]
struct Diary(Mutex<Vec<String>>);

impl Diary {
    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock())
    }
}

impl Transit for Diary {
    fn request<'a>(&'a self, command: &'a str) -> Passage<'a, Fate> {
        self.0.lock().push(command.to_owned());
        Box::pin(async { Fate::Arrives })
    }

    fn reply<'a>(&'a self, _command: &'a str) -> Passage<'a, ()> {
        Box::pin(async {})
    }

    fn stuck(&self, _request: Stuck) {}
}

/// What is sent for a load: a script where the session is not known or its use is to be noted, plain reads where not.
#[tokio::test]
async fn a_session_that_was_met_is_loaded_without_a_script() {
    const SCRIPT: [&str; 1] = ["session_use"];
    const READS: [&str; 1] = ["pipeline"];
    let (clock, hand) = larder_base::Clock::manual();
    let engine = Engine::builder().clock(clock).build();
    let diary = Arc::new(Diary::default());
    let store = Store::embedded_through(engine.clone(), Random::system(), diary.clone());
    let renew_every = std::time::Duration::from_secs(60);
    let build = |store: &Store| Sessions::builder("web").store(store).renew_every(renew_every).build();
    let sessions = build(&store).expect("builds");
    let elsewhere = build(&Store::embedded(engine)).expect("builds");
    for made in [elsewhere.create().await, elsewhere.create_for(&1u64).await] {
        let mut made = made.expect("created");
        made.set("cart", "book").await.expect("stands");
        let id = cookie(&made);
        for expected in [&SCRIPT, &READS, &READS] {
            let session = standing(&sessions, &id).await;
            assert_eq!(session.get::<String>("cart").expect("text").as_deref(), Some("book"));
            assert_eq!(
                (session.user::<u64>(), session.created_at(), session.expires_at()),
                (made.user(), made.created_at(), made.expires_at())
            );
            assert_eq!(diary.taken(), *expected);
        }
        hand.advance(renew_every);
        for expected in [&SCRIPT, &READS] {
            assert!(stands(&sessions, &id).await);
            assert_eq!(diary.taken(), *expected);
        }
        made.rotate().await.expect("stands");
        assert!(!stands(&sessions, &id).await);
        assert_eq!(diary.taken(), READS, "there is nothing");
        assert!(!stands(&sessions, &id).await);
        assert_eq!(diary.taken(), SCRIPT, "and nothing is remembered");
    }
    // What this process made or renamed is met.
    let mut own = sessions.create_for(&2u64).await.expect("created");
    own.rotate().await.expect("stands");
    diary.taken();
    assert!(stands(&sessions, own.id().reveal()).await);
    assert_eq!(diary.taken(), READS);
}

checks! {
    async fn an_unnoted_use_counts_all_the_same(lab) {
        const SPAN: u32 = 8;
        let span = lab.t.units(SPAN);
        let sessions = lab.sessions_with(|builder| builder.idle(span).renew_every(span)).await;
        let session = sessions.create_for(&1u64).await.expect("created");
        let (id, key) = (cookie(&session), lab.key_of(&session));
        let seen = stored(lab, &key, "=s");
        lab.t.advance(3).await;
        assert!(stands(&sessions, &id).await);
        assert_eq!(stored(lab, &key, "=s"), seen, "it was not noted");
        lab.t.advance(SPAN - 1).await;
        assert!(stands(&sessions, &id).await, "it was used less than `idle` ago");
        assert_ne!(stored(lab, &key, "=s"), seen, "this one is noted");
        lab.t.advance(2 * SPAN + 1).await;
        assert!(!stands(&sessions, &id).await, "it was used longer ago than both together");
    }

    /// A process whose clock stood still believes that the last use was noted lately.
    async fn the_servers_clock_decides_whether_a_use_is_noted(lab) {
        let sessions = lab.sessions().await;
        let session = sessions.create_for(&1u64).await.expect("created");
        let key = lab.key_of(&session);
        let now: i64 = stored(lab, &key, "=s").parse().expect("a number");
        // Long ago, and a time that has not come: the server's clock was set back.
        for seen in [now - 1_000_000, now + 1_000_000] {
            let seen = seen.to_string();
            lab.t.wire().call(&["HSET", &key, "=s", &seen]).expect("set");
            assert!(stands(&sessions, session.id().reveal()).await);
            assert_ne!(stored(lab, &key, "=s"), seen, "it was noted");
        }
    }

    /// Somebody took the TTL off a session that this process has just met: it ends all the same.
    async fn a_session_that_was_met_ends_in_time(lab) {
        let (absolute, renew_every) = (lab.t.units(20), lab.t.units(10));
        let set = |builder: larder_kit::session::SessionsBuilder| builder.idle(absolute).absolute(absolute).renew_every(renew_every);
        let sessions = lab.sessions_with(set).await;
        let session = sessions.create().await.expect("created");
        let key = lab.key_of(&session);
        lab.t.wire().call(&["PERSIST", &key]).expect("answers");
        lab.t.advance(12).await;
        assert!(stands(&sessions, session.id().reveal()).await);
        lab.t.wire().call(&["PERSIST", &key]).expect("answers");
        lab.t.advance(9).await;
        assert!(!stands(&sessions, session.id().reveal()).await);
    }

    async fn what_is_remembered_of_a_session_decides_nothing(lab) {
        let sessions = lab.sessions().await;
        sessions.create_for(&2u64).await.expect("created");
        let session = sessions.create_for(&1u64).await.expect("created");
        let anonymous = sessions.create().await.expect("created");
        for session in [&session, &anonymous] {
            assert!(stands(&sessions, session.id().reveal()).await);
            lab.t.wire().call(&["HSET", &lab.key_of(session), "=u", "2"]).expect("set");
            assert!(!stands(&sessions, session.id().reveal()).await, "the epoch is not that user's");
        }
    }

    /// Processes that have met a session load it while it is revoked: no load that begins after that finds it, though no list
    /// knew the session.
    async fn a_revocation_is_complete_beside_loads(lab) {
        const TASKS: usize = 3;
        let sessions = lab.sessions().await;
        let mut elsewhere = Vec::new();
        for _ in 0..TASKS {
            elsewhere.push(lab.elsewhere().await);
        }
        for user in 0..6u64 {
            let session = sessions.create_for(&user).await.expect("created");
            let field = format!(".{}", session.reference());
            let list = lab.key(&format!("session:*:u:{user}"));
            lab.t.wire().call(&["HDEL", &list, &field]).expect("lost");
            let is_revoked = Arc::new(AtomicBool::new(false));
            let mut tasks = JoinSet::new();
            for sessions in &elsewhere {
                let (sessions, id, is_revoked) = (sessions.clone(), cookie(&session), is_revoked.clone());
                assert!(stands(&sessions, &id).await);
                tasks.spawn(async move {
                    loop {
                        let began_after = is_revoked.load(Ordering::SeqCst);
                        let stands = stands(&sessions, &id).await;
                        assert!(!began_after || !stands, "it was revoked before this load began");
                        if began_after {
                            return;
                        }
                        tokio::task::yield_now().await;
                    }
                });
            }
            // Sooner or later among the loads: after some round trips.
            for _ in 0..user {
                sessions.list(&user).await.expect("listed");
            }
            sessions.revoke_all(&user).await.expect("revoked");
            is_revoked.store(true, Ordering::SeqCst);
            while let Some(ended) = tasks.join_next().await {
                ended.expect("no load found it");
            }
        }
    }
}
