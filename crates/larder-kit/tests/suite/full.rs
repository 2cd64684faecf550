//! A store that has no room left, or has it again.

use larder_testkit::Topology;

/// Takes all room away from what may need it, or gives it back.
///
/// # Panics
/// If the server does not answer.
pub(crate) fn is_full(t: &Topology, full: bool) {
    let bytes = if full { "1" } else { "0" };
    t.wire()
        .call(&["CONFIG", "SET", "maxmemory", bytes])
        .expect("the server answers");
}
