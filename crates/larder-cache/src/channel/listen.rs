//! The task that listens, and what those who build the cache hear of it.

use std::sync::Weak;

use futures_util::StreamExt as _;
use larder_base::CacheKey;
use larder_store::{StoreError, Subscription};
use tokio::sync::watch;

use super::{TOGETHER, announce};
use crate::core::Core;

/// How far the task has come: shared by all who build the cache, so that whoever joins it waits like the first.
#[derive(Debug)]
pub(crate) struct Listener(watch::Sender<State>);

#[derive(Clone, Debug)]
enum State {
    /// The first attempt is under way.
    Starting,
    /// It listens, or the store is away and it will.
    Ready,
    /// The store refused; it tries again.
    Refused(StoreError),
}

impl Default for Listener {
    fn default() -> Self {
        Self(watch::Sender::new(State::Starting))
    }
}

impl Listener {
    /// Waits for the first attempt.
    pub(super) async fn ready(&self) -> Result<(), StoreError> {
        let mut state = self.0.subscribe();
        let known = state.wait_for(|state| !matches!(state, State::Starting)).await;
        match known.as_deref() {
            Ok(State::Refused(error)) => Err(error.clone()),
            // The sender lives in `self`.
            Ok(State::Ready | State::Starting) | Err(_) => Ok(()),
        }
    }

    fn is(&self, state: State) {
        self.0.send_replace(state);
    }
}

/// Listens for as long as the core lives.
pub(super) async fn run<K, V>(core: Weak<Core<K, V>>, name: String)
where
    K: CacheKey,
    V: Send + Sync + 'static,
{
    let Some(subscription) = subscribe(&core, &name).await else {
        return;
    };
    let mut events = subscription.ready_chunks(TOGETHER);
    while let Some(events) = events.next().await {
        let Some(core) = core.upgrade() else { return };
        core.apply_all(events).await;
    }
}

/// Tries until the store is there and lets it listen; `None` if the core or the store has ended meanwhile. Until then everything is
/// missed, which ends as any gap does.
async fn subscribe<K, V>(core: &Weak<Core<K, V>>, name: &str) -> Option<Subscription>
where
    K: CacheKey,
    V: Send + Sync + 'static,
{
    let mut missed = false;
    loop {
        let (store, clock) = core.upgrade().map(|core| (core.store.clone(), core.clock.clone()))?;
        let subscribed = store.subscribe([name.to_owned()]).await;
        let core = core.upgrade()?;
        match subscribed {
            Ok(subscription) => {
                if missed {
                    core.bridge_gap().await;
                }
                core.listener.is(State::Ready);
                return Some(subscription);
            }
            Err(error) if error.is_connection() => core.listener.is(State::Ready),
            Err(error) => {
                // Said once: it may go on for as long as the cache lives.
                if !missed {
                    tracing::warn!(%error, "the channel cannot be listened to");
                }
                let closed = error.is_closed();
                core.listener.is(State::Refused(error));
                if closed {
                    return None;
                }
            }
        }
        drop(core);
        missed = true;
        clock.sleep(announce::RETRY_EVERY).await;
    }
}
