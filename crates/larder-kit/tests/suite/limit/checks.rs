//! Checks of the scripts, in virtual time against oracles, and of what each line of them is there for.

use larder_base::Random;
use larder_testkit::{
    Case, for_each_topology,
    history::{Call, Formula, check_rates},
};

use super::lab::{Lab, RATES, Said};

/// Scales the number of random traces: `LARDER_TRACES=100` runs a hundred times as many.
const TRACES_VARIABLE: &str = "LARDER_TRACES";

/// When traces begin: a moment whose microseconds need 51 bits.
const BEGIN: u64 = 1_763_600_000_000_000;

const STEPS: usize = 150;

type Check = fn(&mut Lab);

/// Every check, by its name.
pub(super) const CHECKS: &[(&str, Check)] = &[
    ("gcra_is_its_oracle_and_its_formula", gcra_is_its_oracle_and_its_formula),
    ("the_log_is_what_brute_force_says", the_log_is_what_brute_force_says),
    ("windows_keep_their_formulas", windows_keep_their_formulas),
    (
        "retry_after_is_enough_and_not_too_much",
        retry_after_is_enough_and_not_too_much,
    ),
    ("the_same_instant_many_times", the_same_instant_many_times),
    ("a_step_back_admits_nothing", a_step_back_admits_nothing),
    ("a_debt_is_a_burst_at_most", a_debt_is_a_burst_at_most),
    ("clocks_of_clients_do_not_count", clocks_of_clients_do_not_count),
    ("a_denied_call_changes_nothing", a_denied_call_changes_nothing),
    ("every_key_has_its_ttl", every_key_has_its_ttl),
    (
        "a_lease_is_renewed_under_its_own_id",
        a_lease_is_renewed_under_its_own_id,
    ),
];

#[test]
fn the_scripts_pass_every_check() {
    for_each_topology(async |t: larder_testkit::Topology| {
        for (name, check) in CHECKS {
            println!("{name} on {}", t.kind());
            check(&mut Lab::on(&t));
            t.wire().call(&["FLUSHALL"]).expect("the server answers");
        }
    });
}

fn traces(first: u64) -> impl Iterator<Item = (u64, Random)> {
    let scale = std::env::var(TRACES_VARIABLE).map_or(1, |text| text.parse().expect("a number of times"));
    Case::each(8 * scale, first).map(|case| (case.seed(), case.random()))
}

/// Moments that repeat, follow at once, or after a while.
fn next(random: &Random, at: u64, scale: u64) -> u64 {
    let pauses = [0, 0, 1, 7, random.below(scale), random.below(scale * 8)];
    at + pauses[random.below(pauses.len() as u64) as usize]
}

/// GCRA in i128, with every number that the script answers; then the whole log by the formula.
fn gcra_is_its_oracle_and_its_formula(lab: &mut Lab) {
    for (seed, random) in traces(100) {
        let (interval, burst) = (1_000_000 + random.below(20_000_000), 1 + random.below(9));
        let (t, b) = (i128::from(interval), i128::from(burst));
        let (mut at, mut arrival, mut calls) = (BEGIN + random.below(1_000_000), 0i128, Vec::new());
        let key = format!("gcra:{seed}");
        for _ in 0..STEPS {
            at = next(&random, at, interval * 3 / 2);
            let cost = 1 + random.below(3);
            let (now, need) = (i128::from(at), i128::from(cost) * t);
            let base = arrival.max(now);
            let room = b * t - (base - now);
            let allowed = need <= room;
            if allowed {
                arrival = base + need;
            }
            let retry = if allowed {
                0
            } else if cost > burst {
                -1
            } else {
                need - room
            };
            let wanted = Said {
                allowed,
                remaining: ((room - if allowed { need } else { 0 }) / t) as u64,
                retry: retry as i64,
                reset: (arrival.max(now) - now) as i64,
                now: at,
            };
            assert_eq!(
                lab.ask_at(at, "gcra", &key, &[interval, burst, cost]),
                wanted,
                "seed {seed}"
            );
            calls.push(Call {
                subject: seed,
                at,
                cost,
                admitted: allowed,
            });
        }
        let report = check_rates(&calls, Formula::Gcra { interval, burst });
        assert_eq!(report.violations, [], "seed {seed}");
    }
}

