//! What is measured, a file each and one line in the table.

mod bulk;
mod capacity;
mod kit;
mod memory;
mod miss;
mod near;
mod pipeline;
mod scenes;
mod spread;
mod stampede;
mod store;
mod writes;

use crate::{Lab, report::Section};

/// Something that is measured.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Lab) -> anyhow::Result<Section>,
}

pub(crate) const GROUPS: &[Group] = &[
    near::GROUP,
    store::GROUP,
    pipeline::GROUP,
    miss::GROUP,
    spread::GROUP,
    memory::GROUP,
    capacity::GROUP,
    stampede::GROUP,
    scenes::GROUP,
    writes::GROUP,
    bulk::GROUP,
    kit::LOCK,
    kit::LIMIT,
    kit::SESSION,
];
