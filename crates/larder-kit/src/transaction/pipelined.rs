//! Many commands in few round trips, each with its own outcome.

use larder_store::{Store, StoreError};
use redis::{Cmd, FromRedisValue, Pipeline, RedisError, aio::ConnectionLike as _};

/// Sends many commands, a bounded number per round trip, and gives each its own outcome.
///
/// `redis::pipe()` on a [`Store`] is one round trip however long it is, and one error if any of its commands fails. For
/// thousands of commands, of which some may fail, that is neither bounded nor helpful. (For commands that belong together use
/// `redis::pipe().atomic()`: one transaction, typed.)
///
/// ```
/// use larder_kit::transaction::Pipelined;
/// use larder_store::{Store, redis::{self, AsyncCommands as _}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut store = Store::open("embedded:").await?;
/// let _: () = store.set("n:7", "no number").await?;
/// let steps = (0..10).map(|n| redis::cmd("INCR").arg(format!("n:{n}")).to_owned());
/// let counted = Pipelined::on(&store).chunk(4).run::<i64>(steps).await;
/// assert_eq!(counted.len(), 10);
/// assert!(counted[7].is_err() && *counted[8].as_ref().unwrap() == 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Pipelined {
    store: Store,
    chunk: usize,
}

/// Commands per round trip: the server answers other clients in between, and neither side holds more replies than these.
const CHUNK: usize = 500;

impl Pipelined {
    /// On `store`, 500 commands per round trip.
    #[must_use]
    pub fn on(store: &Store) -> Self {
        Self {
            store: store.clone(),
            chunk: CHUNK,
        }
    }

    /// How many commands go in one round trip; at least 1. Default: 500.
    #[must_use]
    pub fn chunk(mut self, commands: usize) -> Self {
        self.chunk = commands.max(1);
        self
    }

    /// Runs the commands in their order, not as a transaction: others come in between. As many outcomes as commands.
    ///
    /// A chunk whose connection fails, or of which a command is refused on a shared connection, has that error in the place of
    /// each of its commands; the chunks after it are sent all the same.
    ///
    /// # Cancel safety
    /// Some may have run.
    pub async fn run<T: FromRedisValue>(&self, commands: impl IntoIterator<Item = Cmd>) -> Vec<Result<T, StoreError>> {
        let mut commands = commands.into_iter();
        let mut outcomes = Vec::with_capacity(commands.size_hint().0);
        loop {
            let mut pipeline = Pipeline::with_capacity(self.chunk.min(CHUNK));
            for command in commands.by_ref().take(self.chunk) {
                pipeline.add_command(command);
            }
            if pipeline.is_empty() {
                return outcomes;
            }
            self.run_chunk(&pipeline, &mut outcomes).await;
        }
    }

    async fn run_chunk<T: FromRedisValue>(&self, pipeline: &Pipeline, outcomes: &mut Vec<Result<T, StoreError>>) {
        let count = pipeline.len();
        match self.store.clone().req_packed_commands(pipeline, 0, count).await {
            Ok(values) => outcomes.extend(values.into_iter().map(|value| {
                let value = value.extract_error()?;
                redis::from_redis_value(value).map_err(|error| RedisError::from(error).into())
            })),
            Err(error) => {
                let error = StoreError::from(error);
                outcomes.extend((0..count).map(|_| Err(error.clone())));
            }
        }
    }
}
