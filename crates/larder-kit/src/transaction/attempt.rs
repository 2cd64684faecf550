//! How one attempt of a transaction ended.

use larder_store::Dedicated;

/// How one attempt ended: [`commit`](super::Watched::commit) and [`leave`](super::Watched::leave) make it, and
/// [`run`](super::Transactions::run) tries again if it was lost.
#[derive(Debug)]
#[must_use = "a lost attempt has written nothing"]
pub struct Attempt<T>(pub(super) End<T>);

#[derive(Debug)]
pub(super) enum End<T> {
    Committed(T),
    /// The caller wrote nothing, on purpose.
    Left(T),
    /// Others changed what was watched; the connection is as new.
    Lost(Box<Dedicated>),
}

impl<T> Attempt<T> {
    /// The same with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Attempt<U> {
        Attempt(match self.0 {
            End::Committed(value) => End::Committed(change(value)),
            End::Left(value) => End::Left(change(value)),
            End::Lost(own) => End::Lost(own),
        })
    }

    /// Whether others changed what was watched, and nothing was written.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        matches!(self.0, End::Lost(_))
    }

    /// What it came to; `None` if it was lost.
    #[must_use]
    pub fn value(self) -> Option<T> {
        match self.0 {
            End::Committed(value) | End::Left(value) => Some(value),
            End::Lost(_) => None,
        }
    }
}
