//! Hearing that a store is back.

use std::fmt;

use tokio::sync::watch;

use crate::remote::Attempts;

/// Tells of every connection that a store establishes; [`Store::connections`](crate::Store::connections) begins it.
///
/// A connection may lead to another run of the server, or to another server: compare
/// [`Store::generation`](crate::Store::generation).
pub struct Connections {
    /// `None` for an engine in this process, which is never connected anew.
    attempts: Option<watch::Receiver<Attempts>>,
    seen: u64,
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("seen", &self.seen).finish()
    }
}

impl Connections {
    pub(crate) fn of(attempts: Option<watch::Receiver<Attempts>>) -> Self {
        let seen = attempts.as_ref().map_or(0, |attempts| attempts.borrow().connected);
        Self { attempts, seen }
    }

    /// Waits for the next connection; several that came meanwhile count as one. For ever if there will be none: the store is
    /// closed, or its data is in this process.
    ///
    /// # Cancel safety
    /// Nothing is lost: the next call returns at once.
    pub async fn next(&mut self) {
        let Some(attempts) = &mut self.attempts else {
            return std::future::pending().await;
        };
        let seen = self.seen;
        let changed = attempts.wait_for(|now| now.connected != seen).await;
        // Not the borrow itself: it must not live across the await below.
        match changed.map(|now| now.connected) {
            Ok(connected) => self.seen = connected,
            Err(_) => std::future::pending().await,
        }
    }
}
