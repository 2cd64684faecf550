//! The injected source of randomness.
//!
//! The system source is the operating system's, through a ChaCha generator a thread: good enough for tokens
//! and identifiers that must not be guessed. A seeded one replays; it is for tests alone.

use std::sync::Arc;

use parking_lot::Mutex;
use rand::{RngCore, SeedableRng, rngs::StdRng};

/// Where random numbers come from. A cheap clone; clones of a seeded source share one sequence.
#[derive(Clone, Debug, Default)]
pub struct Random(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    Seeded(Arc<Mutex<StdRng>>),
}

impl Random {
    /// Cryptographically strong, seeded by the operating system.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// The same sequence for the same seed. For tests: what it draws can be guessed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(seed)))))
    }

    /// Fills `out` with random bytes.
    pub fn fill(&self, out: &mut [u8]) {
        match &self.0 {
            Source::System => rand::rng().fill_bytes(out),
            Source::Seeded(rng) => rng.lock().fill_bytes(out),
        }
    }

    /// `N` random bytes, such as a token (16) or an incarnation (8).
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// A random number over the whole range of `u64`.
    #[must_use]
    pub fn next_u64(&self) -> u64 {
        match &self.0 {
            Source::System => rand::rng().next_u64(),
            Source::Seeded(rng) => rng.lock().next_u64(),
        }
    }

    /// A number in `0..n`, without bias worth speaking of (below 2^-32 for any `n` under 2^32); 0 for `n = 0`.
    #[must_use]
    pub fn below(&self, n: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// A number in `[0, 1)`, of 53 random bits.
    #[must_use]
    pub fn unit(&self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_replays_and_another_seed_differs() {
        let draw = |seed| Random::seeded(seed).bytes::<16>();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn draws_stay_in_their_range() {
        let random = Random::system();
        for _ in 0..10_000 {
            assert!(random.below(3) < 3);
            assert!((0.0..1.0).contains(&random.unit()));
        }
        assert_eq!(random.below(0), 0);
    }
}
