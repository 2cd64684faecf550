//! What the commands that answer random members share: `HRANDFIELD`, `SRANDMEMBER`, `ZRANDMEMBER`.

use indexmap::IndexSet;
use larder_base::Random;

use crate::{ErrorReply, command::Args};

/// The most repetitions asked for with a negative count: more would not fit in memory, and Redis, too, would be killed
/// on the way.
const REPEATED_MAX: i64 = 10_000_000;

/// How many to pick, and what to show of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pick {
    /// Up to so many different ones; if negative, exactly so many, with repetition.
    pub(crate) count: i64,
    pub(crate) with_values: bool,
}

impl Pick {
    /// Reads `key [count [word]]`; `None` without a count.
    pub(crate) fn parse(args: &Args<'_>, word: &str) -> Result<Option<Self>, ErrorReply> {
        if args.len() < 3 {
            return Ok(None);
        }
        let count = args.count_in(2, -i64::MAX, i64::MAX)?;
        let with_values = args.len() > 3;
        if args.len() > 4 || (with_values && !args.is(3, word)) {
            return Err(ErrorReply::SYNTAX);
        }
        if with_values && !(-i64::MAX / 2..=i64::MAX / 2).contains(&count) {
            return Err(ErrorReply::VALUE_OUT_OF_RANGE);
        }
        if count < -REPEATED_MAX {
            return Err(ErrorReply::VALUE_OUT_OF_RANGE);
        }
        Ok(Some(Self { count, with_values }))
    }

    /// The positions picked among `len`.
    pub(crate) fn positions(&self, random: &Random, len: usize) -> Vec<usize> {
        let wanted = usize::try_from(self.count.unsigned_abs()).unwrap_or(usize::MAX);
        if self.count < 0 && len > 0 {
            return (0..wanted).map(|_| random.below(len as u64) as usize).collect();
        }
        sample(random, len, wanted)
    }
}

/// Up to `wanted` different numbers below `len`, every choice as likely, in O(`wanted`).
///
/// Robert Floyd's method: for each `j` of the last `wanted` numbers, take a number up to `j`, or `j` itself if that
/// one is taken already.
pub(crate) fn sample(random: &Random, len: usize, wanted: usize) -> Vec<usize> {
    if wanted >= len {
        return (0..len).collect();
    }
    let mut taken: IndexSet<usize, ahash::RandomState> = IndexSet::default();
    for j in len - wanted..len {
        let drawn = random.below(j as u64 + 1) as usize;
        if !taken.insert(drawn) {
            taken.insert(j);
        }
    }
    taken.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_distinct_and_every_number_gets_its_turn() {
        let random = Random::seeded(1);
        let mut seen = [0; 10];
        for _ in 0..1_000 {
            let mut numbers = sample(&random, 10, 4);
            numbers.iter().for_each(|&i| seen[i] += 1);
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), 4);
        }
        assert!(seen.iter().all(|n| (300..500).contains(n)), "{seen:?}");
    }

    #[test]
    fn a_negative_count_repeats() {
        let pick = Pick {
            count: -7,
            with_values: false,
        };
        assert_eq!(pick.positions(&Random::seeded(1), 1), [0; 7]);
    }
}