/// All admissions are kept, and counted one by one.
fn the_log_is_what_brute_force_says(lab: &mut Lab) {
    for (seed, random) in traces(200) {
        let (window, limit) = (60_000_000, 1 + random.below(9));
        let (mut at, mut log) = (BEGIN + random.below(1_000_000), Vec::<u64>::new());
        let key = format!("log:{seed}");
        for _ in 0..STEPS {
            let later = next(&random, at, 9_000_000);
            // Now and then exactly a window after the oldest, which is just outside then.
            at = match log.first() {
                Some(oldest) if random.below(3) == 0 && oldest + window >= at => later.min(oldest + window).max(at),
                _ => later,
            };
            let cost = 1 + random.below(3);
            log.retain(|then| then + window > at);
            let used = log.len() as u64;
            let allowed = used + cost <= limit;
            let said = lab.ask_at(at, "log", &key, &[limit, window / 1_000, cost]);
            assert_eq!((said.allowed, said.now), (allowed, at), "seed {seed}");
            if allowed {
                log.extend((0..cost).map(|_| at));
                assert_eq!(said.remaining, limit - used - cost);
            } else if cost > limit {
                assert_eq!(said.retry, -1);
            } else {
                let leaves = log[(used + cost - limit - 1) as usize];
                assert_eq!(
                    (said.remaining, said.retry as u64),
                    (limit - used, leaves + window - at)
                );
            }
        }
    }
}

/// Fixed and sliding counter: neither more than the formula, nor less, over the whole trace.
fn windows_keep_their_formulas(lab: &mut Lab) {
    for (seed, random) in traces(300) {
        let (limit, window) = (5 + random.below(10), 60_000_000);
        for (kind, formula) in [
            ("fixed", Formula::Fixed { limit, window }),
            ("counter", Formula::Counter { limit, window }),
        ] {
            let (mut at, mut calls, mut sum) = (BEGIN, Vec::new(), 0);
            let key = format!("{kind}:{seed}");
            for _ in 0..STEPS * 2 {
                at = next(&random, at, 4_000_000);
                let cost = 1 + random.below(2);
                let said = lab.ask_at(at, kind, &key, &[limit, window / 1_000, cost]);
                sum += u64::from(said.allowed) * cost;
                calls.push(Call {
                    subject: seed,
                    at,
                    cost,
                    admitted: said.allowed,
                });
            }
            let report = check_rates(&calls, formula);
            assert_eq!(report.violations, [], "{kind}, seed {seed}");
            assert!(report.denied > 0 && sum > limit, "{kind}: {report:?}");
            // Never more than twice the limit in any interval of a window's length.
            let doubled = Formula::Log {
                limit: 2 * limit,
                window,
            };
            let admitted: Vec<Call> = calls.into_iter().filter(|call| call.admitted).collect();
            assert_eq!(check_rates(&admitted, doubled).violations, [], "{kind}, seed {seed}");
        }
    }
}

/// The numbers that give `limit` permits a minute.
fn a_minute(kind: &str, limit: u64) -> [u64; 2] {
    if kind == "gcra" {
        [60_000_000 / limit, limit]
    } else {
        [limit, 60_000]
    }
}

fn retry_after_is_enough_and_not_too_much(lab: &mut Lab) {
    for (seed, random) in traces(400) {
        for kind in RATES {
            let key = format!("{kind}:{seed}");
            let [a, b] = a_minute(kind, 10);
            let mut at = BEGIN + random.below(1_000_000_000);
            let denied = loop {
                let said = lab.ask_at(at, kind, &key, &[a, b, 1]);
                if !said.allowed {
                    break said;
                }
                at += random.below(2_000_000);
            };
            let wait = u64::try_from(denied.retry).expect("it is a matter of time");
            if wait > 2 {
                let early = lab.ask_at(at + wait - 2, kind, &key, &[a, b, 1]);
                assert!(!early.allowed, "{kind}, seed {seed}: {denied:?} and then {early:?}");
            }
            assert!(
                lab.ask_at(at + wait + 1, kind, &key, &[a, b, 1]).allowed,
                "{kind}, seed {seed}"
            );
        }
    }
}

fn the_same_instant_many_times(lab: &mut Lab) {
    for kind in RATES {
        let [a, b] = a_minute(kind, 50);
        let admitted = (0..1_000).filter(|_| lab.ask_at(BEGIN, kind, kind, &[a, b, 1]).allowed);
        assert_eq!(admitted.count(), 50, "{kind}");
    }
}

