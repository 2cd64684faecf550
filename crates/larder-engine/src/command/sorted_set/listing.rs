//! How members with scores are answered.

use crate::{Reply, Resp};

/// Members, with their scores if asked for: in pairs for RESP3, flat for RESP2.
pub(super) fn listing<'a>(items: impl Iterator<Item = (&'a [u8], f64)>, with_scores: bool, resp: Resp) -> Reply {
    if !with_scores {
        return Reply::bulks(items.map(|(member, _)| member));
    }
    match resp {
        Resp::V3 => pairs(items),
        Resp::V2 => Reply::Array(items.flat_map(pair).collect()),
    }
}

/// Members with their scores in pairs, in both protocols.
pub(super) fn pairs<'a>(items: impl Iterator<Item = (&'a [u8], f64)>) -> Reply {
    Reply::Array(items.map(|item| Reply::Array(pair(item).into())).collect())
}

/// A member and its score.
pub(super) fn pair((member, score): (&[u8], f64)) -> [Reply; 2] {
    [Reply::bulk(member), Reply::Double(score)]
}
