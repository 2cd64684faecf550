//! Seeds of random tests: drawn, printed on failure, replayed with `LARDER_SEED`.

use larder_base::Random;

/// The variable that replays a failed case.
pub const SEED_VARIABLE: &str = "LARDER_SEED";

/// One random case. If the thread panics while it is alive, its seed is printed.
///
/// ```
/// let cases = larder_testkit::Case::each(3, 7);
/// for case in cases {
///     let random = case.random();
///     assert!(random.below(6) < 6);
/// }
/// ```
#[derive(Debug)]
pub struct Case {
    seed: u64,
}

impl Case {
    /// `count` cases whose seeds follow from `first`; only the named one if `LARDER_SEED` is set.
    ///
    /// # Panics
    /// If `LARDER_SEED` is not a number.
    pub fn each(count: u64, first: u64) -> impl Iterator<Item = Self> {
        let named = std::env::var(SEED_VARIABLE).ok().map(|text| {
            text.parse::<u64>()
                .unwrap_or_else(|_| panic!("{SEED_VARIABLE} is `{text}`, which is not a number"))
        });
        let seeds = match named {
            Some(seed) => seed..seed + 1,
            None => first..first + count,
        };
        seeds.map(|seed| Self { seed })
    }

    /// The number that replays this case.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A source of randomness that gives the same numbers for the same seed.
    #[must_use]
    pub fn random(&self) -> Random {
        Random::seeded(self.seed)
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was {SEED_VARIABLE}={}", self.seed);
        }
    }
}
