//! Building: the settings.

use std::time::Duration;

use super::Sessions;
use crate::{
    blocking::{
        Store,
        face::{self, settings},
    },
    session::{self, SessionError, WhenFull},
};

/// [`larder::session::SessionsBuilder`](crate::session::SessionsBuilder), blocking: the same settings and defaults.
#[derive(Clone, Debug)]
#[must_use = "nothing is built before `build`"]
pub struct SessionsBuilder {
    builder: session::SessionsBuilder,
    store: Option<Store>,
}

impl SessionsBuilder {
    pub(super) const fn of(builder: session::SessionsBuilder) -> Self {
        Self { builder, store: None }
    }

    /// Where the sessions are kept. Required.
    pub fn store(mut self, store: &Store) -> Self {
        self.builder = self.builder.store(store.as_async());
        self.store = Some(store.clone());
        self
    }

    settings! {
        "session::SessionsBuilder";
        idle(span: Duration);
        renew_every(span: Duration);
        absolute(span: Duration);
        login_max(span: Duration);
        data_max(bytes: u64);
        max_per_user(sessions: u32);
        when_full(when_full: WhenFull);
    }

    /// Builds it; nothing is sent.
    ///
    /// # Errors
    /// As [the async method](crate::session::SessionsBuilder::build).
    pub fn build(self) -> Result<Sessions, SessionError> {
        face::build(self.store, || self.builder.build())
    }
}
