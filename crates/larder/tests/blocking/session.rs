//! Sessions, changed by threads.

use std::{sync::Barrier, thread, time::Duration};

use larder::blocking::{Store, session::Sessions};

use crate::for_each_place;

fn sessions(store: &Store) -> Sessions {
    let builder = Sessions::builder("web").store(store).idle(Duration::from_secs(600));
    builder.max_per_user(3).build().unwrap()
}

#[test]
fn a_session_is_made_signed_in_rotated_and_ended() {
    for_each_place(|place| {
        let sessions = sessions(&place.store);
        let mut session = sessions.create().unwrap();
        assert!(session.is_anonymous());
        session.set("cart", &["a book"]).unwrap();
        let cookie = session.id().reveal().to_owned();
        let login = sessions.begin_login(&42u64).unwrap();
        session.sign_in(&login).unwrap();
        assert!(sessions.load(&cookie).unwrap().is_none(), "the planted id is dead");
        assert_eq!(session.user::<u64>(), Some(42));

        let old = session.id().reveal().to_owned();
        session.rotate().unwrap();
        assert!(sessions.load(&old).unwrap().is_none());
        let mut loaded = sessions.load(session.id().reveal()).unwrap().unwrap();
        assert_eq!(loaded.get::<Vec<String>>("cart").unwrap().unwrap(), ["a book"]);
        assert_eq!(loaded.incr("visits", 2).unwrap(), 2);
        assert!(!session.compare_and_set("visits", &9).unwrap(), "another changed it");
        loaded.change().remove("cart").set("city", "Uruk").save().unwrap();
        session.reload().unwrap();
        assert_eq!(session.fields().collect::<Vec<_>>(), ["city", "visits"]);
        session.remove("city").unwrap();
        session.touch().unwrap();
        assert!(session.created_at() < session.expires_at());

        let phone = sessions.create_signed_in(&login).unwrap();
        let tablet = sessions.create_for(&42u64).unwrap();
        assert_eq!(sessions.list(&42u64).unwrap().len(), 3);
        assert!(sessions.end(&42u64, &phone.reference()).unwrap());
        assert_eq!(session.revoke_others().unwrap(), 1);
        assert!(sessions.load(tablet.id().reveal()).unwrap().is_none());
        assert_eq!(sessions.revoke_all(&42u64).unwrap(), 1);
        assert!(session.touch().unwrap_err().is_gone());
        assert!(sessions.create_signed_in(&login).is_err(), "the login ended, too");

        let cookie = sessions.create().unwrap().id().reveal().to_owned();
        assert!(sessions.delete(&cookie).unwrap());
        let last = sessions.create().unwrap();
        let cookie = last.id().reveal().to_owned();
        last.delete().unwrap();
        assert!(sessions.load(&cookie).unwrap().is_none());
        let _stays = sessions.create_for(&43u64).unwrap();
        place.no_immortal_keys(2);
    });
}

#[test]
fn updates_of_threads_are_all_there_and_saved_copies_are_not() {
    const THREADS: i64 = 4;
    const STEPS: i64 = 8;
    for_each_place(|place| {
        let sessions = sessions(&place.store);
        let mut session = sessions.create().unwrap();
        session.set("careful", &0).unwrap();
        session.set("naive", &0).unwrap();
        let cookie = session.id().reveal().to_owned();
        let barrier = Barrier::new(4);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let mut mine = sessions.load(&cookie).unwrap().unwrap();
                    barrier.wait();
                    for _ in 0..STEPS {
                        // The closure runs as outside: it may use the blocking face itself.
                        mine.update("careful", |old: Option<i64>| {
                            place.store.ping().unwrap();
                            old.unwrap() + 1
                        })
                        .unwrap();
                        // All four read the same here, as requests do that load and save.
                        let old: i64 = mine.get("naive").unwrap().unwrap();
                        mine.set("naive", &(old + 1)).unwrap();
                    }
                });
            }
        });
        session.reload().unwrap();
        assert_eq!(session.get::<i64>("careful").unwrap(), Some(THREADS * STEPS));
        assert!(session.get::<i64>("naive").unwrap().unwrap() < THREADS * STEPS);
    });
}

#[test]
fn a_closure_that_panics_leaves_the_session_as_it_was() {
    for_each_place(|place| {
        let mut session = sessions(&place.store).create().unwrap();
        session.set("n", &1).unwrap();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            session.update("n", |_: Option<i64>| -> i64 { panic!("in the closure") })
        }));
        assert!(panicked.is_err());
        session.update("n", |old: Option<i64>| old.unwrap() + 1).unwrap();
        assert_eq!(session.get::<i64>("n").unwrap(), Some(2));
    });
}
