//! C10: locks, and what was done under them.
//!
//! A lock that is a lease ends by itself, so what is judged is what its holder *believed*: from the grant until it gave the
//! lock back, was told that it is lost, or knew that its time was over. A holder that died believes nothing any more; what it
//! did last may have happened or not, and either is right.

use std::collections::BTreeSet;

use super::event::{Effect, Held, Moment};

/// What is broken of one key, and how many overlaps were not judged, because the lock may have been `lost` between two moments.
pub(super) fn check(
    held: &mut [Held],
    effects: &mut [Effect],
    lost: impl Fn(Moment, Moment) -> bool,
) -> (Vec<String>, u64) {
    let (mut broken, not_judged) = overlaps(held, lost);
    fences(held, &mut broken);
    took_effect(held, effects, &mut broken);
    (broken, not_judged)
}

/// No two believe that they hold it at one time.
fn overlaps(held: &mut [Held], lost: impl Fn(Moment, Moment) -> bool) -> (Vec<String>, u64) {
    held.sort_unstable_by_key(|held| held.granted);
    let (mut broken, mut not_judged) = (Vec::new(), 0);
    let mut holding: Option<Held> = None;
    for next in held {
        if let Some(other) = holding.filter(|other| next.granted < other.until) {
            if lost(other.asked, next.granted) {
                not_judged += 1;
            } else {
                broken.push(format!("{next:?} beside {other:?}"));
            }
        }
        holding = Some(holding.filter(|other| other.until > next.until).unwrap_or(*next));
    }
    (broken, not_judged)
}

/// Of two grants, one after the other, the later has the higher fence; no fence is given twice.
fn fences(held: &mut [Held], broken: &mut Vec<String>) {
    held.sort_unstable_by_key(|held| held.asked);
    let mut known: Vec<&Held> = held.iter().collect();
    known.sort_unstable_by_key(|held| held.granted);
    let mut known = known.into_iter().peekable();
    let (mut highest, mut given) = (0, BTreeSet::new());
    for next in held.iter().filter(|held| held.fence != Held::NO_FENCE) {
        while let Some(earlier) = known.next_if(|earlier| earlier.granted < next.asked) {
            highest = highest.max(earlier.fence);
        }
        if next.fence <= highest {
            broken.push(format!("fence {highest} was known before {next:?} was asked for"));
        } else if !given.insert(next.fence) {
            broken.push(format!("the fence of {next:?} is another's as well"));
        }
    }
}

/// Nothing takes effect under a fence after a higher one did, or under one that nobody was granted.
fn took_effect(held: &[Held], effects: &mut [Effect], broken: &mut Vec<String>) {
    effects.sort_unstable_by_key(|effect| effect.place);
    let granted: BTreeSet<u64> = held.iter().map(|held| held.fence).collect();
    let mut highest = 0;
    for effect in effects {
        if effect.fence < highest {
            broken.push(format!("{effect:?} after one under fence {highest}"));
        }
        if !granted.contains(&effect.fence) {
            broken.push(format!("nobody was granted the fence of {effect:?}"));
        }
        highest = highest.max(effect.fence);
    }
}

#[cfg(test)]
mod tests {
    use larder_base::Random;

    use super::super::{Bounds, Effect, Event, Held, History, Rule, Window, check};

    const KEYS: u64 = 3;
    const GRANTS: u64 = 20;
    const MS: u64 = 1_000_000;

    /// A correct history: per key, holders one after another, of whom some waited long, some died, and some did nothing.
    fn correct(random: &Random) -> History {
        let mut history = History::new();
        for key in 0..KEYS {
            let (mut now, mut fence, mut place) = (10_000 * MS, 1_000, 0);
            for _ in 0..GRANTS {
                let granted = now + MS + random.below(MS);
                let until = granted + MS + random.below(20 * MS);
                fence += 1 + random.below(1_000);
                let held = Held {
                    process: random.below(4) as u32,
                    key,
                    fence,
                    // Those who waited asked while others held it.
                    asked: granted - 1 - random.below(50 * MS).min(granted - 9_000 * MS),
                    granted,
                    // Dead at once, it believes nothing.
                    until: if random.below(5) == 0 { granted } else { until },
                };
                history.push(Event::Held(held));
                for _ in 0..random.below(4) {
                    place += 1;
                    history.push(Event::Effect(Effect { key, fence, place }));
                }
                now = until;
            }
        }
        history
    }

    fn held(history: &mut History) -> Vec<&mut Held> {
        let held = history.iter_mut().filter_map(|event| match event {
            Event::Held(held) => Some(held),
            _ => None,
        });
        held.collect()
    }

    fn effects(history: &mut History) -> Vec<&mut Effect> {
        let effects = history.iter_mut().filter_map(|event| match event {
            Event::Effect(effect) => Some(effect),
            _ => None,
        });
        effects.collect()
    }

