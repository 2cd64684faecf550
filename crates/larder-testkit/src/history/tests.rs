//! The checker itself: a correct history passes, and each rule broken in one is found.

use larder_base::Random;

use super::*;

const KEYS: u64 = 4;
const MS: u64 = 1_000_000;

/// A correct history: per key, writes one after another, reads in between that see the newest, loads that do
/// not overlap.
fn correct(random: &Random) -> History {
    let mut history = History::new();
    for key in 0..KEYS {
        let mut now = 10_000 * MS;
        for version in 1..=10 {
            let acknowledged = now + random.below(MS);
            history.push(Event::Write(Write {
                key,
                version,
                committed: now,
                acknowledged: Some(acknowledged),
            }));
            now = acknowledged + 25 * MS + random.below(MS);
            history.push(Event::Load(Load {
                process: 0,
                key,
                asked: now,
                start: now,
                end: now + MS,
            }));
            now += 2 * MS;
            for process in 0..3 {
                let served = if random.below(2) == 0 {
                    Served::Store
                } else {
                    Served::Near
                };
                let read = Read {
                    process,
                    key,
                    start: now,
                    end: now + MS / 10,
                    version,
                    served,
                    overdue: 0,
                };
                history.push(Event::Read(read));
                now += MS;
            }
            now += 2_000 * MS;
            // Written behind, the source may pass over a version, but not over the last.
            if version == 10 || random.below(2) == 0 {
                let place = now;
                history.push(Event::Taken(Taken { key, version, place }));
            }
        }
    }
    history
}

fn bounds() -> Bounds {
    Bounds {
        grace: std::time::Duration::from_millis(5),
        ..Bounds::default()
    }
}

fn change_a_read(history: &mut History, random: &Random, change: impl Fn(&mut Read)) {
    let mut reads: Vec<&mut Read> = history
        .iter_mut()
        .filter_map(|event| match event {
            Event::Read(read) if read.version > 1 => Some(read),
            _ => None,
        })
        .collect();
    let chosen = random.below(reads.len() as u64) as usize;
    change(reads[chosen]);
}

/// Breaks one rule in a correct history a hundred times; it must be found every time.
fn is_found(rule: Rule, bounds: Bounds, break_it: impl Fn(&mut History, &Random)) {
    for seed in 0..100 {
        let random = Random::seeded(seed);
        let mut history = correct(&random);
        assert!(
            check(&history, &bounds).violations.is_empty(),
            "seed {seed}: a correct history was refused"
        );
        break_it(&mut history, &random);
        let report = check(&history, &bounds);
        assert!(
            report.count(rule) > 0,
            "seed {seed}: {rule:?} was not found, but {:?}",
            report.violations
        );
    }
}

#[test]
fn c1_an_old_value_from_the_store_is_found() {
    is_found(Rule::C1, bounds(), |history, random| {
        change_a_read(history, random, |read| {
            (read.served, read.version) = (Served::Joined, read.version - 1);
        });
    });
}

#[test]
fn c2_a_near_copy_beyond_its_bound_is_found_and_one_within_is_not() {
    is_found(Rule::C2, bounds(), |history, random| {
        change_a_read(history, random, |read| {
            // Two writes back: the oldest that it misses was acknowledged over two seconds ago.
            (read.served, read.version) = (Served::Near, read.version - 2);
        });
    });
    let random = Random::seeded(1);
    let mut history = correct(&random);
    change_a_read(&mut history, &random, |read| {
        (read.served, read.version) = (Served::Near, read.version - 1);
    });
    let report = check(&history, &bounds());
    assert_eq!(
        (report.count(Rule::C2), report.late_reads),
        (0, 1),
        "within a second of the acknowledgement"
    );
}

#[test]
fn c3_an_old_value_after_a_visible_commit_is_found() {
    let strict = Bounds {
        strict: true,
        ..bounds()
    };
    is_found(Rule::C3, strict, |history, random| {
        let key = random.below(KEYS);
        let committed = 1_000_000 * MS;
        history.push(Event::Write(Write {
            key,
            version: 11,
            committed,
            acknowledged: None,
        }));
        let (start, end) = (committed, committed + MS);
        history.push(Event::Read(Read {
            process: 9,
            key,
            start,
            end,
            version: 10,
            served: Served::Store,
            overdue: 0,
        }));
    });
}

#[test]
fn c4_a_value_past_its_grace_is_found() {
    is_found(Rule::C4, bounds(), |history, random| {
        change_a_read(history, random, |read| {
            (read.served, read.overdue) = (Served::Stale, 5 * MS + 1);
        });
    });
}

