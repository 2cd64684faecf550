//! Scripts whose effect replicas have too before they count as done.

use std::time::Duration;

use redis::{Value, aio::ConnectionLike as _};

use crate::{ScriptCall, Store, StoreError};

/// A channel that nobody listens to.
const CHANNEL: &str = "larder.replicated";

impl Store {
    /// Runs `calls` as [`call_many`](Self::call_many) does, and then waits (`WAIT`) until `replicas` replicas have
    /// acknowledged what they wrote, for at most `within`. If fewer have, each outcome is [`StoreError::Unreplicated`].
    ///
    /// `WAIT` blocks its connection and counts from the writes of that connection, so this takes a
    /// [dedicated](Self::dedicated) one. It makes the loss of the writes in a failover unlikely, not impossible: nothing
    /// makes the server promote one of the replicas that have them.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the answers; the scripts may run.
    pub async fn call_replicated(
        &self,
        calls: &[ScriptCall],
        replicas: u32,
        within: Duration,
    ) -> Vec<Result<Value, StoreError>> {
        match self.try_call_replicated(calls, replicas, within).await {
            Ok(results) => results,
            Err(error) => calls.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn try_call_replicated(
        &self,
        calls: &[ScriptCall],
        replicas: u32,
        within: Duration,
    ) -> Result<Vec<Result<Value, StoreError>>, StoreError> {
        let shebang = self.knows_shebang();
        let mut pipeline = redis::pipe();
        let mut loaded: Vec<&str> = Vec::new();
        for call in calls {
            let sha = call.script().sha(shebang);
            if !loaded.contains(&sha) {
                pipeline.cmd("SCRIPT").arg("LOAD").arg(call.script().source(shebang));
                loaded.push(sha);
            }
        }
        for call in calls {
            pipeline.add_command(call.command(shebang));
        }
        // WAIT counts from this connection's last write, and a script that found its work done wrote nothing: whoever did
        // it may not have waited. A message is always replicated, and stands behind all that was written before.
        pipeline.cmd("PUBLISH").arg(CHANNEL).arg("");
        // 0 would be for ever.
        let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX).max(1);
        pipeline.cmd("WAIT").arg(replicas).arg(within_ms);
        let mut own = self.dedicated().await?;
        let mut replies = own
            .req_packed_commands(&pipeline, loaded.len(), calls.len() + 2)
            .await?;
        let reached = match replies.pop().map(Value::extract_error).transpose()? {
            Some(Value::Int(reached)) => u32::try_from(reached).unwrap_or(u32::MAX),
            _ => 0,
        };
        if let Some(published) = replies.pop() {
            published.extract_error()?;
        }
        if reached < replicas {
            return Err(StoreError::Unreplicated {
                address: self.config().address(),
                reached,
                replicas,
                within,
            });
        }
        let results = replies.into_iter().map(|reply| Ok(reply.extract_error()?));
        Ok(results.collect())
    }
}
