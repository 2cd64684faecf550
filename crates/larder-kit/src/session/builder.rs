//! Building: the settings, their defaults, and what of them cannot be meant.

use std::{sync::Arc, time::Duration};

use larder_store::Store;

use super::{Sessions, error::SessionError, script::Texts, sessions::Inner};
use crate::{
    figures::Tally,
    mutant::{self, Mutant},
    names::Namespace,
};

/// What happens when a user has [`max_per_user`](SessionsBuilder::max_per_user) sessions and logs in once more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// The one that was created first ends.
    #[default]
    EndOldest,
    /// The new one is refused with [`SessionError::TooMany`].
    Refuse,
}

/// Settings of [`Sessions`], each with a default but the store.
#[derive(Clone, Debug)]
#[must_use = "nothing is built before `build`"]
pub struct SessionsBuilder {
    namespace: String,
    store: Option<Store>,
    pub(super) settings: Settings,
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) idle: Duration,
    pub(super) renew_every: Option<Duration>,
    pub(super) absolute: Duration,
    pub(super) login_max: Duration,
    pub(super) data_max: u64,
    pub(super) max_per_user: u32,
    pub(super) when_full: WhenFull,
    pub(super) texts: Texts,
}

/// Which part of `idle` the default of `renew_every` is: a session used at every moment is written to 16 times in the time in
/// which it would end unused.
const RENEWALS: u32 = 16;

impl Settings {
    pub(super) fn renew_every(&self) -> Duration {
        self.renew_every.unwrap_or(self.idle / RENEWALS)
    }

    /// How long a session is kept after a use that was noted: `idle` from the last one that was not.
    pub(super) fn ttl(&self) -> Duration {
        if mutant::lives(Mutant::S8) {
            return self.idle;
        }
        self.idle + self.renew_every()
    }
}

/// The most that may be asked for as `data_max`: a load carries all of it, and a server runs nothing else meanwhile.
const DATA_MAX: u64 = 8 * 1024 * 1024;

/// The most that may be asked for as `max_per_user`: a list of them is one script.
const PER_USER_MAX: u32 = 10_000;

/// A hundred years: beyond it the server's arithmetic has nothing to gain.
const SPAN_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

impl SessionsBuilder {
    pub(super) fn new(namespace: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            store: None,
            settings: Settings {
                idle: Duration::from_secs(30 * 60),
                renew_every: None,
                absolute: Duration::from_secs(12 * 3_600),
                login_max: Duration::from_secs(15 * 60),
                data_max: 64 * 1024,
                max_per_user: 100,
                when_full: WhenFull::EndOldest,
                texts: Texts::new(),
            },
        }
    }

    /// Where the sessions are kept. Required.
    pub fn store(mut self, store: &Store) -> Self {
        self.store = Some(store.clone());
        self
    }

    /// A session is kept for this long without a use: every load and every change begins the time anew. It ends then, or up
    /// to [`renew_every`](Self::renew_every) later. Default: 30 minutes.
    pub const fn idle(mut self, span: Duration) -> Self {
        self.settings.idle = span;
        self
    }

    /// How often the use of a session is noted: a load that comes sooner after the last note writes nothing, and costs the server
    /// half as much. A session so ends between `idle` and `idle + renew_every` after its last use, and
    /// [`SessionInfo::seen_at`](super::SessionInfo::seen_at) may be so much too early. Changes are always noted.
    ///
    /// Default: a sixteenth of `idle`. At most `idle`; `Duration::ZERO` notes every load, and is exact.
    pub const fn renew_every(mut self, span: Duration) -> Self {
        self.settings.renew_every = Some(span);
        self
    }

    /// A session ends this long after it was created, used or not; rotating its id does not make it younger. Default: 12 hours.
    pub const fn absolute(mut self, span: Duration) -> Self {
        self.settings.absolute = span;
        self
    }

    /// How long a login may take from [`begin_login`](Sessions::begin_login) to the session. Default: 15 minutes.
    pub const fn login_max(mut self, span: Duration) -> Self {
        self.settings.login_max = span;
        self
    }

    /// How many bytes the names and values of a session's fields may have together. A change beyond it is refused. Default:
    /// 64 KiB; at most 8 MiB.
    pub const fn data_max(mut self, bytes: u64) -> Self {
        self.settings.data_max = bytes;
        self
    }

    /// How many sessions one user may have. Default: 100; at most 10 000.
    pub const fn max_per_user(mut self, sessions: u32) -> Self {
        self.settings.max_per_user = sessions;
        self
    }

    /// What happens at one more. Default: [`WhenFull::EndOldest`].
    pub const fn when_full(mut self, when_full: WhenFull) -> Self {
        self.settings.when_full = when_full;
        self
    }

    /// Writes one place of one script otherwise: for the tests of this crate.
    #[cfg(feature = "mutants")]
    pub fn mutant(mut self, script: &str, text: &str, other: &str) -> Self {
        self.settings.texts.mutate(script, text, other);
        self
    }

    /// Builds it; nothing is sent.
    ///
    /// # Errors
    /// [`SessionError::Settings`], naming the setting; [`SessionError::Namespace`].
    pub fn build(self) -> Result<Sessions, SessionError> {
        let namespace = Namespace::new(&self.namespace)?;
        let store = self
            .store
            .ok_or_else(|| wrong("the sessions need a store: `.store(&store)`"))?;
        let settings = self.settings;
        for (name, span) in [
            ("idle", settings.idle),
            ("absolute", settings.absolute),
            ("login_max", settings.login_max),
        ] {
            if span < Duration::from_millis(1) || span > SPAN_MAX {
                return Err(wrong(&format!(
                    "`{name}` is {span:?}; it must be from 1 ms to 100 years"
                )));
            }
        }
        if settings.idle > settings.absolute {
            return Err(wrong(&format!(
                "`idle` ({:?}) is longer than `absolute` ({:?}), so it would never end a session; shorten it",
                settings.idle, settings.absolute
            )));
        }
        if settings.renew_every() > settings.idle {
            return Err(wrong(&format!(
                "`renew_every` ({:?}) is longer than `idle` ({:?}); at most as long",
                settings.renew_every(),
                settings.idle
            )));
        }
        if !(1..=DATA_MAX).contains(&settings.data_max) {
            return Err(wrong("`data_max` must be from 1 byte to 8 MiB"));
        }
        if !(1..=PER_USER_MAX).contains(&settings.max_per_user) {
            return Err(wrong("`max_per_user` must be from 1 to 10000"));
        }
        let tally = Tally::of("session", namespace.text(), super::figures::SERIES);
        Ok(Sessions {
            inner: Arc::new(Inner::new(&namespace, store, settings, tally)),
        })
    }
}

fn wrong(text: &str) -> SessionError {
    SessionError::Settings(text.to_owned())
}
