//! Waiting for a condition with a deadline, and the unit in which tests state times.

use std::time::Duration;

use larder_base::Clock;

/// The unit of time of tests: `advance(n)` moves a clock by n of them, or waits as long on a server whose clock
/// cannot be moved. Short enough for a quick suite, long against the 1 to 10 ms of a busy machine's scheduler.
pub const UNIT: Duration = Duration::from_millis(50);

/// How often a condition is looked at: often enough not to be noticed, seldom enough to leave the CPU to others.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Waits until `condition` holds, looking every 2 ms of real time.
///
/// Use it instead of a sleep: it goes on as soon as it can, and a slow machine does not fail the test.
///
/// # Panics
/// If `deadline` passes first, naming the line that called it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(async {
/// use std::time::Duration;
/// let mut looks = 0;
/// larder_testkit::eventually(Duration::from_secs(1), async || {
///     looks += 1;
///     looks == 3
/// })
/// .await;
/// # });
/// ```
#[track_caller]
pub fn eventually<C>(deadline: Duration, mut condition: C) -> impl Future<Output = ()>
where
    C: AsyncFnMut() -> bool,
{
    // The caller, not this file: the location is taken before the future starts.
    let called_from = std::panic::Location::caller();
    async move {
        let clock = Clock::system();
        let until = clock.monotonic() + deadline;
        while !condition().await {
            assert!(
                clock.monotonic() < until,
                "nothing of the kind within {deadline:?}, at {called_from}"
            );
            clock.sleep(LOOK_EVERY).await;
        }
    }
}
