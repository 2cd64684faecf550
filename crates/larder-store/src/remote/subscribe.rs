//! A subscription on a server: a connection of its own and the task that replaces it.

use std::sync::Arc;

use larder_base::Tasks;
use redis::PushInfo;

use super::{Remote, solo::Solo};
use crate::{
    Event, Resp, StoreConfig, StoreError, Subscription,
    figures::{Count, Figures},
    queue::Queue,
    subscribe::{self, Topics},
};

impl Remote {
    /// Subscribes, and starts the task that keeps it so until the store is closed or the subscription dropped.
    pub(crate) async fn subscribe(&self, config: &StoreConfig, topics: Topics) -> Result<Subscription, StoreError> {
        self.check_open()?;
        if config.resp == Resp::V2 {
            return Err(StoreError::config("`subscribe()` takes RESP3, and `resp` is 2"));
        }
        let subscriber = Subscriber {
            config: config.clone(),
            topics,
            events: subscribe::queue(),
            figures: Figures::of(&config.address()),
        };
        let events = subscriber.events.clone();
        let first = subscriber.open().await?;
        let tasks = Tasks::new();
        let closing = self.tasks.stopping();
        tasks.spawn("store subscription", async move {
            let events = subscriber.events.clone();
            closing.run_until_cancelled_owned(subscriber.keep(first)).await;
            events.close();
        });
        Ok(Subscription::new(events, tasks))
    }
}

struct Subscriber {
    config: StoreConfig,
    topics: Topics,
    events: Arc<Queue<Event>>,
    figures: Arc<Figures>,
}

impl Subscriber {
    /// A connection that is subscribed to everything.
    async fn open(&self) -> Result<Solo, StoreError> {
        let events = self.events.clone();
        let pushed = move |push: PushInfo| {
            if let Some(event) = subscribe::message(push) {
                events.push(event);
            }
        };
        let mut solo = Solo::open(&self.config, pushed).await?;
        let limit = self.config.command_deadline();
        match self.config.clock.timeout(limit, self.ask(&mut solo)).await {
            Some(outcome) => outcome.map(|()| solo).map_err(StoreError::from),
            None => Err(self.silent("SUBSCRIBE")),
        }
    }

    async fn ask(&self, solo: &mut Solo) -> redis::RedisResult<()> {
        if !self.topics.channels.is_empty() {
            solo.conn.subscribe(&self.topics.channels).await?;
        }
        if !self.topics.patterns.is_empty() {
            solo.conn.psubscribe(&self.topics.patterns).await?;
        }
        Ok(())
    }

    async fn keep(self, first: Solo) {
        let mut solo = first;
        loop {
            self.until_lost(&mut solo).await;
            drop(solo);
            self.events.mark(Event::Disconnected);
            solo = self.reopen().await;
            self.figures.count(Count::Resubscribes);
            self.events.mark(Event::Resubscribed);
        }
    }

    /// Returns when the connection has ended, or does not answer. Nothing is ever sent on it but this `PING`: without one
    /// a connection that is cut off without a word would stay silent for ever.
    async fn until_lost(&self, solo: &mut Solo) {
        let pause = self.config.command_deadline();
        loop {
            tokio::select! {
                () = solo.over() => return,
                () = self.config.clock.sleep(pause) => {}
            }
            let ping = redis::cmd("PING");
            let answer = solo.conn.send_packed_command(&ping);
            if !matches!(self.config.clock.timeout(pause, answer).await, Some(Ok(_))) {
                return;
            }
        }
    }

    async fn reopen(&self) -> Solo {
        let mut failures = 0;
        loop {
            match self.open().await {
                Ok(solo) => return solo,
                Err(error) => {
                    failures += 1;
                    tracing::debug!(%error, failures, "could not subscribe again");
                }
            }
            self.config
                .clock
                .sleep(self.config.retry.pause(failures, &self.config.random))
                .await;
        }
    }

    fn silent(&self, command: &str) -> StoreError {
        StoreError::Timeout {
            address: self.config.address(),
            command: command.into(),
            waited: self.config.command_deadline(),
            sent: true,
        }
    }
}
