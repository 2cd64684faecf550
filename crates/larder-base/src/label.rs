//! How a key shows in errors, logs and spans: keys may be private, so by default only a digest does.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

use xxhash_rust::xxh3::xxh3_64;

static SHOW_KEYS: AtomicBool = AtomicBool::new(false);

/// Lets keys appear in full in errors and trace output of this process (off by default, for they may be private).
pub fn show_keys(show: bool) {
    // Relaxed: a switch for people; nothing else is ordered by it.
    SHOW_KEYS.store(show, Ordering::Relaxed);
}

/// A key as an error or a log line may show it: the namespace and eight hex digits, or the key where
/// [`show_keys`] allows it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyLabel {
    namespace: std::sync::Arc<str>,
    digest: u32,
    shown: Option<Box<str>>,
}

/// Longer keys are cut in labels: an error must stay readable.
const SHOWN_MAX: usize = 64;

impl KeyLabel {
    /// Labels the encoded `key` of `namespace`.
    #[must_use]
    pub fn new(namespace: &std::sync::Arc<str>, key: &str) -> Self {
        let shown = SHOW_KEYS
            .load(Ordering::Relaxed)
            .then(|| key.chars().take(SHOWN_MAX).collect());
        Self {
            namespace: namespace.clone(),
            digest: xxh3_64(key.as_bytes()) as u32,
            shown,
        }
    }
}

impl fmt::Display for KeyLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shown {
            Some(key) => write!(f, "{}:{key}", self.namespace),
            None => write!(f, "{}:#{:08x}", self.namespace, self.digest),
        }
    }
}

impl fmt::Debug for KeyLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
