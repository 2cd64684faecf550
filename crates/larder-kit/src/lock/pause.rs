//! How long a caller who waits for a lock pauses between two attempts.

use std::time::Duration;

use larder_base::Random;

/// The first pause: most locks are held for some milliseconds.
const FIRST: Duration = Duration::from_millis(10);

/// The longest: what a waiter may come late by, against what a thousand waiters cost a server.
pub(super) const LONGEST: Duration = Duration::from_millis(250);

/// However little is left to the holder: an attempt costs a round trip.
const SHORTEST: Duration = Duration::from_millis(2);

/// Pauses that double, each drawn from the upper half of its span, so that those who wait do not come together.
pub(super) struct Pauses<'a> {
    random: &'a Random,
    span: Duration,
}

impl<'a> Pauses<'a> {
    pub(super) const fn new(random: &'a Random) -> Self {
        Self { random, span: FIRST }
    }

    /// The next pause; not beyond what is `left` to the holder, who may not come back.
    pub(super) fn next(&mut self, left: Duration) -> Duration {
        let drawn = self.span.mul_f64(0.5 + self.random.unit() / 2.0);
        self.span = (self.span * 2).min(LONGEST);
        drawn.min(left).max(SHORTEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_are_never_nothing() {
        let random = Random::seeded(3);
        let mut pauses = Pauses::new(&random);
        let long = Duration::from_secs(60);
        let drawn: Vec<_> = (0..50).map(|_| pauses.next(long)).collect();
        assert!(drawn[0] <= FIRST && drawn.iter().all(|pause| *pause <= LONGEST));
        assert!(drawn[10..].iter().all(|pause| *pause >= LONGEST / 2));
        assert_eq!(pauses.next(Duration::ZERO), SHORTEST);
    }
}
