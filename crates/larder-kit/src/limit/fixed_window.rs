//! The fixed window: so many permits per aligned window of the server's clock.

use std::time::Duration;

use larder_store::Script;

use super::{
    kind::{Kind, window},
    windowed::windowed,
};

pub(super) static KIND: Kind = Kind {
    name: "fixed",
    script: Script::new("limit_fixed", include_str!("fixed_window.lua")),
    wrong: window::wrong,
    capacity: window::capacity,
    span: window::span,
};

/// At most `limit` permits in each aligned window: windows of a day begin at midnight UTC, all subjects together.
///
/// Around the edge of two windows up to twice the limit may pass within the length of one. It is the limit that people mean by
/// "a thousand a day"; against bursts [`Gcra`](super::Gcra) is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedWindow {
    limit: u64,
    window: Duration,
}

windowed!(FixedWindow);
