//! Announcing what this process invalidated, for services in other languages that keep copies of their own.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    sync::{Arc, Weak},
    time::Duration,
};

use larder_base::{CacheKey, Random};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::message::{Change, MESSAGE_MAX, write};
use crate::{core::Core, stats::Count};

/// Messages that wait to be published at most. When a store is down for longer than that lasts, one message that says
/// "everything" takes their place.
const WAITING_MAX: usize = 1_024;

/// Between two attempts while the store is down.
pub(super) const RETRY_EVERY: Duration = Duration::from_millis(500);

/// Messages on their way out.
pub(crate) struct Announcements {
    origin: String,
    waiting: Mutex<VecDeque<String>>,
    added: Notify,
}

impl Announcements {
    pub(crate) fn new(random: &Random) -> Self {
        let bytes: [u8; 16] = random.bytes();
        let mut origin = String::with_capacity(32);
        for byte in bytes {
            write!(origin, "{byte:02x}").expect("writing to a string does not fail");
        }
        Self {
            origin,
            waiting: Mutex::default(),
            added: Notify::new(),
        }
    }

    /// Whose announcements these are: 128 random bits in hex.
    pub(crate) const fn origin(&self) -> &String {
        &self.origin
    }

    /// Adds messages; if they do not fit, `everything` takes the place of all. How many were dropped for it.
    fn add(&self, messages: Vec<String>, everything: impl FnOnce() -> String) -> usize {
        let mut waiting = self.waiting.lock();
        waiting.extend(messages);
        let mut dropped = 0;
        if waiting.len() > WAITING_MAX {
            dropped = waiting.len();
            waiting.clear();
            waiting.push_back(everything());
        }
        drop(waiting);
        self.added.notify_one();
        dropped
    }

    fn first(&self) -> Option<String> {
        self.waiting.lock().front().cloned()
    }

    /// Takes out the first one, if it is still `sent`.
    fn sent(&self, sent: &str) {
        let mut waiting = self.waiting.lock();
        if waiting.front().is_some_and(|first| first == sent) {
            waiting.pop_front();
        }
    }
}

/// Starts the task that publishes.
pub(super) fn start<K, V>(core: &Arc<Core<K, V>>, channel: &str)
where
    K: CacheKey,
    V: Send + Sync + 'static,
{
    let (announcements, weak) = (core.announcements.clone(), Arc::downgrade(core));
    let channel = channel.to_owned();
    drop(core.tasks.spawn("announcements", async move {
        loop {
            announcements.added.notified().await;
            while let Some(message) = announcements.first() {
                if publish(&weak, &channel, &message).await.is_none() {
                    return;
                }
                announcements.sent(&message);
            }
        }
    }));
}

/// Publishes a message, however long that takes; `None` if the core has ended meanwhile.
async fn publish<K, V>(core: &Weak<Core<K, V>>, channel: &str, message: &str) -> Option<()>
where
    K: CacheKey,
    V: Send + Sync + 'static,
{
    let mut command = redis::cmd("PUBLISH");
    command.arg(channel).arg(message);
    loop {
        let core = core.upgrade()?;
        // Published twice is as good as once.
        match core.store.run(&command).await {
            Ok(_) => {
                core.count(Count::Announced);
                return Some(());
            }
            Err(error) if error.is_connection() => {
                let clock = core.clock.clone();
                drop(core);
                clock.sleep(RETRY_EVERY).await;
            }
            Err(error) => {
                core.count(Count::AnnouncementsDropped);
                tracing::warn!(%error, "the store refuses to publish an announcement");
                return Some(());
            }
        }
    }
}

impl<K: CacheKey, V: Send + Sync + 'static> Core<K, V> {
    /// Announces `change` on the channel, if there is one; `applied` if the store has acknowledged it.
    pub(crate) fn announce(&self, change: Change<'_, K>, applied: bool) {
        if self.settings.channel.is_none() {
            return;
        }
        let (namespace, origin) = (self.layout.namespace(), self.announcements.origin());
        let mut messages = write(namespace, change, origin, applied);
        let all = messages.len();
        messages.retain(|message| message.len() <= MESSAGE_MAX);
        let too_long = all - messages.len();
        let everything = || write::<K>(namespace, Change::All, origin, true).remove(0);
        let dropped = too_long + self.announcements.add(messages, everything);
        self.counters.add_many(Count::AnnouncementsDropped, dropped as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_becomes_everything() {
        let announcements = Announcements::new(&Random::seeded(1));
        let messages = || (0..WAITING_MAX).map(|n| n.to_string()).collect::<Vec<_>>();
        assert_eq!(announcements.add(messages(), || "all".into()), 0);
        assert_eq!(announcements.add(vec!["more".into()], || "all".into()), WAITING_MAX + 1);
        assert_eq!(announcements.first().as_deref(), Some("all"));
        announcements.sent("0");
        assert_eq!(
            announcements.first().as_deref(),
            Some("all"),
            "what was on its way is not what is there now"
        );
        announcements.sent("all");
        assert_eq!(announcements.first(), None);
        assert_eq!(announcements.origin().len(), 32);
    }
}
