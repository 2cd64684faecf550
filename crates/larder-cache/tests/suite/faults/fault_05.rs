//! 5: a failover to a replica that was cut off, and lacks the last invalidations.

use larder_cache::NewGeneration;
use larder_testkit::{Kind, Proxy, RedisServer, Wire};

use super::{
    lost_tail::{Forgetful, Writer, lose_tail},
    row::{Baseline, row},
};

/// A primary, and a replica that can be parted from it.
pub(crate) struct Pair {
    primary: RedisServer,
    between: Proxy,
    replica: RedisServer,
    promoted: bool,
}

impl Pair {
    pub(crate) async fn start() -> Self {
        let primary = RedisServer::start().await;
        let between = Proxy::start(primary.port()).await.expect("loopback has a free port");
        let replica = RedisServer::start_replica_of(between.port()).await;
        Self {
            primary,
            between,
            replica,
            promoted: false,
        }
    }
}

impl Forgetful for Pair {
    fn port(&self) -> u16 {
        if self.promoted {
            self.replica.port()
        } else {
            self.primary.port()
        }
    }

    fn keep(&mut self) {
        // Behind a write of its own: a client that has written nothing has nothing to wait for.
        let mut wire = Wire::tcp(self.primary.port());
        wire.call(&["SET", "so-far", "1"]).expect("the primary is up");
        let replicas = wire.call(&["WAIT", "1", "20000"]).expect("the primary is up");
        assert_eq!(replicas.int(), 1, "the replica has everything so far");
        self.between.hold_replies();
    }

    async fn lose(&mut self) {
        self.replica.promote();
        self.promoted = true;
    }
}

#[test]
fn fault_05_replay() {
    row(5, &[Baseline::Naive, Baseline::Lock], &[Kind::Redis], async |turn| {
        lose_tail(turn, NewGeneration::Replay, Writer::Lives, Pair::start().await).await
    });
}

#[test]
fn fault_05_fence() {
    row(5, &[], &[Kind::Redis], async |turn| {
        lose_tail(turn, NewGeneration::Fence, Writer::Dies, Pair::start().await).await
    });
}
