//! Publish and subscribe; see [`pubsub`](crate::pubsub).

mod inspect;
mod publish;
mod subscribe;

use crate::command::CommandSpec;

pub(super) const COMMANDS: &[&CommandSpec] = &[
    &inspect::PUBSUB,
    &publish::PUBLISH,
    &publish::SPUBLISH,
    &subscribe::PSUBSCRIBE,
    &subscribe::PUNSUBSCRIBE,
    &subscribe::SSUBSCRIBE,
    &subscribe::SUBSCRIBE,
    &subscribe::SUNSUBSCRIBE,
    &subscribe::UNSUBSCRIBE,
];
