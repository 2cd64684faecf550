//! Answers that do not come: nothing is charged twice, and nobody is let in twice.

use std::{sync::Arc, time::Duration};

use larder_base::{Clock, Random};
use larder_engine::Engine;
use larder_kit::limit::{Basis, ConcurrencyLimit, Entry, Gcra, LimitError, Limiter, OnStoreDown};
use larder_store::{Fate, Passage, Store, Stuck, Transit};
use larder_testkit::eventually;
use parking_lot::Mutex;

/// What becomes of the next request of one script, and what is stuck.
#[derive(Debug)]
struct Mishap {
    script: &'static str,
    next: Mutex<Option<Fate>>,
    stuck: Mutex<Vec<Stuck>>,
    sent: Mutex<u64>,
    given_back: Mutex<u64>,
}

impl Transit for Mishap {
    fn request<'a>(&'a self, command: &'a str) -> Passage<'a, Fate> {
        Box::pin(async move {
            if command != self.script {
                *self.given_back.lock() += u64::from(command == "member_release");
                return Fate::Arrives;
            }
            *self.sent.lock() += 1;
            self.next.lock().take().unwrap_or(Fate::Arrives)
        })
    }

    fn reply<'a>(&'a self, _command: &'a str) -> Passage<'a, ()> {
        Box::pin(async {})
    }

    fn stuck(&self, request: Stuck) {
        self.stuck.lock().push(request);
    }
}

fn far(script: &'static str, engine: &Engine) -> (Arc<Mishap>, Store) {
    let mishap = Arc::new(Mishap {
        script,
        next: Mutex::default(),
        stuck: Mutex::default(),
        sent: Mutex::default(),
        given_back: Mutex::default(),
    });
    let store = Store::embedded_through(engine.clone(), Random::seeded(1), mishap.clone());
    (mishap, store)
}

#[tokio::test]
async fn a_call_whose_answer_is_lost_is_not_sent_again() -> Result<(), LimitError> {
    for (fate, charged) in [(Fate::ReplyLost, 1), (Fate::Lost, 0), (Fate::Late, 0)] {
        let (mishap, store) = far("limit_gcra", &Engine::new());
        let builder = Limiter::builder("api").store(&store).limit(Gcra::per_day(10));
        let limiter = builder.on_store_down(OnStoreDown::Closed).build()?;
        *mishap.next.lock() = Some(fate);
        let decision = limiter.check("a").await?;
        assert_eq!((decision.allowed, decision.basis), (false, Basis::Policy), "{fate:?}");
        assert_eq!(*mishap.sent.lock(), 1, "{fate:?}");
        assert_eq!(limiter.peek("a").await?.remaining, 10 - charged, "{fate:?}");
        // A late one charges when it comes, once.
        mishap.stuck.lock().drain(..).for_each(Stuck::arrive);
        let late = u64::from(fate == Fate::Late);
        assert_eq!(limiter.peek("a").await?.remaining, 10 - charged - late, "{fate:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_request_by_its_name_is_made_again_and_charged_once() -> Result<(), LimitError> {
    for fate in [Fate::ReplyLost, Fate::Lost, Fate::Late] {
        let (mishap, store) = far("limit_gcra", &Engine::new());
        let builder = Limiter::builder("api").store(&store).limit(Gcra::per_day(10));
        let limiter = builder.on_store_down(OnStoreDown::Closed).build()?;
        *mishap.next.lock() = Some(fate);
        assert_eq!(limiter.check_once("a", 3, "m").await?.basis, Basis::Policy);
        let again = limiter.check_once("a", 3, "m").await?;
        assert_eq!((again.allowed, again.remaining), (true, 7), "{fate:?}");
        mishap.stuck.lock().drain(..).for_each(Stuck::arrive);
        assert_eq!(limiter.peek("a").await?.remaining, 7, "{fate:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_place_that_nobody_knows_of_is_given_back_or_lapses() -> Result<(), LimitError> {
    for fate in [Fate::ReplyLost, Fate::Late] {
        let (clock, hand) = Clock::manual();
        let engine = Engine::builder().clock(clock).build();
        let (mishap, store) = far("limit_concurrency", &engine);
        let builder = ConcurrencyLimit::builder("exports").store(&store).limit(1);
        let exports = builder
            .lease(Duration::from_secs(30))
            .on_store_down(OnStoreDown::Closed)
            .build()?;
        *mishap.next.lock() = Some(fate);
        assert!(matches!(exports.enter("a").await?, Entry::Full(_)), "{fate:?}");
        eventually(Duration::from_secs(30), async || *mishap.given_back.lock() == 1).await;
        if fate == Fate::Late {
            // It comes after its release, and is taken by nobody until its lease is over.
            mishap.stuck.lock().drain(..).for_each(Stuck::arrive);
            assert!(matches!(exports.enter("a").await?, Entry::Full(_)));
            hand.advance(Duration::from_secs(31));
        }
        assert!(matches!(exports.enter("a").await?, Entry::Admitted(_)), "{fate:?}");
    }
    Ok(())
}