    /// A place in `of`, and the next one: both of one key, as `key` tells.
    fn neighbours<T>(random: &Random, of: &[T], key: impl Fn(&T) -> u64) -> usize {
        loop {
            let at = random.below(of.len() as u64 - 1) as usize;
            if key(&of[at]) == key(&of[at + 1]) {
                return at;
            }
        }
    }

    /// Breaks a correct history a hundred times; it must be found every time.
    fn is_found(break_it: impl Fn(&mut History, &Random)) {
        for seed in 0..100 {
            let random = Random::seeded(seed);
            let mut history = correct(&random);
            let clean = check(&history, &Bounds::default());
            assert_eq!(clean.violations, [], "seed {seed}");
            assert_eq!((clean.grants, clean.overlaps_not_judged), (KEYS * GRANTS, 0));
            break_it(&mut history, &random);
            let report = check(&history, &Bounds::default());
            assert!(report.count(Rule::C10) > 0, "seed {seed}: nothing was found");
        }
    }

    #[test]
    fn c10_two_holders_at_one_time_are_found() {
        // Granted while another still believes that it has it.
        is_found(|history, random| {
            let mut held = held(history);
            let at = neighbours(random, &held, |held| held.key);
            held[at].until = held[at + 1].granted + 1 + random.below(MS);
        });
        // A third one within the time of a holder, whose own successors are in order.
        is_found(|history, random| {
            let mut held = held(history);
            let long = held
                .iter()
                .filter(|held| held.until > held.granted + 2)
                .max_by_key(|held| held.until - held.granted);
            let other = **long.expect("some hold it for a while");
            let granted = other.granted + 1;
            let until = granted + 1 + random.below(other.until - granted);
            *held[0] = Held {
                key: other.key,
                fence: Held::NO_FENCE,
                asked: granted - 1,
                granted,
                until,
                process: 9,
            };
        });
    }

    #[test]
    fn c10_a_fence_that_does_not_grow_is_found() {
        // It went back, as a counter does that was lost.
        is_found(|history, random| {
            let mut held = held(history);
            let at = neighbours(random, &held, |held| held.key);
            held[at + 1].asked = held[at].granted + 1;
            held[at + 1].fence = 1 + random.below(held[at].fence - 1);
        });
        // It was given twice: to one after the other, and to two who asked at one time.
        for overlap in [false, true] {
            is_found(move |history, random| {
                let mut held = held(history);
                let at = neighbours(random, &held, |held| held.key);
                held[at + 1].fence = held[at].fence;
                held[at + 1].asked = if overlap { held[at].asked } else { held[at].granted + 1 };
            });
        }
    }

    #[test]
    fn c10_an_effect_after_one_under_a_higher_fence_is_found() {
        // The last word is that of a holder that was overtaken.
        is_found(|history, random| {
            let effects = effects(history);
            let (first, last) = (
                *effects[0],
                effects.iter().map(|effect| effect.place).max().expect("there are some"),
            );
            let late = Effect {
                place: last + 1 + random.below(9),
                ..first
            };
            history.push(Event::Effect(late));
        });
        // Two effects of two holders came the wrong way round.
        is_found(|history, random| {
            let mut effects = effects(history);
            let at = loop {
                let at = neighbours(random, &effects, |effect| effect.key);
                if effects[at].fence != effects[at + 1].fence {
                    break at;
                }
            };
            (effects[at].place, effects[at + 1].place) = (effects[at + 1].place, effects[at].place);
        });
        // Under a fence that nobody was granted.
        is_found(|history, random| {
            let mut effects = effects(history);
            let at = random.below(effects.len() as u64) as usize;
            effects[at].fence -= 1;
            let (key, fence) = (effects[at].key, effects[at].fence);
            history.retain(|event| !matches!(event, Event::Held(held) if held.key == key && held.fence == fence));
        });
    }

    #[test]
    fn c10_forgives_two_holders_where_the_store_lost_a_lock_and_still_judges_fences() {
        let mut history = correct(&Random::seeded(1));
        let (lost, effect) = {
            let mut held = held(&mut history);
            held[0].until = held[1].granted + 1;
            (
                held[1].granted,
                Effect {
                    key: held[0].key,
                    fence: held[0].fence,
                    place: u64::MAX,
                },
            )
        };
        history.push(Event::Window(Window::LostLeases { start: lost, end: lost }));
        let report = check(&history, &Bounds::default());
        assert_eq!((report.violations.as_slice(), report.overlaps_not_judged), (&[][..], 1));
        history.push(Event::Effect(effect));
        assert_eq!(check(&history, &Bounds::default()).count(Rule::C10), 1);
    }
}
