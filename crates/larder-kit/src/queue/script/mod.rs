//! The scripts: a file each, after what they share.

use larder_store::Script;

/// With `allow-oom`: what ends jobs or tells of life must go through on a server that is full.
macro_rules! script {
    (always $name:literal) => {
        Script::new(
            concat!("queue_", $name),
            concat!(
                "#!lua flags=allow-oom\n",
                include_str!("common.lua"),
                include_str!(concat!($name, ".lua"))
            ),
        )
    };
    ($name:literal) => {
        Script::new(
            concat!("queue_", $name),
            concat!(include_str!("common.lua"), include_str!(concat!($name, ".lua"))),
        )
    };
}

pub(super) static PUSH: Script = script!("push");
pub(super) static TURN: Script = script!(always "turn");
pub(super) static BEAT: Script = script!(always "beat");
pub(super) static TICK: Script = script!("tick");
pub(super) static SCHEDULE: Script = script!("schedule");
pub(super) static UNSCHEDULE: Script = script!(always "unschedule");
pub(super) static PAUSE: Script = script!(always "pause");
pub(super) static COUNTS: Script = script!("counts");
pub(super) static LIST: Script = script!("list");
pub(super) static REPLAY: Script = script!(always "replay");
pub(super) static REMOVE: Script = script!(always "remove");
pub(super) static PURGE: Script = script!(always "purge");
