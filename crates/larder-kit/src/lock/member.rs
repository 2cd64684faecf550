//! One lease among several under a key: a permit, a reader, a place of a concurrency limit.

use larder_store::Script;

use super::kind::{Hold, Step};

static EXTEND: Script = Script::new("member_extend", include_str!("member_extend.lua"));
static RELEASE: Script = Script::new("member_release", include_str!("member_release.lua"));

/// What keeps a lease that is a member of the sorted set under `parts`, whose score is its end in ms.
pub(crate) const fn member(parts: &'static [&'static str]) -> Hold {
    Hold {
        extend: Step { script: &EXTEND, parts },
        release: Step {
            script: &RELEASE,
            parts,
        },
        adopt: None,
    }
}
