//! 4: the server is killed, and restarts from a save that is older than the last invalidations.

use larder_cache::NewGeneration;
use larder_testkit::{Kind, RedisServer};

use super::{
    lost_tail::{Forgetful, Writer, lose_tail},
    row::{Baseline, row},
};

impl Forgetful for RedisServer {
    fn port(&self) -> u16 {
        Self::port(self)
    }

    fn keep(&mut self) {
        self.save();
    }

    async fn lose(&mut self) {
        self.restart_from_save().await;
    }
}

/// Every process repeats what it invalidated lately.
#[test]
fn fault_04_replay() {
    row(4, &[Baseline::Naive, Baseline::Lock], &[Kind::Redis], async |turn| {
        lose_tail(turn, NewGeneration::Replay, Writer::Lives, RedisServer::start().await).await
    });
}

/// Every process drops everything, so that nobody needs the writers.
#[test]
fn fault_04_fence() {
    row(4, &[], &[Kind::Redis], async |turn| {
        lose_tail(turn, NewGeneration::Fence, Writer::Dies, RedisServer::start().await).await
    });
}
