//! An imagined network between a client and an embedded engine, so that a test decides what happens to each request.
//!
//! Over an engine in process nothing is ever late or lost, and a race that needs it could only be met by chance on a
//! real network. A [`Transit`] lets a seeded scheduler place every such moment, a thousand times a second and the
//! same way again.

use std::{fmt, future::Future, pin::Pin};

/// What a [`Transit`] answers with, when it has taken its time.
pub type Passage<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It runs, and its reply comes back.
    Arrives,
    /// It runs, and its reply is lost.
    ReplyLost,
    /// It never runs.
    Lost,
    /// It is stuck: its sender gives it up, and it runs when [`Transit::stuck`] decides.
    Late,
}

/// A network that a test makes up. In its three last fates a request fails with
/// [`StoreError::Lost`](crate::StoreError::Lost), for its sender cannot tell them apart.
pub trait Transit: Send + Sync + fmt::Debug {
    /// A request named `command` (a script's name, or the command) leaves. It waits here as long as it is under way.
    fn request<'a>(&'a self, command: &'a str) -> Passage<'a, Fate>;

    /// Its reply comes back. It waits here as long as it is under way.
    fn reply<'a>(&'a self, command: &'a str) -> Passage<'a, ()>;

    /// Takes a request of the fate [`Late`](Fate::Late), to let it run some time or never.
    fn stuck(&self, request: Stuck);
}

/// A request that its sender has given up and that has not run yet.
pub struct Stuck(pub(crate) Box<dyn FnOnce() + Send>);

impl Stuck {
    /// Lets it arrive now. Nobody receives its reply.
    pub fn arrive(self) {
        (self.0)();
    }
}

impl fmt::Debug for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stuck")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use larder_base::Random;
    use larder_engine::Engine;
    use parking_lot::Mutex;
    use redis::AsyncCommands as _;

    use super::{Fate, Passage, Stuck, Transit};
    use crate::{Store, StoreError};

    /// Gives every request the same fate, and keeps what is stuck.
    #[derive(Debug)]
    struct Always(Fate, Mutex<Vec<Stuck>>);

    impl Transit for Always {
        fn request<'a>(&'a self, _command: &'a str) -> Passage<'a, Fate> {
            Box::pin(async { self.0 })
        }

        fn reply<'a>(&'a self, _command: &'a str) -> Passage<'a, ()> {
            Box::pin(async {})
        }

        fn stuck(&self, request: Stuck) {
            self.1.lock().push(request);
        }
    }

    /// What an `INCR` over this network answers, and what it left behind.
    async fn incr(fate: Fate) -> (Result<u64, StoreError>, Option<u64>, Arc<Always>, Store) {
        let engine = Engine::new();
        let network = Arc::new(Always(fate, Mutex::new(Vec::new())));
        let mut through = Store::embedded_through(engine.clone(), Random::seeded(1), network.clone());
        let answer = through.incr("n", 1).await.map_err(StoreError::from);
        let mut beside = Store::embedded(engine);
        let left = beside.get("n").await.expect("no network on this side");
        (answer, left, network, beside)
    }

    #[tokio::test]
    async fn a_lost_reply_is_not_a_lost_request_and_both_look_the_same() {
        assert_eq!(incr(Fate::Arrives).await.0.expect("it arrives"), 1);
        let (answer, left, ..) = incr(Fate::ReplyLost).await;
        assert!(answer.expect_err("no reply").is_unknown_outcome());
        assert_eq!(left, Some(1));
        let (answer, left, ..) = incr(Fate::Lost).await;
        assert!(answer.expect_err("no reply").is_unknown_outcome());
        assert_eq!(left, None);
    }

    #[tokio::test]
    async fn a_late_request_runs_when_it_arrives() {
        let (answer, left, network, mut beside) = incr(Fate::Late).await;
        assert!(answer.expect_err("no reply").is_unknown_outcome());
        assert_eq!(left, None);
        let stuck = network.1.lock().pop();
        stuck.expect("the request is stuck").arrive();
        assert_eq!(beside.get::<_, u64>("n").await.expect("no network on this side"), 1);
    }
}
