//! What happens to the bytes that pass.

use std::time::Duration;

/// All of it. The counters say how often something was done; a connection compares them with what they were at its birth.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weather {
    pub(super) upstream: u16,
    pub(super) requests: Way,
    pub(super) replies: Way,
    pub(super) slices: Option<Slices>,
    pub(super) refuse: bool,
    pub(super) cut: u64,
    pub(super) reset: u64,
}

/// What happens in one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Way {
    pub(super) delay: Duration,
    pub(super) hold: bool,
    pub(super) swallow: bool,
    pub(super) ended: u64,
}

/// Writes are cut into these.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slices {
    pub(super) bytes: usize,
    pub(super) pause: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Requests,
    Replies,
}

impl Weather {
    pub(super) fn fair(upstream: u16) -> Self {
        Self {
            upstream,
            ..Self::default()
        }
    }

    pub(super) fn clear_up(&mut self) {
        for way in [&mut self.requests, &mut self.replies] {
            way.delay = Duration::ZERO;
            way.hold = false;
            way.swallow = false;
        }
        self.slices = None;
        self.refuse = false;
    }

    pub(super) const fn way(&self, direction: Direction) -> Way {
        match direction {
            Direction::Requests => self.requests,
            Direction::Replies => self.replies,
        }
    }

    pub(super) const fn swallows(&self) -> bool {
        self.requests.swallow || self.replies.swallow
    }
}
