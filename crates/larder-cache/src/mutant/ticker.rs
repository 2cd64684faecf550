//! M38: the hit path reads a cell that a task of this process advances. While the process stands still, so does the cell.

use std::{cell::Cell, time::Duration};

use larder_base::{Clock, Tasks};
use larder_near::nanos;

use super::{Mutant, lives};

/// How often the cell is advanced.
const EVERY: Duration = Duration::from_millis(1);

thread_local! {
    static CELL: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// What the hit path takes for the time.
#[inline]
pub(crate) fn coarse(clock: &Clock) -> Duration {
    if lives(Mutant::M38) { CELL.get() } else { clock.coarse() }
}

/// [`coarse`] in nanoseconds.
#[inline]
pub(crate) fn coarse_nanos(clock: &Clock) -> u64 {
    if lives(Mutant::M38) {
        nanos(CELL.get())
    } else {
        clock.coarse_nanos()
    }
}

/// Starts what advances the cell, if the mutant lives.
pub(crate) fn tick(clock: &Clock, tasks: &Tasks) {
    if !lives(Mutant::M38) {
        return;
    }
    let clock = clock.clone();
    CELL.set(clock.coarse());
    let ticks = async move {
        loop {
            clock.sleep(EVERY).await;
            CELL.set(clock.coarse());
        }
    };
    drop(tasks.spawn("mutant clock", ticks));
}
