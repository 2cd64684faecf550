//! What queues count.

use crate::{
    figures::Series,
    metric::{QUEUE_JOBS, QUEUE_PUSHES, QUEUE_TICKS},
};

macro_rules! series {
    ($($name:ident = $metric:ident $label:literal),* $(,)?) => {
        /// The places of the series in [`SERIES`].
        #[derive(Clone, Copy, Debug)]
        pub(super) enum Count { $($name),* }
        pub(super) static SERIES: &[Series] = &[$(($metric, Some($label))),*];
    };
}

series! {
    PushNew = QUEUE_PUSHES "new",
    PushKnown = QUEUE_PUSHES "known",
    PushFull = QUEUE_PUSHES "full",
    PushFailed = QUEUE_PUSHES "failed",
    Done = QUEUE_JOBS "done",
    Retried = QUEUE_JOBS "retried",
    Dead = QUEUE_JOBS "dead",
    Back = QUEUE_JOBS "given_back",
    Stalled = QUEUE_JOBS "stalled",
    Overtaken = QUEUE_JOBS "overtaken",
    TickMade = QUEUE_TICKS "made",
    TickSkipped = QUEUE_TICKS "skipped",
}
