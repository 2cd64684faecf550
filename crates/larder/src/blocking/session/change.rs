//! A change of several fields, made in one step.

use serde::Serialize;

use crate::{
    blocking::Runtime,
    session::{self, SessionError},
};

/// [`larder::session::Change`](crate::session::Change), blocking: all of it is made, in one step, or nothing.
///
/// ```
/// # use larder::blocking::{Store, session::Sessions};
/// # fn main() -> Result<(), larder::BoxError> {
/// # let store = Store::open("embedded:")?;
/// # let mut session = Sessions::builder("web").store(&store).build()?.create()?;
/// session.change().set("city", "Uruk").incr("visits", 1).remove("hint").save()?;
/// assert_eq!(session.get::<i64>("visits")?, Some(1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is changed before `save`"]
pub struct Change<'a> {
    change: session::Change<'a>,
    runtime: Runtime,
}

impl<'a> Change<'a> {
    pub(super) const fn of(change: session::Change<'a>, runtime: Runtime) -> Self {
        Self { change, runtime }
    }

    fn also(self, step: impl FnOnce(session::Change<'a>) -> session::Change<'a>) -> Self {
        let change = step(self.change);
        Self { change, ..self }
    }

    /// Sets a field.
    pub fn set<T: Serialize + ?Sized>(self, field: &str, value: &T) -> Self {
        self.also(|change| change.set(field, value))
    }

    /// Removes a field.
    pub fn remove(self, field: &str) -> Self {
        self.also(|change| change.remove(field))
    }

    /// Adds to a whole number, which begins at 0.
    pub fn incr(self, field: &str, by: i64) -> Self {
        self.also(|change| change.incr(field, by))
    }

    /// Makes the change only if this field still is as it was loaded; say it before the field's own change.
    pub fn if_unchanged(self, field: &str) -> Self {
        self.also(|change| change.if_unchanged(field))
    }

    /// Makes the change, and renews the idle time: one round trip.
    ///
    /// # Errors
    /// As [the async method](crate::session::Change::save).
    #[track_caller]
    pub fn save(self) -> Result<(), SessionError> {
        self.runtime.block_on(self.change.save())
    }
}