#[test]
fn c5_a_key_that_goes_back_in_one_process_is_found() {
    is_found(Rule::C5, bounds(), |history, random| {
        let key = random.below(KEYS);
        let write = Write {
            key,
            version: 11,
            committed: 1_000_000 * MS,
            acknowledged: None,
        };
        history.push(Event::Write(write));
        for (version, start) in [(11, 1_000_001 * MS), (10, 1_000_003 * MS)] {
            let (process, served) = (7, Served::Store);
            history.push(Event::Read(Read {
                process,
                key,
                start,
                end: start + MS,
                version,
                served,
                overdue: 0,
            }));
        }
    });
}

#[test]
fn c6_a_value_that_nobody_wrote_is_found() {
    is_found(Rule::C6, bounds(), |history, random| {
        change_a_read(history, random, |read| read.version = 99);
    });
}

#[test]
fn c7_overlapping_loads_are_found_unless_a_lease_was_lost() {
    let overlap = |history: &mut History| {
        let load = history.iter().find_map(|event| {
            if let Event::Load(load) = event {
                Some(*load)
            } else {
                None
            }
        });
        let load = load.expect("there are loads");
        history.push(Event::Load(Load {
            process: 1,
            start: load.start + 1,
            ..load
        }));
        load.start
    };
    is_found(Rule::C7, bounds(), |history, _| _ = overlap(history));
    let mut history = correct(&Random::seeded(1));
    let start = overlap(&mut history);
    let end = start + MS;
    for (window, not_judged) in [
        (Window::LostLeases { start, end }, 1),
        (Window::EndedLeases { start, end }, 0),
    ] {
        let mut history = history.clone();
        history.push(Event::Window(window));
        let report = check(&history, &bounds());
        assert_eq!((report.count(Rule::C7), report.overlaps_not_judged), (0, not_judged));
    }
}

/// A process that stood still between its lease and its load is seen to load when another does already.
#[test]
fn c7_forgives_a_load_that_began_late() {
    let mut history = correct(&Random::seeded(1));
    let write = history.iter().find_map(|event| match event {
        Event::Write(write) => Some(*write),
        _ => None,
    });
    let load = history.iter().find_map(|event| match event {
        Event::Load(load) => Some(*load),
        _ => None,
    });
    let (write, load) = (write.expect("there are writes"), load.expect("there are loads"));
    assert_eq!(write.key, load.key, "the load that follows the write");
    history.push(Event::Load(Load {
        process: 1,
        asked: write.committed - 1,
        start: load.start + 1,
        ..load
    }));
    assert_eq!(check(&history, &bounds()).count(Rule::C7), 0);
}

#[test]
fn c8_a_tier_that_disagrees_at_rest_is_found() {
    let copy = |version| Copy {
        tier: "near of process 1".into(),
        key: 7,
        version,
    };
    let source = [(7, 3)].into();
    assert_eq!(compare_at_rest(&source, [copy(3)]), []);
    assert_eq!(
        compare_at_rest(&source, [copy(2)]),
        [Mismatch {
            copy: copy(2),
            source: Some(3)
        }]
    );
}

#[test]
fn an_acknowledged_write_that_the_source_has_not_is_lost() {
    let write = |version, acknowledged| {
        Event::Write(Write {
            key: 7,
            version,
            committed: 1,
            acknowledged,
        })
    };
    let history = [write(3, Some(2)), write(4, Some(3)), write(5, None)];
    for (source, lost) in [(None, 2), (Some(2), 2), (Some(3), 1), (Some(4), 0), (Some(9), 0)] {
        let source = source.map(|version| (7, version)).into_iter().collect();
        assert_eq!(lost_writes(&history, &source), lost, "{source:?}");
    }
}

#[test]
fn c9_staleness_in_a_window_of_lost_data_has_its_own_bound_and_is_measured() {
    let stale = |bound_ms: u64| {
        let random = Random::seeded(3);
        let mut history = correct(&random);
        change_a_read(&mut history, &random, |read| {
            (read.served, read.version) = (Served::Store, read.version - 1);
        });
        history.push(Event::Window(Window::Rollback {
            start: 0,
            end: u64::MAX,
        }));
        check(
            &history,
            &Bounds {
                rollback: std::time::Duration::from_millis(bound_ms),
                ..bounds()
            },
        )
    };
    assert_eq!(stale(1).count(Rule::C9), 1);
    let within = stale(100);
    assert_eq!((within.violations.len(), within.late_reads), (0, 1));
    assert!(within.staleness.max() > 1_000, "{} µs", within.staleness.max());
}

/// Of a correct history as one that is written behind.
fn behind() -> Bounds {
    Bounds {
        behind: true,
        ..bounds()
    }
}

/// What the source took of some key.
fn taken_of_a_key<'h>(history: &'h mut History, random: &Random) -> Vec<&'h mut Taken> {
    let chosen = random.below(KEYS);
    let taken = history.iter_mut().filter_map(|event| match event {
        Event::Taken(taken) if taken.key == chosen => Some(taken),
        _ => None,
    });
    taken.collect()
}