fn a_step_back_admits_nothing(lab: &mut Lab) {
    const HOUR: u64 = 3_600_000_000;
    for kind in RATES {
        let [a, b] = a_minute(kind, 5);
        assert!(lab.ask_at(BEGIN + 1, kind, kind, &[a, b, 5]).allowed, "{kind}");
        let said = lab.ask_at(BEGIN - HOUR, kind, kind, &[a, b, 1]);
        assert!(!said.allowed, "{kind}: {said:?}");
    }
}

/// A debt of ten days, under limits of ten a minute.
fn a_debt_is_a_burst_at_most(lab: &mut Lab) {
    let slow = [86_400_000_000, 10];
    assert!(lab.ask_at(BEGIN, "gcra", "k", &[slow[0], slow[1], 10]).allowed);
    let [interval, burst] = a_minute("gcra", 10);
    let ask = |lab: &mut Lab, at| lab.ask_at(at, "gcra", "k", &[interval, burst, 1]);
    let denied = ask(lab, BEGIN + 1);
    assert_eq!(
        (denied.allowed, denied.retry as u64, denied.reset as u64),
        (false, interval, interval * burst)
    );
    assert!((0..=60_000).contains(&lab.ttl("k")));
    // Whoever goes on asking is not denied any longer.
    assert!(!ask(lab, BEGIN + interval).allowed);
    assert!(ask(lab, BEGIN + 1 + interval).allowed);
}

/// Two clients whose clocks are two days apart, and who say so, under five a day.
fn clocks_of_clients_do_not_count(lab: &mut Lab) {
    const DAY_MS: u64 = 86_400_000;
    for kind in RATES {
        let [a, b] = if kind == "gcra" { [DAY_MS * 200, 5] } else { [5, DAY_MS] };
        let mut admitted = 0;
        for clock in [1_763_600_000, 1_763_600_000 + 2 * DAY_MS / 1_000] {
            for _ in 0..10 {
                admitted += u64::from(lab.ask(kind, &[kind], &[a, b, 1, clock, 0]).allowed);
            }
        }
        assert_eq!(admitted, 5, "{kind}");
    }
}

fn a_denied_call_changes_nothing(lab: &mut Lab) {
    for kind in RATES {
        let [a, b] = a_minute(kind, 5);
        lab.ask_at(BEGIN, kind, kind, &[a, b, 5]);
        let first = lab.ask_at(BEGIN + 1, kind, kind, &[a, b, 1]);
        assert!(!first.allowed);
        for _ in 0..100 {
            assert_eq!(lab.ask_at(BEGIN + 1, kind, kind, &[a, b, 1]), first, "{kind}");
        }
        // Whoever goes on asking is admitted as soon as whoever did not.
        let wait = u64::try_from(first.retry).expect("it is a matter of time");
        assert!(lab.ask_at(BEGIN + 2 + wait, kind, kind, &[a, b, 1]).allowed, "{kind}");
    }
}

fn every_key_has_its_ttl(lab: &mut Lab) {
    for kind in RATES {
        let [a, b] = a_minute(kind, 3);
        let (key, request) = (format!("{{{kind}}}"), format!("{{{kind}}}r"));
        for round in 0..5 {
            // Of the first and the last calls before the limit, and of one denied.
            let keys: &[&str] = if round == 1 { &[&key, &request] } else { &[&key] };
            lab.ask(kind, keys, &[a, b, 1]);
            let ttl = lab.ttl(&key);
            assert!((0..=120_001).contains(&ttl), "{kind}: {ttl}");
        }
        let ttl = lab.ttl(&request);
        assert!((0..=120_001).contains(&ttl), "{kind}, of the request: {ttl}");
    }
    lab.enter("{c}", "a", 2, 60_000);
    assert!((0..=60_000).contains(&lab.ttl("{c}")));
}

fn a_lease_is_renewed_under_its_own_id(lab: &mut Lab) {
    let mut enter = |id: &str| lab.enter("{c}", id, 2, 60_000);
    assert_eq!(
        ["a", "b", "a", "c", "b"].map(&mut enter),
        [true, true, true, false, true]
    );
    assert!(lab.leave("{c}", "a"));
    assert!(!lab.leave("{c}", "a"), "it is given back once");
    assert!(lab.enter("{c}", "c", 2, 60_000));
}
