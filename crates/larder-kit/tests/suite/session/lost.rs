//! Answers that do not come: the same call again goes on where it was, and nothing is lost.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use larder_base::Random;
use larder_engine::Engine;
use larder_kit::session::{Session, Sessions};
use larder_store::{Fate, Passage, Store, Stuck, Transit};

use super::lab::{checks, cookie, standing, stands};

/// Loses the answer to the next request of one script, or the request.
#[derive(Debug)]
struct Fuse {
    script: &'static str,
    fate: Fate,
    burns: AtomicBool,
}

impl Transit for Fuse {
    fn request<'a>(&'a self, command: &'a str) -> Passage<'a, Fate> {
        Box::pin(async move {
            if command == self.script && self.burns.swap(false, Ordering::SeqCst) {
                return self.fate;
            }
            Fate::Arrives
        })
    }

    fn reply<'a>(&'a self, _command: &'a str) -> Passage<'a, ()> {
        Box::pin(async {})
    }

    fn stuck(&self, _request: Stuck) {}
}

/// Sessions behind a network with a fuse, the same without it, and an anonymous session with a cart.
async fn scene(script: &'static str, fate: Fate) -> (Arc<Fuse>, Sessions, Sessions, Session) {
    let burns = AtomicBool::new(false);
    let fuse = Arc::new(Fuse { script, fate, burns });
    let engine = Engine::new();
    let far = Store::embedded_through(engine.clone(), Random::system(), fuse.clone());
    let build = |store: &Store| Sessions::builder("web").store(store).build().expect("builds");
    let (far, near) = (build(&far), build(&Store::embedded(engine)));
    let mut session = far.create().await.expect("created");
    session.set("cart", "book").await.expect("stands");
    (fuse, far, near, session)
}

async fn cart(sessions: &Sessions, session: &Session) -> Option<String> {
    standing(sessions, session.id().reveal())
        .await
        .get("cart")
        .expect("text")
}

/// A network on which every answer takes one more look, so that a future can be dropped at each point where it waits.
#[derive(Debug)]
struct Slow;

impl Transit for Slow {
    fn request<'a>(&'a self, _command: &'a str) -> Passage<'a, Fate> {
        Box::pin(async {
            tokio::task::yield_now().await;
            Fate::Arrives
        })
    }

    fn reply<'a>(&'a self, _command: &'a str) -> Passage<'a, ()> {
        Box::pin(tokio::task::yield_now())
    }

    fn stuck(&self, _request: Stuck) {}
}

/// Polls `work` so often and drops it; whether it was done by then.
fn cut_after<T>(polls: usize, work: impl Future<Output = T>) -> bool {
    let mut work = pin!(work);
    let mut context = Context::from_waker(Waker::noop());
    (0..polls).any(|_| matches!(work.as_mut().poll(&mut context), Poll::Ready(_)))
}

checks! {
    async fn a_rotation_whose_answer_was_lost_is_taken_up_again(lab) {
        // The networks are imagined ones, over engines of their own.
        if lab.t.port().is_some() {
            return;
        }
        for fate in [Fate::ReplyLost, Fate::Lost] {
            let (fuse, _far, near, mut session) = scene("session_rotate", fate).await;
            let old = cookie(&session);
            for _ in 0..3 {
                fuse.burns.store(true, Ordering::SeqCst);
                assert!(session.rotate().await.expect_err("no answer").is_unknown_outcome());
            }
            session.rotate().await.expect("found under one of its ids");
            assert!(!stands(&near, &old).await);
            assert_eq!(cart(&near, &session).await.as_deref(), Some("book"));
        }
    }

    async fn a_login_whose_answer_was_lost_is_taken_up_again(lab) {
        // The networks are imagined ones, over engines of their own.
        if lab.t.port().is_some() {
            return;
        }
        for script in ["session_create", "session_delete"] {
            for fate in [Fate::ReplyLost, Fate::Lost] {
                let (fuse, far, near, mut session) = scene(script, fate).await;
                let old = cookie(&session);
                let login = far.begin_login(&1u64).await.expect("begun");
                fuse.burns.store(true, Ordering::SeqCst);
                assert!(
                    session
                        .sign_in(&login)
                        .await
                        .expect_err("no answer")
                        .is_unknown_outcome()
                );
                // Meanwhile another request may still use the old one.
                if let Some(mut other) = near.load(&old).await.expect("answers") {
                    other.set("city", "Uruk").await.expect("stands");
                    session.sign_in(&login).await.expect("taken up");
                    let city: Option<String> = standing(&near, session.id().reveal()).await.get("city").expect("text");
                    assert_eq!(city.as_deref(), Some("Uruk"), "{script} {fate:?}");
                } else {
                    session.sign_in(&login).await.expect("taken up");
                }
                assert!(!stands(&near, &old).await, "{script} {fate:?}");
                assert_eq!(
                    cart(&near, &session).await.as_deref(),
                    Some("book"),
                    "{script} {fate:?}"
                );
            }
        }
    }

    async fn a_login_after_a_rotation_whose_answer_was_lost_finds_the_session(lab) {
        // The networks are imagined ones, over engines of their own.
        if lab.t.port().is_some() {
            return;
        }
        let (fuse, far, near, mut session) = scene("session_rotate", Fate::ReplyLost).await;
        fuse.burns.store(true, Ordering::SeqCst);
        session.rotate().await.expect_err("no answer");
        let login = far.begin_login(&1u64).await.expect("begun");
        session.sign_in(&login).await.expect("found");
        assert_eq!(cart(&near, &session).await.as_deref(), Some("book"));
    }

    async fn a_login_or_rotation_that_was_dropped_anywhere_is_taken_up_again(lab) {
        // The networks are imagined ones, over engines of their own.
        if lab.t.port().is_some() {
            return;
        }
        for polls in 1.. {
            let engine = Engine::new();
            let far = Store::embedded_through(engine.clone(), Random::system(), Arc::new(Slow));
            let far = Sessions::builder("web").store(&far).build().expect("builds");
            let near = Sessions::builder("web")
                .store(&Store::embedded(engine))
                .build()
                .expect("builds");
            let mut session = far.create().await.expect("created");
            session.set("cart", "book").await.expect("stands");
            let old = cookie(&session);
            let login = far.begin_login(&1u64).await.expect("begun");
            let is_rotated = cut_after(polls, session.rotate());
            if !is_rotated {
                session.rotate().await.expect("taken up");
            }
            let is_done = cut_after(polls, session.sign_in(&login));
            if !is_done {
                session.sign_in(&login).await.expect("taken up");
            }
            assert!(!stands(&near, &old).await, "{polls}");
            assert_eq!(cart(&near, &session).await.as_deref(), Some("book"), "{polls}");
            if is_done {
                assert!(polls > 4, "it was dropped at several points");
                return;
            }
        }
    }
}