#[test]
fn c11_an_accepted_write_that_never_reached_the_source_is_found() {
    // The flusher died with it.
    is_found(Rule::C11, behind(), |history, random| {
        let last = *taken_of_a_key(history, random).pop().expect("the last one is taken");
        history.retain(|event| *event != Event::Taken(last));
    });
    // The source took nothing of a key at all.
    is_found(Rule::C11, behind(), |history, random| {
        let chosen = random.below(KEYS);
        history.retain(|event| !matches!(event, Event::Taken(taken) if taken.key == chosen));
    });
    // It was passed over as older than it is.
    is_found(Rule::C11, behind(), |history, random| {
        taken_of_a_key(history, random)
            .pop()
            .expect("the last one is taken")
            .version -= 1;
    });
}

#[test]
fn c11_forgives_what_was_never_acknowledged_and_what_a_newer_one_covers() {
    let random = Random::seeded(1);
    let unheard = |version| {
        Event::Write(Write {
            key: 0,
            version,
            committed: 1,
            acknowledged: None,
        })
    };
    let mut history = correct(&random);
    history.push(unheard(11));
    assert_eq!(check(&history, &behind()).violations, [], "it may never have come");
    history.push(unheard(12));
    let taken = Taken {
        key: 0,
        version: 12,
        place: u64::MAX,
    };
    history.push(Event::Taken(taken));
    assert_eq!(check(&history, &behind()).violations, [], "or it may have");
    history.retain(|event| *event != unheard(12));
    assert_eq!(check(&history, &behind()).count(Rule::C6), 1, "but somebody wrote it");
}

#[test]
fn c12_a_source_that_went_back_is_found() {
    // Two commits of two flushers came the wrong way round.
    is_found(Rule::C12, behind(), |history, random| {
        let mut taken = taken_of_a_key(history, random);
        let last = taken.pop().expect("the last one is taken");
        let earlier = Taken {
            version: last.version - 1 - random.below(5),
            place: last.place + 1,
            ..*last
        };
        history.push(Event::Taken(earlier));
    });
    // One was committed once more, over itself or over a newer one.
    is_found(Rule::C12, behind(), |history, random| {
        let taken = taken_of_a_key(history, random);
        let again = Taken {
            place: u64::MAX,
            ..*taken[random.below(taken.len() as u64) as usize]
        };
        history.push(Event::Taken(again));
    });
}

/// A rule that is broken all the time does not hide another.
#[test]
fn each_rule_is_noted_however_often_another_is_broken() {
    let random = Random::seeded(1);
    let mut history = correct(&random);
    let read = history.iter().find_map(|event| match event {
        Event::Read(read) if read.version > 1 => Some(*read),
        _ => None,
    });
    let old = Read {
        served: Served::Store,
        version: 1,
        ..read.expect("there are reads")
    };
    history.extend(std::iter::repeat_n(Event::Read(old), 2_000));
    let last = *taken_of_a_key(&mut history, &random)
        .pop()
        .expect("the last one is taken");
    history.retain(|event| *event != Event::Taken(last));
    let report = check(&history, &behind());
    assert_eq!((report.count(Rule::C1), report.count(Rule::C11)), (1_000, 1));
    assert_eq!(report.stale_reads, 2_000);
}

#[test]
fn a_history_survives_its_file_and_a_damaged_file_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("history");
    let recorder = Recorder::new();
    let mut history = correct(&Random::seeded(5));
    history.push(Event::Window(Window::Rollback { start: 1, end: 2 }));
    history.push(Event::Window(Window::LostLeases { start: 3, end: 4 }));
    history.push(Event::Window(Window::EndedLeases { start: 5, end: 6 }));
    history.push(Event::Write(Write {
        key: 1,
        version: 2,
        committed: 3,
        acknowledged: None,
    }));
    history.push(Event::Held(Held {
        process: 1,
        key: 2,
        fence: 3,
        asked: 4,
        granted: 5,
        until: 6,
    }));
    history.push(Event::Effect(Effect {
        key: 1,
        fence: 2,
        place: 3,
    }));
    history.iter().for_each(|event| recorder.note(*event));
    recorder.save(&path).expect("the folder can be written");
    assert_eq!(Recorder::load(&path).expect("whole"), history);
    let bytes = std::fs::read(&path).expect("just written");
    std::fs::write(&path, &bytes[..bytes.len() - 1]).expect("the folder can be written");
    assert_eq!(
        Recorder::load(&path).expect_err("cut short").kind(),
        std::io::ErrorKind::InvalidData
    );
}

/// In virtual time much happens at one moment, and what came first still has to be known.
#[test]
fn moments_grow_where_the_clock_stands_still() {
    let (clock, hand) = larder_base::Clock::manual();
    let recorder = Recorder::with_clock(clock);
    let (first, second) = (recorder.now(), recorder.now());
    hand.advance(std::time::Duration::from_millis(1));
    let third = recorder.now();
    assert!(first < second && second < third, "{first} {second} {third}");
    assert_eq!(third - first, MS, "the clock's own time where it moves");
}
