//! What a write has done when it returns.

use crate::{Ack, Error, Version};

/// What a put or a remove has done when it returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    invalidation: Delivery,
    ack: Option<Ack>,
    tickets: Vec<Ticket>,
}

/// One write that waits to be flushed: which change of which partition it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// One of the 64 partitions of the namespace.
    pub partition: u8,
    /// Its number among the writes of that partition.
    pub version: Version,
}

/// Whether the store has acknowledged a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// It has: whoever reads from now on sees the change.
    Acknowledged,
    /// It has not. This process no longer reads the old value, and sends the change again until it is acknowledged; other
    /// readers may see the old value until then, or until its hard TTL.
    Pending,
}

impl Receipt {
    pub(crate) const ACKNOWLEDGED: Self = Self {
        invalidation: Delivery::Acknowledged,
        ack: None,
        tickets: Vec::new(),
    };

    /// Of writes that wait to be flushed, as safe as `ack` says.
    pub(crate) const fn accepted(ack: Ack, tickets: Vec<Ticket>) -> Self {
        Self {
            invalidation: Delivery::Acknowledged,
            ack: Some(ack),
            tickets,
        }
    }

    /// What became of an invalidation.
    pub(crate) fn of(invalidated: Result<(), Error>) -> Result<Self, Error> {
        match invalidated {
            Ok(()) => Ok(Self::ACKNOWLEDGED),
            Err(error) if error.is_pending() => Ok(Self {
                invalidation: Delivery::Pending,
                ..Self::ACKNOWLEDGED
            }),
            Err(error) => Err(error),
        }
    }

    /// Of two changes, the one of which less is known.
    pub(crate) fn and(mut self, other: Self) -> Self {
        if other.invalidation == Delivery::Pending {
            self.invalidation = Delivery::Pending;
        }
        self.ack = other.ack.or(self.ack);
        self.tickets.extend(other.tickets);
        self
    }

    /// Whether the store has acknowledged that the old value is gone.
    #[must_use]
    pub const fn invalidation(&self) -> Delivery {
        self.invalidation
    }

    /// How safe the write is until the source has it, under [write-behind](crate::WritePolicy::Behind): the level that was
    /// asked for, for `put` waits until it is reached. `None` where the source has the write already.
    #[must_use]
    pub const fn ack(&self) -> Option<Ack> {
        self.ack
    }

    /// The writes that wait to be flushed; [`Cache::barrier`](crate::Cache::barrier) waits for them.
    #[must_use]
    pub fn tickets(&self) -> &[Ticket] {
        &self.tickets
    }
}
