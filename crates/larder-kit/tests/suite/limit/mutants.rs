//! The checks can fail: each mutant changes one line of a script, and the check named beside it must notice.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{
    checks::CHECKS,
    lab::{Change, Lab},
};

struct Mutant {
    name: &'static str,
    change: Change,
    killed_by: &'static str,
}

const fn mutant(
    name: &'static str,
    script: &'static str,
    [text, other]: [&'static str; 2],
    killed_by: &'static str,
) -> Mutant {
    let change = Change { script, text, other };
    Mutant {
        name,
        change,
        killed_by,
    }
}

const OF_CLIENTS: [&str; 2] = ["redis.call('TIME')", "{ARGV[#ARGV - 1], ARGV[#ARGV]}"];

#[rustfmt::skip]
const MUTANTS: &[Mutant] = &[
    mutant("M21 gcra charges denied calls", "gcra",
        ["if need > room then", "if need > room then redis.call('SET', KEYS[1], int(tat + need), 'PX', '100000')"],
        "a_denied_call_changes_nothing"),
    mutant("M21 fixed charges denied calls", "fixed",
        ["if count + cost > limit then", "if count + cost > limit then redis.call('SET', KEYS[1], struct.pack('>dd', start + window, count), 'PX', '100000')"],
        "a_denied_call_changes_nothing"),
    mutant("M21 counter charges denied calls", "counter",
        ["if used + cost > limit then", "if used + cost > limit then redis.call('SET', KEYS[1], struct.pack('>ddd', start, prev, cur + cost), 'PX', '100000')"],
        "a_denied_call_changes_nothing"),
    mutant("M21 log stores denied calls", "log",
        ["if count + cost > limit then", "if count + cost > limit then redis.call('ZADD', KEYS[1], int(now), int(now) .. ':d' .. count)"],
        "a_denied_call_changes_nothing"),
    mutant("M22 gcra goes by the client's clock", "gcra", OF_CLIENTS, "clocks_of_clients_do_not_count"),
    mutant("M22 fixed goes by the client's clock", "fixed", OF_CLIENTS, "clocks_of_clients_do_not_count"),
    mutant("M22 counter goes by the client's clock", "counter", OF_CLIENTS, "clocks_of_clients_do_not_count"),
    mutant("M22 log goes by the client's clock", "log", OF_CLIENTS, "clocks_of_clients_do_not_count"),
    mutant("M51 members of the log are counted by the call", "log",
        ["int(same + i)", "int(i)"], "the_same_instant_many_times"),
    mutant("M51 members of the log are the time", "log",
        ["int(now) .. ':' .. int(same + i)", "int(now)"], "the_same_instant_many_times"),
    mutant("M52 gcra writes without a TTL", "gcra",
        ["int(new), 'PX', px)", "int(new))"], "every_key_has_its_ttl"),
    mutant("M52 fixed writes without a TTL", "fixed",
        ["count + cost), 'PX', px)", "count + cost))"], "every_key_has_its_ttl"),
    mutant("M52 counter writes without a TTL", "counter",
        ["cur + cost), 'PX', px)", "cur + cost))"], "every_key_has_its_ttl"),
    mutant("M52 log writes without a TTL", "log",
        ["redis.call('PEXPIRE', KEYS[1], px)", ""], "every_key_has_its_ttl"),
    mutant("M52 concurrency writes without a TTL", "concurrency",
        ["redis.call('PEXPIRE', KEYS[1], int(last - now))", ""], "every_key_has_its_ttl"),
    mutant("M52 gcra keeps a request without a TTL", "gcra",
        ["'1', 'PX', px)", "'1')"], "every_key_has_its_ttl"),
    mutant("gcra keeps its key for days", "gcra",
        ["'PX', px", "'EX', '100000'"], "every_key_has_its_ttl"),
    mutant("gcra denies the last of a burst", "gcra",
        ["if need > room then", "if need >= room then"], "gcra_is_its_oracle_and_its_formula"),
    mutant("gcra rounds the debt", "gcra",
        ["SET', KEYS[1], int(new)", "SET', KEYS[1], tostring(new)"], "gcra_is_its_oracle_and_its_formula"),
    mutant("gcra forgives a debt after a step back", "gcra",
        ["  tat = now + burst * interval", "  tat = now"], "a_step_back_admits_nothing"),
    mutant("gcra does not write down that it lowered a debt", "gcra",
        ["'PX', int(math.ceil((tat - now) / 1000)), 'XX'", "'NX'"], "a_debt_is_a_burst_at_most"),
    mutant("log lets go a microsecond late", "log",
        ["int(now - window))", "int(now - window - 1))"], "the_log_is_what_brute_force_says"),
    mutant("fixed begins anew after a step back", "fixed",
        ["if stored >= start then", "if stored == start then"], "a_step_back_admits_nothing"),
    mutant("counter forgets the window before", "counter",
        ["prev = c end", "prev = 0 end"], "windows_keep_their_formulas"),
    mutant("concurrency refuses a renewal", "concurrency",
        ["if not mine and count", "if count"], "a_lease_is_renewed_under_its_own_id"),
];

#[test]
fn every_mutant_is_killed_by_its_check() {
    let survivors: Vec<&str> = MUTANTS
        .iter()
        .filter(|mutant| !killed(mutant))
        .map(|mutant| mutant.name)
        .collect();
    assert!(survivors.is_empty(), "not noticed: {survivors:#?}");
}

fn killed(mutant: &Mutant) -> bool {
    let named = CHECKS.iter().find(|(name, _)| *name == mutant.killed_by);
    let (_, check) = named.unwrap_or_else(|| panic!("{} names no check", mutant.name));
    // Outside: a change that finds nothing to change is no mutant.
    let mut lab = Lab::changed(mutant.change);
    catch_unwind(AssertUnwindSafe(|| check(&mut lab))).is_err()
}

#[test]
fn the_page_on_verification_lists_them() {
    let page = include_str!("../../../../../docs/verification.md");
    for Mutant { name, killed_by, .. } in MUTANTS {
        let is_listed =
            |line: &&str| line.starts_with(&format!("| {name} |")) && line.ends_with(&format!("| {killed_by} |"));
        assert!(
            page.lines().any(|line| is_listed(&line)),
            "`{name}`, killed by {killed_by}, is not in docs/verification.md"
        );
    }
}
