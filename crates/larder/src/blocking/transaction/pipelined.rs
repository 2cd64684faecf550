//! Many commands in few round trips, each with its own outcome.

use std::fmt;

use larder_store::StoreError;

use crate::{
    blocking::{Store, on::On},
    redis::{Cmd, FromRedisValue},
    transaction,
};

/// [`larder::transaction::Pipelined`](crate::transaction::Pipelined), blocking: many commands, a bounded number per round trip,
/// each with its own outcome.
///
/// ```
/// use larder::{blocking::{Store, transaction::Pipelined}, redis::{self, Commands as _}};
///
/// # fn main() -> Result<(), larder::BoxError> {
/// let mut store = Store::open("embedded:")?;
/// let () = store.set("n:7", "no number")?;
/// let steps = (0..10).map(|n| redis::cmd("INCR").arg(format!("n:{n}")).to_owned());
/// let counted = Pipelined::on(&store).chunk(4).run::<i64>(steps);
/// assert_eq!(counted.len(), 10);
/// assert!(counted[7].is_err() && *counted[8].as_ref().unwrap() == 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Pipelined {
    on: On<transaction::Pipelined>,
}

impl fmt::Debug for Pipelined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.on, f)
    }
}

impl Pipelined {
    /// On `store`, 500 commands per round trip.
    #[must_use]
    pub fn on(store: &Store) -> Self {
        let on = store.on.beside(transaction::Pipelined::on(store.as_async()));
        Self { on }
    }

    /// How many commands go in one round trip; at least 1. Default: 500.
    #[must_use]
    pub fn chunk(self, commands: usize) -> Self {
        let (pipelined, runtime) = self.on.take();
        let on = On::new(pipelined.chunk(commands), runtime);
        Self { on }
    }

    /// Runs the commands in their order, not as a transaction; see [the async method](crate::transaction::Pipelined::run). They
    /// are taken from the iterator before the first is sent.
    #[track_caller]
    pub fn run<T: FromRedisValue>(&self, commands: impl IntoIterator<Item = Cmd>) -> Vec<Result<T, StoreError>> {
        let commands: Vec<Cmd> = commands.into_iter().collect();
        self.on.wait(self.on.run(commands))
    }
}
