//! What the tools' keys are called: `<tool>:{<namespace>:<key>}<part>`.
//!
//! All keys of one lock, limit or the like share the hash tag, hence a slot, so that its scripts touch one alone. A cache
//! never writes such keys: its tags are `{<namespace>.<partition>}`, without a colon.

use std::sync::Arc;

use larder_base::{CacheKey, WrittenKey};

/// The name of what belongs together, such as all locks on invoices: `[a-z0-9_.-]+`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Namespace(Arc<str>);

/// A namespace that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the namespace {name:?} has other characters than [a-z0-9_.-], or none; choose another, such as `invoices`")]
pub struct BadNamespace {
    name: String,
}

impl Namespace {
    pub(crate) fn new(name: &str) -> Result<Self, BadNamespace> {
        let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_allowed) {
            return Err(BadNamespace { name: name.into() });
        }
        Ok(Self(name.into()))
    }

    pub(crate) fn text(&self) -> &Arc<str> {
        &self.0
    }

    /// What all keys of `key` in this namespace begin with: `<tool>:{<namespace>:<key>}`.
    pub(crate) fn stem<K: ToolKey + ?Sized>(&self, tool: &'static str, key: &K) -> String {
        format!("{tool}:{{{}:{}}}", self.0, key.written().as_str())
    }
}

/// What a tool takes as a key: whatever may be the key of a cache, and `str`.
pub trait ToolKey: Send + Sync {
    /// The key as it stands in the store.
    fn written(&self) -> WrittenKey;
}

impl<K: CacheKey> ToolKey for K {
    fn written(&self) -> WrittenKey {
        WrittenKey::of(self)
    }
}

impl ToolKey for str {
    fn written(&self) -> WrittenKey {
        WrittenKey::of(&self.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_what_a_key_can_carry() {
        for good in ["invoices", "a", "a-b_c.9"] {
            assert_eq!(&**Namespace::new(good).unwrap().text(), good);
        }
        for bad in ["", "A", "a:b", "a b", "ä", "{a}"] {
            let error = Namespace::new(bad).unwrap_err().to_string();
            assert!(error.contains(&format!("{bad:?}")), "{error}");
        }
    }

    #[test]
    fn the_stem_is_readable_and_holds_one_hash_tag() {
        let ns = Namespace::new("invoices").unwrap();
        assert_eq!(ns.stem("lock", &42u64), "lock:{invoices:42}");
        assert_eq!(ns.stem("lock", "nightly"), "lock:{invoices:nightly}");
        // The first closing brace ends the tag: every key with this stem is in the same slot.
        assert_eq!(ns.stem("lock", &"}{".to_owned()), "lock:{invoices:}{}");
    }
}
