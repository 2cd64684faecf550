//! Union, intersection and difference of sorted sets, with the arithmetic of their scores.

use ahash::RandomState;
use indexmap::IndexMap;

use crate::value::{Set, SortedSet};

/// What becomes of the scores of a member that several inputs have.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Aggregate {
    #[default]
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Sum => number(a + b),
            Self::Min => {
                if b < a {
                    b
                } else {
                    a
                }
            }
            Self::Max => {
                if b > a {
                    b
                } else {
                    a
                }
            }
        }
    }
}

/// Opposite infinities, or infinity times nothing, are 0 here by Redis's convention.
fn number(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// One input: a sorted set, a set whose members score 1, or nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a> {
    pub(super) members: Members<'a>,
    pub(super) weight: f64,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Members<'a> {
    None,
    Set(&'a Set),
    SortedSet(&'a SortedSet),
}

impl<'a> Input<'a> {
    pub(super) fn len(&self) -> usize {
        match self.members {
            Members::None => 0,
            Members::Set(set) => set.len(),
            Members::SortedSet(set) => set.len(),
        }
    }

    /// A member's score, not weighed.
    fn score(&self, member: &[u8]) -> Option<f64> {
        match self.members {
            Members::None => None,
            Members::Set(set) => set.contains(member).then_some(1.0),
            Members::SortedSet(set) => set.score(member),
        }
    }

    /// Members and scores, not weighed.
    fn iter(&self) -> impl Iterator<Item = (&'a [u8], f64)> + use<'a> {
        let (set, sorted) = match self.members {
            Members::None => (None, None),
            Members::Set(set) => (Some(set), None),
            Members::SortedSet(set) => (None, Some(set)),
        };
        let scored = set.into_iter().flat_map(Set::iter).map(|member| (member, 1.0));
        scored.chain(sorted.into_iter().flat_map(SortedSet::iter))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Union,
    Intersection,
    Difference,
}

impl Operation {
    /// The keyspace event of storing the result.
    pub(super) const fn event(self) -> &'static str {
        match self {
            Self::Union => "zunionstore",
            Self::Intersection => "zinterstore",
            Self::Difference => "zdiffstore",
        }
    }

    /// Combines inputs. Sums are made from the smallest input to the largest, as Redis makes them: the order shows in
    /// the last digits.
    pub(super) fn run(self, mut inputs: Vec<Input<'_>>, aggregate: Aggregate) -> SortedSet {
        if self != Self::Difference {
            inputs.sort_by_key(Input::len);
        }
        let mut result = SortedSet::outgrown();
        match self {
            Self::Union => union(&inputs, aggregate, &mut result),
            Self::Intersection => intersect(&inputs, aggregate, &mut result),
            Self::Difference => subtract(&inputs, &mut result),
        }
        result
    }
}

fn union(inputs: &[Input<'_>], aggregate: Aggregate, result: &mut SortedSet) {
    let mut scores = IndexMap::<&[u8], f64, RandomState>::default();
    for input in inputs {
        for (member, score) in input.iter() {
            let score = number(input.weight * score);
            scores
                .entry(member)
                .and_modify(|known| *known = aggregate.apply(*known, score))
                .or_insert(score);
        }
    }
    scores.iter().for_each(|(member, score)| result.insert(member, *score));
}

fn intersect(inputs: &[Input<'_>], aggregate: Aggregate, result: &mut SortedSet) {
    for (member, score) in common(inputs) {
        let weighed = inputs[1..].iter().map(|input| {
            let score = input.score(member).expect("every input has it");
            input.weight * score
        });
        let first = number(inputs[0].weight * score);
        result.insert(member, weighed.fold(first, |sum, score| aggregate.apply(sum, score)));
    }
}

fn subtract(inputs: &[Input<'_>], result: &mut SortedSet) {
    let (first, rest) = inputs.split_first().expect("there is at least one input");
    for (member, score) in first.iter() {
        if rest.iter().all(|input| input.score(member).is_none()) {
            result.insert(member, score);
        }
    }
}

/// The members that all inputs have, with their scores in the first, which is best the smallest.
pub(super) fn common<'a>(inputs: &[Input<'a>]) -> impl Iterator<Item = (&'a [u8], f64)> {
    let (first, rest) = inputs.split_first().expect("there is at least one input");
    first
        .iter()
        .filter(move |(member, _)| rest.iter().all(|input| input.score(member).is_some()))
}
