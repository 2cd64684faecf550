//! Publish and subscribe: who listens to which channel.
//!
//! A message goes to every subscriber in the very call that publishes it, through the subscriber's
//! [`PushSink`](crate::PushSink). What nobody listens to is gone: nothing is kept.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Reply, client::ClientId, core::Core, db::Key, glob};

/// The three kinds of subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Channel,
    Pattern,
    /// In a cluster, a channel that lives in its slot's shard. One server is one shard.
    Shard,
}

impl Kind {
    const COUNT: usize = 3;

    /// What the push that confirms a subscription is called.
    const fn subscribed(self) -> &'static str {
        match self {
            Self::Channel => "subscribe",
            Self::Pattern => "psubscribe",
            Self::Shard => "ssubscribe",
        }
    }

    const fn unsubscribed(self) -> &'static str {
        match self {
            Self::Channel => "unsubscribe",
            Self::Pattern => "punsubscribe",
            Self::Shard => "sunsubscribe",
        }
    }

    /// Sharded subscriptions are counted apart from the others.
    const fn counted_with(self) -> &'static [Self] {
        match self {
            Self::Channel | Self::Pattern => &[Self::Channel, Self::Pattern],
            Self::Shard => &[Self::Shard],
        }
    }
}

/// What one client listens to. Ordered, so that leaving everything answers in the same order every time.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions([BTreeSet<Key>; Kind::COUNT]);

impl Subscriptions {
    pub(crate) fn of(&self, kind: Kind) -> &BTreeSet<Key> {
        &self.0[kind as usize]
    }

    fn of_mut(&mut self, kind: Kind) -> &mut BTreeSet<Key> {
        &mut self.0[kind as usize]
    }

    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(BTreeSet::len).sum()
    }

    fn reported(&self, kind: Kind) -> Reply {
        Reply::count(kind.counted_with().iter().map(|kind| self.of(*kind).len()).sum())
    }
}

/// Who listens to what.
#[derive(Debug, Default)]
pub(crate) struct PubSub([BTreeMap<Key, BTreeSet<ClientId>>; Kind::COUNT]);

impl PubSub {
    /// The channels (or patterns) that someone listens to, with how many do.
    pub(crate) fn heard(&self, kind: Kind) -> impl Iterator<Item = (&Key, usize)> {
        self.0[kind as usize]
            .iter()
            .map(|(name, clients)| (name, clients.len()))
    }

    pub(crate) fn listeners(&self, kind: Kind, name: &[u8]) -> usize {
        self.0[kind as usize].get(name).map_or(0, BTreeSet::len)
    }

    /// How many patterns are listened to.
    pub(crate) fn patterns(&self) -> usize {
        self.0[Kind::Pattern as usize].len()
    }

    fn join(&mut self, kind: Kind, name: &Key, client: ClientId) {
        self.0[kind as usize].entry(name.clone()).or_default().insert(client);
    }

    fn leave(&mut self, kind: Kind, name: &[u8], client: ClientId) {
        let names = &mut self.0[kind as usize];
        if let Some(clients) = names.get_mut(name) {
            clients.remove(&client);
            if clients.is_empty() {
                names.remove(name);
            }
        }
    }
}

impl Core {
    /// Adds a subscription, and gives the push that confirms it.
    pub(crate) fn subscribe(&mut self, id: ClientId, kind: Kind, name: &[u8]) -> Reply {
        let Some(client) = self.clients.get_mut(&id) else {
            return Reply::Many(Vec::new());
        };
        if !client.subscriptions.of(kind).contains(name) {
            let name: Key = name.into();
            self.pubsub.join(kind, &name, id);
            client.subscriptions.of_mut(kind).insert(name);
        }
        let count = client.subscriptions.reported(kind);
        Reply::Push(vec![Reply::bulk(kind.subscribed()), Reply::bulk(name), count])
    }

    /// Ends a subscription if there is one, and gives the push that confirms it.
    pub(crate) fn unsubscribe(&mut self, id: ClientId, kind: Kind, name: &[u8]) -> Reply {
        let Some(client) = self.clients.get_mut(&id) else {
            return Reply::Many(Vec::new());
        };
        if client.subscriptions.of_mut(kind).remove(name) {
            self.pubsub.leave(kind, name, id);
        }
        let count = client.subscriptions.reported(kind);
        Reply::Push(vec![Reply::bulk(kind.unsubscribed()), Reply::bulk(name), count])
    }

    /// Ends all subscriptions of one kind; the push for each, or one with a null if there were none.
    pub(crate) fn unsubscribe_all(&mut self, id: ClientId, kind: Kind) -> Reply {
        let Some(client) = self.clients.get(&id) else {
            return Reply::Many(Vec::new());
        };
        let names: Vec<Key> = client.subscriptions.of(kind).iter().cloned().collect();
        if names.is_empty() {
            let count = client.subscriptions.reported(kind);
            return Reply::Push(vec![Reply::bulk(kind.unsubscribed()), Reply::Null, count]);
        }
        Reply::Many(names.iter().map(|name| self.unsubscribe(id, kind, name)).collect())
    }

    /// Ends every subscription of a client, without telling it.
    pub(crate) fn unsubscribe_everything(&mut self, id: ClientId) {
        for kind in [Kind::Channel, Kind::Pattern, Kind::Shard] {
            self.unsubscribe_all(id, kind);
        }
    }

    /// Sends a message to a channel's subscribers and to those of matching patterns; how many it reached.
    pub(crate) fn publish(&mut self, channel: &[u8], message: &[u8]) -> usize {
        self.deliver(Kind::Channel, "message", channel, message) + self.deliver_by_pattern(channel, message)
    }

    /// Sends a message to the subscribers of a sharded channel.
    pub(crate) fn publish_to_shard(&mut self, channel: &[u8], message: &[u8]) -> usize {
        self.deliver(Kind::Shard, "smessage", channel, message)
    }

    fn deliver(&mut self, kind: Kind, title: &str, channel: &[u8], message: &[u8]) -> usize {
        let Some(listeners) = self.pubsub.0[kind as usize].get(channel) else {
            return 0;
        };
        for id in listeners {
            if let Some(client) = self.clients.get_mut(id) {
                client.push(Reply::Push(vec![
                    Reply::bulk(title),
                    Reply::bulk(channel),
                    Reply::bulk(message),
                ]));
            }
        }
        listeners.len()
    }

    fn deliver_by_pattern(&mut self, channel: &[u8], message: &[u8]) -> usize {
        let mut reached = 0;
        for (pattern, listeners) in &self.pubsub.0[Kind::Pattern as usize] {
            if !glob::matches(pattern, channel) {
                continue;
            }
            for id in listeners {
                if let Some(client) = self.clients.get_mut(id) {
                    client.push(Reply::Push(vec![
                        Reply::bulk("pmessage"),
                        Reply::bulk(pattern),
                        Reply::bulk(channel),
                        Reply::bulk(message),
                    ]));
                }
            }
            reached += listeners.len();
        }
        reached
    }
}
