//! C11 and C12: writes that are accepted first and reach the source later.
//!
//! Of a key that is written often the source may take only the last: a version that it never had is no loss if it had a
//! newer one. A write whose acknowledgement nobody saw may have been accepted or not; either is right.

use std::collections::BTreeSet;

use super::{
    check::Rule,
    event::{Taken, Write},
};

/// What is broken of one key, given every write of it and all that the source took, once nothing is on its way any more.
pub(super) fn check(writes: &[Write], taken: &mut [Taken]) -> Vec<(Rule, String)> {
    taken.sort_unstable_by_key(|taken| taken.place);
    let mut broken = Vec::new();
    for pair in taken.windows(2) {
        if pair[1].version <= pair[0].version {
            broken.push((Rule::C12, format!("{:?} after {:?}", pair[1], pair[0])));
        }
    }
    let accepted = writes.iter().filter(|write| write.acknowledged.is_some());
    let newest = accepted.max_by_key(|write| write.version);
    let last = taken.last().map_or(0, |taken| taken.version);
    if let Some(newest) = newest.filter(|newest| newest.version > last) {
        broken.push((
            Rule::C11,
            format!("the source ends with version {last}, after {newest:?}"),
        ));
    }
    let written: BTreeSet<u64> = writes.iter().map(|write| write.version).collect();
    let strangers = taken.iter().filter(|taken| !written.contains(&taken.version));
    broken.extend(strangers.map(|stranger| (Rule::C6, format!("nobody wrote {stranger:?}"))));
    broken
}
