//! Building: the settings and their defaults.

use std::{sync::Arc, time::Duration};

use larder_store::Store;

use super::{Transactions, error::TransactionError, run::Inner};
use crate::{
    figures::{Series, Tally},
    metric,
    names::Namespace,
};

/// Settings of [`Transactions`], each with a default but the store.
#[derive(Clone, Debug)]
#[must_use = "nothing is built before `build`"]
pub struct TransactionsBuilder {
    name: String,
    store: Option<Store>,
    settings: Settings,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) attempts: u32,
    pub(super) first_pause: Duration,
    pub(super) max_pause: Duration,
}

/// What is counted, at its place in [`SERIES`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Count {
    Committed,
    Left,
    Contended,
    Failed,
    Conflict,
}

const SERIES: &[Series] = &[
    (metric::TRANSACTIONS, Some("committed")),
    (metric::TRANSACTIONS, Some("left")),
    (metric::TRANSACTIONS, Some("contended")),
    (metric::TRANSACTIONS, Some("failed")),
    (metric::TRANSACTION_CONFLICTS, None),
];

/// The most that may be asked for as `attempts`.
const ATTEMPTS_MAX: u32 = 1_000;

impl TransactionsBuilder {
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            store: None,
            settings: Settings {
                attempts: 16,
                first_pause: Duration::from_millis(1),
                max_pause: Duration::from_millis(64),
            },
        }
    }

    /// Where they run. Required.
    pub fn store(mut self, store: &Store) -> Self {
        self.store = Some(store.clone());
        self
    }

    /// How often one is tried before it fails with [`TransactionError::Contended`]. Default: 16; at most 1000.
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.settings.attempts = attempts;
        self
    }

    /// How long to pause after a lost attempt: a random part of `first`, of twice as much after the next one, and so on up to
    /// `max`, so that those who met once do not meet again. Default: 1 ms and 64 ms.
    pub const fn pause(mut self, first: Duration, max: Duration) -> Self {
        self.settings.first_pause = first;
        self.settings.max_pause = max;
        self
    }

    /// Builds it; nothing is sent.
    ///
    /// # Errors
    /// [`TransactionError::Settings`], naming the setting; [`TransactionError::Name`].
    pub fn build(self) -> Result<Transactions, TransactionError> {
        let wrong = |text: &str| TransactionError::Settings(text.to_owned());
        let name = Namespace::new(&self.name)?;
        let store = self
            .store
            .ok_or_else(|| wrong("transactions need a store: `.store(&store)`"))?;
        let settings = self.settings;
        if !(1..=ATTEMPTS_MAX).contains(&settings.attempts) {
            return Err(wrong("`attempts` must be from 1 to 1000"));
        }
        if settings.first_pause > settings.max_pause {
            return Err(wrong("the first `pause` is longer than the longest; swap them"));
        }
        let tally = Tally::of("transaction", name.text(), SERIES);
        Ok(Transactions {
            inner: Arc::new(Inner {
                name: name.text().clone(),
                store,
                settings,
                tally,
            }),
        })
    }
}
