//! Invalidations from and to services in other languages, as JSON on a named channel.
//!
//! Every message becomes an ordinary invalidation, acknowledged by the store, so what holds for those holds here: late
//! loads do not undo it, other processes' near tiers follow, and one that the store does not acknowledge is pending.
//! Pub/sub itself promises nothing: what was published while this process was not subscribed is missed. That it was not
//! is known, and answered by [`OnGap`].

mod announce;
mod listen;
mod message;

use std::sync::Arc;

use larder_base::{CacheKey, WrittenKey};
use larder_store::Event;

use self::message::{Message, Unreadable, What};
pub(crate) use self::{announce::Announcements, listen::Listener, message::Change};
use crate::{CacheEvent, Error, ErrorKind, core::Core, matching::Matching, stats::Count};

/// What to do when messages may have been missed: the connection was lost, or they came faster than they could be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnGap {
    /// Invalidate the whole namespace, once per gap: nobody knows which keys the missed messages named.
    #[default]
    Clear,
    /// Count it ([`Stats::channel_gaps`](crate::Stats::channel_gaps)) and go on: what was missed stays until its TTL ends. For
    /// fleets in which others listen too, and will hardly all miss the same message.
    Count,
}

/// Messages that are taken together if they are there: their keys go to the store in one round trip.
const TOGETHER: usize = 500;

/// Keys that are invalidated together: two pipelines of the store's. One message may name twenty thousand.
const KEYS_TOGETHER: usize = 1_000;

/// Starts the tasks that listen and announce; they end with the core. [`ready`] says what came of it.
pub(crate) fn start<K, V>(core: &Arc<Core<K, V>>)
where
    K: CacheKey,
    V: Send + Sync + 'static,
{
    if let Some(name) = core.settings.channel.clone() {
        announce::start(core, &name);
        drop(core.tasks.spawn("channel", listen::run(Arc::downgrade(core), name)));
    }
}

/// Waits until the cache listens to its channel, if it has one. A program may start before its store: then it listens later,
/// and answers that as a gap.
pub(crate) async fn ready<K, V>(core: &Core<K, V>) -> Result<(), Error>
where
    K: CacheKey,
    V: Send + Sync + 'static,
{
    if core.settings.channel.is_none() {
        return Ok(());
    }
    core.listener.ready().await.map_err(|source| {
        Error::from(ErrorKind::Store {
            operation: "SUBSCRIBE",
            source: Arc::new(source),
        })
    })
}

impl<K: CacheKey, V: Send + Sync + 'static> Core<K, V> {
    /// Does what came in together, in order; keys that follow each other in one round trip.
    async fn apply_all(self: &Arc<Self>, events: Vec<Event>) {
        let mut keys = Vec::new();
        for event in events {
            match event {
                Event::Message(message) => match self.asked(&message.payload) {
                    Some(What::Ids(ids)) => {
                        for ids in ids.chunks(KEYS_TOGETHER) {
                            self.collect(ids.iter().map(message::Id::to_key), &mut keys).await;
                        }
                    }
                    Some(What::Written(written)) => {
                        let key = WrittenKey::parse(written.as_bytes());
                        self.collect([key], &mut keys).await;
                    }
                    Some(what) => {
                        self.apply_keys(&mut keys).await;
                        self.apply(what).await;
                    }
                    None => {}
                },
                // Whatever the gap hides, it ends with this; until then nothing is known to be missing.
                Event::Resubscribed | Event::Lagged(_) => self.bridge_gap().await,
                _ => {}
            }
        }
        self.apply_keys(&mut keys).await;
    }

    /// What a message asks of this cache; counted, and never shown: it may hold keys.
    fn asked(&self, payload: &[u8]) -> Option<What> {
        let message = match Message::read(payload) {
            Ok(message) => message,
            Err(unreadable) => {
                self.count(match unreadable {
                    Unreadable::Malformed => Count::ChannelMalformed,
                    Unreadable::Oversized => Count::ChannelOversized,
                });
                let (why, bytes) = (unreadable, payload.len());
                tracing::debug!(?why, bytes, "a message on the channel says nothing");
                return None;
            }
        };
        let namespace = self.layout.namespace();
        if message.namespace.is_some_and(|other| other != **namespace) {
            self.count(Count::ChannelOther);
            return None;
        }
        // Its own, or another cache's of Larder, which has done it: doing it again would be as good, and cost every
        // process of the fleet a round trip.
        if message.applied
            || message
                .origin
                .is_some_and(|origin| origin == *self.announcements.origin())
        {
            self.count(Count::ChannelKnown);
            return None;
        }
        Some(message.what)
    }

    /// Adds keys, at most [`KEYS_TOGETHER`], to those that wait; does what there is first where they do not fit.
    async fn collect(
        &self,
        found: impl IntoIterator<Item = Option<K>, IntoIter: ExactSizeIterator>,
        keys: &mut Vec<K>,
    ) {
        let found = found.into_iter();
        if keys.len() + found.len() > KEYS_TOGETHER {
            self.apply_keys(keys).await;
        }
        for key in found {
            match key {
                Some(key) => keys.push(key),
                None => self.count(Count::ChannelMalformed),
            }
        }
    }

    async fn apply_keys(&self, keys: &mut Vec<K>) {
        if keys.is_empty() {
            return;
        }
        let keys = std::mem::take(keys);
        let done = self.invalidate(&keys).await;
        self.applied(keys.len() as u64, done);
    }

    async fn apply(self: &Arc<Self>, what: What) {
        let done = match what {
            What::Tag(tag) => self.invalidate_tags(&[tag]).await,
            What::Pattern(pattern) => Matching::new(self.clone(), pattern).run().await.map(drop),
            What::All => self.clear().await,
            What::Ids(_) | What::Written(_) => unreachable!("keys are collected before"),
        };
        self.applied(1, done);
    }

    fn applied(&self, messages: u64, done: Result<(), Error>) {
        match done {
            Ok(()) => self.counters.add_many(Count::ChannelApplied, messages),
            // It is pending, and sent again like any other.
            Err(error) => {
                self.counters.add_many(Count::ChannelPending, messages);
                tracing::debug!(%error, "an invalidation from the channel is pending");
            }
        }
    }

    /// Messages may have been missed.
    async fn bridge_gap(&self) {
        self.count(Count::ChannelGaps);
        self.events.tell(|| CacheEvent::MessagesMissed);
        let answer = self.settings.on_gap;
        tracing::warn!(namespace = %self.layout.namespace(), ?answer, "messages on the channel may have been missed");
        if answer == OnGap::Clear
            && let Err(error) = self.clear().await
        {
            tracing::debug!(%error, "the answer to a gap is pending");
        }
    }
}
