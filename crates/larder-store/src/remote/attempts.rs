//! Waiting for a connection.

use tokio::sync::watch;

use super::connect::Cause;

/// What those wait for who need a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts {
    /// Attempts that failed since the last connection.
    pub(super) failed: u32,
    /// Why the last one did.
    pub(super) cause: Option<Cause>,
    /// Connections established so far.
    pub(crate) connected: u64,
    /// No more attempts will be made.
    pub(super) closed: bool,
}

/// Waits until `look` finds a connection; `Err` with how things stand once `enough` attempts in a row have failed, or none
/// will be made.
///
/// # Cancel safety
/// Only the wait is lost.
pub(super) async fn wait<T>(
    attempts: &mut watch::Receiver<Attempts>,
    enough: u32,
    look: impl Fn() -> Option<T>,
) -> Result<T, Attempts> {
    loop {
        // Before the look: a connection is there first and told of then, so one that the look has missed is told of later. The
        // other way round, what is told in between counts as seen, and nobody wakes.
        let seen = attempts.borrow_and_update().clone();
        if let Some(found) = look() {
            return Ok(found);
        }
        if seen.closed || seen.failed >= enough || attempts.changed().await.is_err() {
            return Err(seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::FutureExt as _;

    use super::*;

    /// A connection that comes up right after the look.
    #[test]
    fn a_connection_just_missed_is_told_of() {
        let told = watch::Sender::new(Attempts::default());
        let is_up = Cell::new(false);
        let look = || {
            let found = is_up.get().then_some("the connection");
            if !is_up.replace(true) {
                told.send_modify(|attempts| attempts.connected += 1);
            }
            found
        };
        let mut attempts = told.subscribe();
        let found = wait(&mut attempts, 3, look).now_or_never();
        assert_eq!(found.expect("nothing is left to wait for").ok(), Some("the connection"));
    }
}
