//! Proving that the stream of invalidations is live (rules R5 and R9 of protocol 1.5).
//!
//! "No disconnect seen" proves nothing: a connection may be half open. A PING that is answered does, for what the server
//! pushed before it is read before its answer, and pushes are applied where they are read.

use std::time::Duration;

use redis::Value;

use super::{line::Line, link::Link, request::Batch};
use crate::listen::Heartbeat;

/// For so many heartbeats a connection may stay untracked although somebody listens: turning it on takes a round trip, and as
/// long as the command deadline if the server is slow.
const UNTRACKED_BEATS: u32 = 32;

impl Line {
    /// Sends a heartbeat whenever one is due, while the connection is tracked. Returns if the machine was suspended: what
    /// was read before is then of unknown age by a clock that stood still, and the connection ends.
    pub(super) async fn beat(&self, link: &Link) {
        let clock = &self.config.clock;
        let at_first = clock.suspended();
        let mut untracked = 0;
        loop {
            clock.sleep(self.listeners.heartbeat()).await;
            if clock.slept_since(at_first) {
                tracing::info!(address = %self.address, "the machine was suspended: connecting anew");
                return;
            }
            if self.listeners.is_empty() {
                continue;
            }
            if link.tracked_since().is_none() {
                // Whoever listens turns tracking on, unless that came to nothing while the connection was being set up.
                untracked += 1;
                if untracked > UNTRACKED_BEATS {
                    return;
                }
                continue;
            }
            if let Some(beat) = self.beat_once(link).await {
                link.life.confirmed(beat);
            }
        }
    }

    /// One PING, with a TIME behind it.
    async fn beat_once(&self, link: &Link) -> Option<Heartbeat> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("PING").cmd("TIME");
        let sent = self.config.clock.monotonic();
        let request = Batch {
            pipeline: &pipeline,
            offset: 0,
            count: 2,
        };
        let replies = self.carry(&request, &mut link.conn()).await.ok()?;
        let received = self.config.clock.monotonic();
        match &replies[..] {
            [Value::ServerError(error), ..] => {
                tracing::warn!(%error, "the server refuses PING: no near copy can be served");
                None
            }
            [_, time] => Some(Heartbeat::new(sent, received, since_1970(time))),
            _ => None,
        }
    }
}

/// The reply of TIME: seconds and microseconds, as texts.
fn since_1970(time: &Value) -> Option<Duration> {
    let (seconds, micros): (u64, u64) = redis::from_redis_value_ref(time).ok()?;
    Some(Duration::from_secs(seconds) + Duration::from_micros(micros))
}
