//! One process of a service, as far as a cache can tell: its own connections, its own near tier, users by id.
//!
//! Every peer that works over Redis is a node, set up as its documentation says for several processes on one Redis. What
//! tells the nodes of each other's invalidations goes through an address of its own, so that it can be delayed and cut.

use std::{any::Any, borrow::Cow, pin::Pin, sync::Arc, time::Duration};

use larder_base::Clock;

use crate::lab::user::User;

/// What a boxed call returns.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = anyhow::Result<T>> + Send + 'a>>;

/// Reads the row of a table. It does not fail.
pub(crate) type Load = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = User> + Send>> + Send + Sync>;

/// A cache of users by id in front of Redis.
pub(crate) trait Node: Send + Sync {
    /// The user `id`: cached, else loaded and then cached.
    fn read(&self, id: u64, load: Load) -> Answer<'_, Arc<User>>;

    /// To be called after the row has changed.
    fn invalidate(&self, id: u64) -> Answer<'_, ()>;
}

/// Where a node stands.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Redis.
    pub(crate) redis: String,
    /// Redis, as the messages about invalidations reach this node. A peer that gets them over its only connection reaches
    /// Redis here.
    pub(crate) messages: String,
    /// What the names of all keys begin with.
    pub(crate) namespace: String,
    /// Entries kept in process; 0: none, so that every read goes to Redis.
    pub(crate) near: u64,
    /// How far the wall clock of this node is behind.
    pub(crate) clock_behind: Duration,
}

impl Place {
    pub(crate) fn new(redis: &str, namespace: &str, near: u64) -> Self {
        Self {
            redis: redis.to_owned(),
            messages: redis.to_owned(),
            namespace: namespace.to_owned(),
            near,
            clock_behind: Duration::ZERO,
        }
    }
}

/// A peer that takes part in what is done with nodes.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// How it was set up, in a few words.
    pub(crate) setup: &'static str,
    pub(crate) join: fn(Place) -> Answer<'static, Box<dyn Node>>,
}

impl Peer {
    /// Joins, and waits until it hears of invalidations: some subscribe in the background.
    pub(crate) async fn listening(&self, place: Place) -> anyhow::Result<Arc<dyn Node>> {
        let node = (self.join)(place).await?;
        Clock::system().sleep(SUBSCRIBED).await;
        Ok(Arc::from(node))
    }
}

/// By when a node that has joined has subscribed.
const SUBSCRIBED: Duration = Duration::from_millis(300);

/// A cache full of rows, kept for as long as its memory is measured.
pub(crate) type Full = Box<dyn Any + Send>;

/// A key as the peers want it that take nothing but text.
pub(crate) trait Text {
    fn text(&self) -> Cow<'_, str>;
}

impl Text for u64 {
    fn text(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_string())
    }
}

impl Text for String {
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

/// A loader that gives the user of this number.
pub(crate) fn user(id: u64) -> Load {
    Arc::new(move || Box::pin(async move { User::number(id) }))
}
