//! No tool leaves a key without a TTL behind.

use larder_testkit::{Topology, Wire};

/// Asserts that every key of the store has a TTL, and that there are at least `least` keys: a scan of nothing shows nothing.
///
/// # Panics
/// If one has none; it is named.
#[track_caller]
pub(crate) fn no_immortal_keys(t: &Topology, least: usize) {
    no_immortal_keys_at(&mut t.wire(), least);
}

/// The same of a server that is no topology's.
///
/// # Panics
/// As [`no_immortal_keys`].
#[track_caller]
pub(crate) fn no_immortal_keys_at(wire: &mut Wire, least: usize) {
    let keys = wire.call(&["KEYS", "*"]).expect("the server answers");
    let keys: Vec<String> = keys.list().iter().map(larder_testkit::Answer::text).collect();
    assert!(
        keys.len() >= least,
        "{} keys, of at least {least}: {keys:?}",
        keys.len()
    );
    for key in keys {
        let ttl = wire.call(&["PTTL", &key]).expect("the server answers").int();
        // -2: it lapsed since it was listed.
        assert!(ttl >= 0 || ttl == -2, "`{key}` has no TTL");
    }
}
