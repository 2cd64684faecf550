//! What is written by hand with redis-rs: JSON under a key with a TTL, and invalidations over pub/sub.

use std::sync::Arc;

use futures_util::StreamExt as _;
use larder_base::{Clock, Tasks};
use redis::{AsyncCommands as _, Client, aio::MultiplexedConnection};
use std::time::Duration;

use crate::lab::{near::TTL, user::User};

/// How soon a lost subscription is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// Users in Redis, one connection shared by all.
#[derive(Clone)]
pub(crate) struct Rows {
    redis: MultiplexedConnection,
    namespace: Arc<str>,
}

impl Rows {
    pub(crate) async fn connect(url: &str, namespace: &str) -> anyhow::Result<Self> {
        Ok(Self {
            redis: Client::open(url)?.get_multiplexed_async_connection().await?,
            namespace: namespace.into(),
        })
    }

    fn key(&self, id: u64) -> String {
        format!("{}:{id}", self.namespace)
    }

    pub(crate) async fn get(&self, id: u64) -> anyhow::Result<Option<User>> {
        let found: Option<Vec<u8>> = self.redis.clone().get(self.key(id)).await?;
        Ok(found.map(|json| serde_json::from_slice(&json)).transpose()?)
    }

    pub(crate) async fn put(&self, id: u64, user: &User) -> anyhow::Result<()> {
        let json = serde_json::to_vec(user)?;
        Ok(self.redis.clone().set_ex(self.key(id), json, TTL.as_secs()).await?)
    }

    pub(crate) async fn remove(&self, id: u64) -> anyhow::Result<()> {
        Ok(self.redis.clone().del(self.key(id)).await?)
    }

    /// Tells all who [`follow`] that the row `id` changed.
    pub(crate) async fn publish(&self, id: u64) -> anyhow::Result<()> {
        Ok(self.redis.clone().publish(channel(&self.namespace), id).await?)
    }
}

fn channel(namespace: &str) -> String {
    format!("{namespace}:invalidate")
}

/// Calls `drop_copy` with each id that is published, until the tasks end; subscribes again when the connection is lost.
/// Subscribed for the first time when it returns.
pub(crate) async fn follow<F, Fut>(url: &str, namespace: &str, tasks: &Tasks, drop_copy: F) -> anyhow::Result<()>
where
    F: Fn(u64) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let (client, channel) = (Client::open(url)?, channel(namespace));
    let mut subscription = client.get_async_pubsub().await?;
    subscription.subscribe(&channel).await?;
    tasks.spawn("follow invalidations", async move {
        loop {
            let mut messages = subscription.into_on_message();
            while let Some(message) = messages.next().await {
                if let Ok(id) = message.get_payload() {
                    drop_copy(id).await;
                }
            }
            drop(messages);
            subscription = again(&client, &channel).await;
        }
    });
    Ok(())
}

async fn again(client: &Client, channel: &str) -> redis::aio::PubSub {
    loop {
        if let Ok(mut subscription) = client.get_async_pubsub().await
            && subscription.subscribe(channel).await.is_ok()
        {
            return subscription;
        }
        Clock::system().sleep(AGAIN).await;
    }
}
