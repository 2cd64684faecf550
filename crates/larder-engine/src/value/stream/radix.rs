//! How many nodes Redis's radix tree would have, which `XINFO STREAM` tells.

/// Nodes of a tree of these keys, in order and all different.
pub(super) fn nodes(keys: &[[u8; 16]]) -> usize {
    if keys.is_empty() { 1 } else { below(keys, 0) }
}

/// Nodes that hold what these keys have after `depth` bytes that they share.
///
/// A run without a branch is one node, a branch is one, the end of a key is one.
fn below(keys: &[[u8; 16]], depth: usize) -> usize {
    let (first, last) = (&keys[0], &keys[keys.len() - 1]);
    let shared = first.iter().zip(last).take_while(|(a, b)| a == b).count();
    let run = usize::from(shared > depth);
    if keys.len() == 1 {
        return run + 1;
    }
    let branches = keys.chunk_by(|a, b| a[shared] == b[shared]);
    run + 1 + branches.map(|branch| below(branch, shared + 1)).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_runs_branches_and_ends() {
        let key = |n: u128| n.to_be_bytes();
        assert_eq!(nodes(&[]), 1);
        assert_eq!(nodes(&[key(1)]), 2);
        // The shared run, the branch at the last byte, two ends.
        assert_eq!(nodes(&[key(1), key(2)]), 4);
        // A branch one byte earlier: a run of one byte before each end.
        assert_eq!(nodes(&[key(1), key(256)]), 6);
    }
}
