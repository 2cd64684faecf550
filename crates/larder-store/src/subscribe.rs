//! Messages from channels, and word of every gap in them.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::Stream;
use redis::{PushInfo, PushKind, Value};

use crate::{
    Store, StoreError,
    queue::{Gap, Queue},
};

/// Messages that wait for a slow reader at most; what comes on top is counted in [`Event::Lagged`]. A thousand and
/// twenty-four of a hundred bytes take some 200 KiB.
const BUFFERED_MAX: usize = 1024;

/// What to listen to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Topics {
    pub(crate) channels: Vec<Vec<u8>>,
    pub(crate) patterns: Vec<Vec<u8>>,
}

impl Topics {
    fn check(&self) -> Result<(), StoreError> {
        if self.channels.is_empty() && self.patterns.is_empty() {
            return Err(StoreError::config(
                "a subscription needs at least one channel or pattern",
            ));
        }
        Ok(())
    }
}

/// A message that someone published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it was published.
    pub channel: Vec<u8>,
    /// The pattern that it came by, for a subscription by pattern.
    pub pattern: Option<Vec<u8>>,
    /// What was published.
    pub payload: Vec<u8>,
}

/// What a [`Subscription`] yields: messages, and whatever means that some may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A message.
    Message(Message),
    /// The connection is gone. What is published from now on until [`Resubscribed`](Self::Resubscribed) is missed.
    Disconnected,
    /// Connected and subscribed again.
    Resubscribed,
    /// The reader was too slow: so many events were dropped here.
    Lagged(u64),
}

impl Gap for Event {
    fn widen(&mut self) -> bool {
        match self {
            Self::Lagged(dropped) => {
                *dropped += 1;
                true
            }
            _ => false,
        }
    }

    fn one() -> Self {
        Self::Lagged(1)
    }
}

/// The events of a subscription, as a stream. Dropping it ends the subscription.
pub struct Subscription {
    events: Arc<Queue<Event>>,
    /// What keeps the subscription alive: a session, or a task.
    _source: Box<dyn Send + Sync>,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

impl Subscription {
    pub(crate) fn new(events: Arc<Queue<Event>>, source: impl Send + Sync + 'static) -> Self {
        Self {
            events,
            _source: Box::new(source),
        }
    }

    /// The next event; `None` once the subscription has ended, which it does with its store's [`close`](Store::close).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.events.poll(cx)).await
    }
}

impl Stream for Subscription {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.events.poll(cx)
    }
}

pub(crate) fn queue() -> Arc<Queue<Event>> {
    Queue::new(BUFFERED_MAX)
}

/// The message in a push, if it is one.
pub(crate) fn message(push: PushInfo) -> Option<Event> {
    let mut data = push.data.into_iter().map(|value| match value {
        Value::BulkString(bytes) => bytes,
        Value::SimpleString(text) => text.into_bytes(),
        _ => Vec::new(),
    });
    let pattern = match push.kind {
        PushKind::Message | PushKind::SMessage => None,
        PushKind::PMessage => Some(data.next()?),
        _ => return None,
    };
    Some(Event::Message(Message {
        channel: data.next()?,
        pattern,
        payload: data.next()?,
    }))
}

impl Store {
    /// Listens to `channels` on a connection of its own, which comes back by itself; the stream says when it was away.
    ///
    /// ```
    /// use larder_store::{Event, Store, redis::AsyncCommands};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut store = Store::open("embedded:").await?;
    /// let mut news = store.subscribe(["news"]).await?;
    /// let _: () = store.publish("news", "hello").await?;
    /// let Some(Event::Message(message)) = news.next().await else { panic!("a message was published") };
    /// assert_eq!(message.payload, b"hello");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StoreError::Connect`] if no connection can be had within `max_attempts` attempts; [`StoreError::Config`] for no
    /// channel at all, or RESP2.
    ///
    /// # Cancel safety
    /// Dropping the future subscribes to nothing.
    pub async fn subscribe(
        &self,
        channels: impl IntoIterator<Item = impl Into<Vec<u8>>>,
    ) -> Result<Subscription, StoreError> {
        let channels = channels.into_iter().map(Into::into).collect();
        self.listen_to(Topics {
            channels,
            patterns: Vec::new(),
        })
        .await
    }

    /// Listens to all channels that match one of `patterns` (`news.*`), as [`subscribe`](Self::subscribe) does.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    ///
    /// # Cancel safety
    /// Dropping the future subscribes to nothing.
    pub async fn subscribe_patterns(
        &self,
        patterns: impl IntoIterator<Item = impl Into<Vec<u8>>>,
    ) -> Result<Subscription, StoreError> {
        let patterns = patterns.into_iter().map(Into::into).collect();
        self.listen_to(Topics {
            channels: Vec::new(),
            patterns,
        })
        .await
    }

    async fn listen_to(&self, topics: Topics) -> Result<Subscription, StoreError> {
        topics.check()?;
        self.start_subscription(topics).await
    }
}
