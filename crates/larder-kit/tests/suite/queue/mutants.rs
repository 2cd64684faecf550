//! The steps of `protocol` can fail: each mutant changes one rule of a script, and the step named beside it must notice.

use std::panic::{AssertUnwindSafe, catch_unwind};

use larder_base::Clock;
use larder_engine::Engine;
use larder_testkit::Wire;

use super::{lab::Lab, protocol::CHECKS};

struct Mutant {
    script: &'static str,
    text: &'static str,
    other: &'static str,
    killed_by: &'static str,
}

const fn mutant(script: &'static str, [text, other]: [&'static str; 2], killed_by: &'static str) -> Mutant {
    Mutant {
        script,
        text,
        other,
        killed_by,
    }
}

#[rustfmt::skip]
const MUTANTS: &[Mutant] = &[
    mutant("push", ["if known[1] then", "if false then"], "one_id_is_one_job"),
    mutant("push", ["if count >= tonumber(capacity) then", "if false then"], "there_is_room_for_so_many"),
    mutant("push", ["{WAIT, LATER, RUN, DEAD, PARKED}", "{WAIT, LATER, RUN, PARKED}"], "there_is_room_for_so_many"),
    mutant("push", ["redis.call('HSETNX', HEADS, group, id) == 1", "true"], "a_group_goes_one_by_one"),
    mutant("push", ["tonumber(string.sub(last, #group + 2, #group + 17)) + 1", "0"], "a_group_goes_in_the_order_of_pushes"),
    mutant("push", ["if redis.call('ZCARD', WAIT) == 0 then wake() end", ""], "sleepers_are_told_of_the_first_job"),
    mutant("push", ["if redis.call('ZCARD', WAIT) == 0 then wake() end", "wake()"], "sleepers_are_told_of_the_first_job"),
    mutant("push", ["due < tonumber(head[2]) then wake() end", "false then wake() end"], "an_earlier_job_wakes_sleepers"),
    mutant("push", ["tonumber(edge[2]) + (first and -1 or 1)", "tonumber(edge[2])"], "jobs_go_by_priority_then_in_order"),
    mutant("push", ["if due > now then later(id, due) else ready(id) end", "ready(id)"], "a_delay_is_kept"),
    mutant("turn", ["if row[1] ~= token then", "if false then"], "the_overtaken_cannot_settle"),
    mutant("turn", ["if row[2] and string.sub(row[2], 1, #token) == token then", "if false then"],
        "a_settlement_sent_again_is_answered_the_same"),
    mutant("turn", ["if get(id, 'tok') == ARGV[2] then", "if false then"], "a_claim_that_nobody_heard_of_is_given_back"),
    mutant("turn", ["if get(id, 'tok') == ARGV[2] then", "do"], "only_the_unheard_claim_is_given_back"),
    mutant("turn", ["redis.call('HINCRBY', job(id), 'n', -1)", ""], "what_is_given_back_is_the_next"),
    mutant("turn", ["  ready(id, true)\nend\n\nlocal function settle", "  ready(id)\nend\n\nlocal function settle"],
        "what_is_given_back_is_the_next"),
    mutant("turn", ["    ready(id, true)\n  end\nend", "  end\nend"], "a_silent_workers_job_comes_back"),
    mutant("turn", ["redis.call('ZADD', RUN, int(now + tonumber(ARGV[4])), id)", ""], "a_silent_workers_job_comes_back"),
    mutant("turn", ["elseif tonumber(row[1]) >= tonumber(row[2]) then", "elseif false then"], "attempts_are_counted_and_end"),
    mutant("turn", ["tonumber(row[3]) < tonumber(row[4]) and 'retried' or 'dead'", "'retried'"], "attempts_are_counted_and_end"),
    mutant("turn", ["if deadline and deadline <= now then", "if false then"], "a_deadline_is_kept"),
    mutant("turn", ["if paused == 1 then wanted = 0 end", ""], "a_paused_queue_hands_nothing_out"),
    mutant("turn", ["if tonumber(ARGV[5]) > 0 then wanted", "if false then wanted"], "so_many_run_at_once"),
    mutant("turn", ["redis.call('PEXPIRE', job(id), keep)", ""], "what_is_done_is_forgotten"),
    mutant("turn", ["redis.call('PEXPIRE', DONE, keep)", ""], "what_is_done_is_forgotten"),
    mutant("turn", ["then redis.call('UNLINK', job(old[i])) end", "then end"], "what_is_done_is_forgotten"),
    mutant("turn", ["  ended(id, group)\nend\n\nlocal function back", "end\n\nlocal function back"], "a_group_goes_one_by_one"),
    mutant("turn", ["  ended(id, get(id, 'g'))", ""], "a_group_goes_one_by_one"),
    mutant("turn", ["if not next then return redis.call('HDEL', HEADS, group) end", "if not next then return end"],
        "a_group_goes_one_by_one"),
    mutant("beat", ["if get(id, 'tok') == ARGV[i + 1] then", "do"], "a_beat_keeps_the_own_job"),
    mutant("beat", ["redis.call('ZADD', RUN, int(now + tonumber(ARGV[1])), id)", ""], "a_beat_keeps_the_own_job"),
    mutant("tick", ["redis.call('HGET', SPECS, name) ~= ARGV[3]", "false"], "a_tick_is_made_once"),
    mutant("tick", ["redis.call('ZADD', TICKS, ARGV[4], name)", ""], "a_tick_is_made_once"),
    mutant("schedule", ["then return 0 end", "then end"], "a_tick_is_made_once"),
    mutant("replay", ["set(id, 'n', 0)", ""], "a_letter_is_replayed_whole"),
    mutant("remove", ["if row[1] == 'parked' then redis.call('ZREM', PARKED, row[3]) end", ""], "a_removed_job_is_nobodys_heir"),
    mutant("remove", ["  ended(id, row[2])", ""], "a_group_goes_one_by_one"),
    mutant("purge", ["redis.call('ZREM', PARKED, member)", "local _ = member"], "a_purge_forgets_what_was_deleted_by_hand"),
];

#[test]
fn every_mutant_is_killed_by_its_step() {
    let survivors: Vec<(&str, &str)> = MUTANTS
        .iter()
        .filter(|mutant| !is_killed(mutant))
        .map(|mutant| (mutant.script, mutant.text))
        .collect();
    assert!(survivors.is_empty(), "not noticed: {survivors:#?}");
}

fn is_killed(mutant: &Mutant) -> bool {
    let (_, check) = CHECKS
        .iter()
        .find(|(name, _)| *name == mutant.killed_by)
        .unwrap_or_else(|| panic!("{} names no step", mutant.killed_by));
    let clock = Clock::manual().0;
    let engine = Engine::builder().clock(clock.clone()).build();
    let changed = |name: &str, text: &str| {
        if name != mutant.script {
            return text.to_owned();
        }
        assert!(
            text.contains(mutant.text),
            "{name} has no `{}`: the mutant must follow the script",
            mutant.text
        );
        text.replace(mutant.text, mutant.other)
    };
    let mut lab = Lab::new(Wire::embedded(&engine), &clock, changed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime can be built");
    catch_unwind(AssertUnwindSafe(|| runtime.block_on(check(&mut lab)))).is_err()
}
