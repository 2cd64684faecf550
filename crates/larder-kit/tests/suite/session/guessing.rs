//! Ids cannot be guessed, and what the store knows does not give them away.

use std::collections::HashSet;

use larder_testkit::Answer;

use super::lab::{checks, cookie, stands};

/// Every byte of every reply to what shows a key's content.
fn dump(lab: &super::lab::Lab) -> String {
    let mut wire = lab.t.wire();
    let mut all = String::new();
    for key in lab.keys("*") {
        let content = wire.call(&["HGETALL", &key]).expect("all keys are hashes");
        all.push_str(&key);
        for part in content.list() {
            all.push_str(&part.text());
        }
    }
    all
}

checks! {
    async fn the_store_does_not_know_the_ids(lab) {
        let sessions = lab.sessions().await;
        let anonymous = sessions.create().await.expect("created");
        let mut users = sessions.create_for(&"ann".to_owned()).await.expect("created");
        users.rotate().await.expect("stands");
        users.set("cart", &[1, 2, 3]).await.expect("stands");
        let all = dump(lab);
        assert!(all.contains(users.reference().as_str()) && all.contains("[1,2,3]"), "{all}");
        for session in [&anonymous, &users] {
            let id = session.id().reveal();
            assert!(!all.contains(id) && !all.contains(&id[2..20]), "an id is in {all}");
            let shown = format!("{session:?} {:?} {}", session.id(), session.id());
            assert!(!shown.contains(&id[2..20]) && !shown.contains("[1,2,3]"), "{shown}");
            // What the store knows is no id.
            assert!(!stands(&sessions, session.reference().as_str()).await);
        }
    }

    async fn what_is_in_a_session_is_not_shown(lab) {
        let sessions = lab.sessions().await;
        let login = sessions.begin_login(&"ann@example.com".to_owned()).await.expect("begun");
        let mut session = sessions.create_signed_in(&login).await.expect("created");
        let change = session.change().set("card", "4111").incr("visits", 41);
        let shown = format!("{login:?} {change:?}");
        assert!(shown.contains("card") && !shown.contains("ann@"), "{shown}");
        // Neither as text nor as bytes.
        for secret in ["4111", "52, 49, 49, 49", "41", "52, 49", "epoch"] {
            assert!(!shown.contains(secret), "{secret} is in {shown}");
        }
    }

    async fn wrong_ids_find_nothing_and_leave_nothing(lab) {
        let sessions = lab.sessions().await;
        let id = cookie(&sessions.create().await.expect("created"));
        let before = dump(lab);
        for at in [0, 5, 20, 32] {
            let other = if &id[at..=at] == "B" { "C" } else { "B" };
            let near = format!("{}{other}{}", &id[..at], &id[at + 1..]);
            assert!(!stands(&sessions, &near).await);
            assert!(!sessions.delete(&near).await.expect("answers"));
        }
        assert_eq!(dump(lab), before);
        let keys = lab.t.wire().call(&["DBSIZE"]).expect("answers");
        assert_eq!(keys, Answer::Int(1));
    }

    async fn what_is_no_id_costs_no_round_trip(lab) {
        let store = lab.t.another_store().await;
        let sessions = lab.builder(&store).build().expect("builds");
        store.close().await;
        for junk in ["", "x", "' OR 1=1", &"A".repeat(10_000), "*", "AAAA{web:1}"] {
            assert!(!stands(&sessions, junk).await, "answered without the store");
            assert!(!sessions.delete(junk).await.expect("answered without the store"));
        }
    }
}

/// 192 random bits: none is the same twice, every bit is set half the time, and they all look alike.
#[tokio::test]
async fn ids_are_random_and_of_one_shape() {
    const IDS: usize = 2_000;
    let store = larder_store::Store::open("embedded:").await.expect("opens");
    let sessions = larder_kit::session::Sessions::builder("web")
        .store(&store)
        .build()
        .expect("builds");
    let mut seen = HashSet::new();
    let mut letters = vec![HashSet::new(); 34];
    for _ in 0..IDS {
        let id = cookie(&sessions.create().await.expect("created"));
        assert_eq!(id.len(), 34);
        for (at, letter) in id.bytes().enumerate() {
            assert!(letter.is_ascii_alphanumeric() || b"_-".contains(&letter));
            letters[at].insert(letter);
        }
        assert!(seen.insert(id), "an id came twice");
    }
    // The first character is the partition's upper bits, the last one carries four bits; all others are six random bits.
    for (at, letters) in letters.iter().enumerate().skip(2).take(31) {
        assert_eq!(letters.len(), 64, "place {at}");
    }
}
