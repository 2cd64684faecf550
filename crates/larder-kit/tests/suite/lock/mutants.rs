//! Rules left out one at a time: each must be noticed, by the check beside it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use larder_kit::mutant::{self, Mutant};
use larder_testkit::Kind;

use super::{
    late,
    scripts::{self, Check, Mutation},
};

const fn without(script: &'static str, text: &'static str) -> Mutation {
    instead(script, text, "")
}

const fn instead(script: &'static str, text: &'static str, other: &'static str) -> Mutation {
    Mutation { script, text, other }
}

const AGAIN: &str = "if mine then return";

/// The first is the protocol's M19, a fence that only counts; the fifth and sixth are M50 on the script's side.
#[rustfmt::skip]
const SCRIPTS: &[(Mutation, Check)] = &[
    (instead("acquire", "+ 1, us)", "+ 1)"), scripts::the_fence_is_never_behind_the_clock_nor_the_last),
    (instead("acquire", "math.max((tonumber(redis.call('GET', KEYS[2]) or '0') or 0) + 1, us)", "us"),
        scripts::the_fence_is_never_behind_the_clock_nor_the_last),
    (instead("acquire", "int(fence), 'PX', int(keep)", "int(fence)"), scripts::every_key_ends),
    (instead("acquire", "ARGV[1] .. int(fence), 'PX', ARGV[2]", "ARGV[1] .. int(fence)"), scripts::every_key_ends),
    (instead("acquire", "redis.call('PTTL', KEYS[1]), now} end -- the same", "tonumber(ARGV[2]), now} end -- the same"),
        scripts::the_same_request_again_renews_nothing),
    (instead("acquire", "if holder == ARGV[1] then return", "if holder == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) return"),
        scripts::the_same_request_again_renews_nothing),
    (instead("acquire", "holder ~= ARGV[3]", "true"), scripts::a_retry_takes_the_place_of_what_it_repeats),
    (instead("acquire", "redis.call('SET', KEYS[1], ARGV[1] .. fence, 'PX', ARGV[2]) --", "redis.call('SET', KEYS[1], ARGV[1] .. fence, 'KEEPTTL') --"),
        scripts::a_retry_has_its_whole_time),
    (instead("acquire", " and #cur > 16", ""), scripts::what_others_left_is_overwritten_or_stays_busy),
    (instead("extend", "string.sub(cur, 1, 16) ~= ARGV[1]", "false"), scripts::what_is_anothers_stays),
    (without("extend", "redis.call('PEXPIRE', KEYS[1], ARGV[2])"), scripts::a_renewal_lasts),
    (instead("extend", "== 0 then redis.call('SET', KEYS[2], string.sub(cur, 17), 'PX', int(keep)) end", "== 0 then end"),
        scripts::a_fence_that_was_lost_comes_back_with_the_next_renewal),
    (instead("release", "string.sub(cur, 1, 16) ~= ARGV[1]", "false"), scripts::what_is_anothers_stays),
    (instead("adopt", "holder ~= ARGV[3] and", "false and"), scripts::a_token_is_adopted_once),
    (instead("adopt", "and holder ~= ARGV[4]", ""), scripts::a_token_is_adopted_once),
    (instead("adopt", "ARGV[1] .. fence", "holder .. fence"), scripts::a_token_is_adopted_once),
    (instead("adopt", "'PX', ARGV[2])", "'KEEPTTL')"), scripts::a_token_is_adopted_once),
    (instead("adopt", "== 0 then redis.call('SET', KEYS[2], fence, 'PX', int(keep)) end", "== 0 then end"),
        scripts::a_token_is_adopted_once),
    (without("semaphore_acquire", "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', int(now))"),
        scripts::a_lease_that_lapsed_takes_no_room),
    (instead("semaphore_acquire", AGAIN, "if false then return"), scripts::the_same_request_again_renews_nothing),
    (without("semaphore_acquire", "redis.call('ZREM', KEYS[1], ARGV[3])"), scripts::a_retry_takes_the_place_of_what_it_repeats),
    (instead("semaphore_acquire", ">= tonumber(ARGV[4])", "> tonumber(ARGV[4])"),
        scripts::a_retry_takes_the_place_of_what_it_repeats),
    (without("semaphore_acquire", "redis.call('PEXPIRE', KEYS[1], int(last - now))"), scripts::every_key_ends),
    (instead("semaphore_acquire", "'0', '0', 'WITHSCORES'", "'-1', '-1', 'WITHSCORES'"),
        scripts::a_lease_among_several_lapses_alone),
    (instead("member_extend", "or tonumber(mine) <= now", ""), scripts::a_lease_among_several_lapses_alone),
    (instead("member_extend", "not mine or tonumber(mine) <= now", "mine and tonumber(mine) <= now"), scripts::what_is_anothers_stays),
    (without("member_extend", "redis.call('ZADD', KEYS[1], int(now + ARGV[2]), ARGV[1])"), scripts::a_renewal_lasts),
    (without("member_extend", "redis.call('PEXPIRE', KEYS[1], int(math.max(redis.call('PTTL', KEYS[1]), ARGV[2])))"), scripts::a_renewal_lasts),
    (without("member_release", " and tonumber(mine) > now"), scripts::a_lease_among_several_lapses_alone),
    (without("member_release", "redis.call('ZREM', KEYS[1], ARGV[1])"), scripts::what_is_anothers_stays),
    (without("read_acquire", "redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', int(now))"),
        scripts::a_lease_that_lapsed_takes_no_room),
    (instead("read_acquire", AGAIN, "if false then return"), scripts::the_same_request_again_renews_nothing),
    (instead("read_acquire", "redis.call('ZREM', KEYS[2], ARGV[3]) == 1", "redis.call('ZSCORE', KEYS[2], ARGV[3])"),
        scripts::a_retry_takes_the_place_of_what_it_repeats),
    (without("read_acquire", " and not again"), scripts::a_retry_takes_the_place_of_what_it_repeats),
    (instead("read_acquire", "writer ~= -2", "false"), scripts::a_writer_is_alone_and_comes_first),
    (instead("read_acquire", "waiting ~= -2", "false"), scripts::a_writer_is_alone_and_comes_first),
    (without("read_acquire", "redis.call('PEXPIRE', KEYS[2], int(last - now))"), scripts::every_key_ends),
    (instead("write_acquire", "+ 1, us)", "+ 1)"), scripts::the_fence_is_never_behind_the_clock_nor_the_last),
    (instead("write_acquire", "math.max((tonumber(redis.call('GET', KEYS[2]) or '0') or 0) + 1, us)", "us"),
        scripts::the_fence_is_never_behind_the_clock_nor_the_last),
    (instead("write_acquire", "redis.call('PTTL', KEYS[1]), int(now)} end -- the same", "tonumber(ARGV[2]), int(now)} end -- the same"),
        scripts::the_same_request_again_renews_nothing),
    (instead("write_acquire", "holder ~= ARGV[3]", "true"), scripts::a_retry_takes_the_place_of_what_it_repeats),
    (instead("write_acquire", "ARGV[1] .. fence, 'PX', ARGV[2])", "ARGV[1] .. fence, 'KEEPTTL')"), scripts::a_retry_has_its_whole_time),
    (without("write_acquire", "redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', int(now))"),
        scripts::a_lease_that_lapsed_takes_no_room),
    (without("write_acquire", "if last then return busy(last - now) end"), scripts::a_writer_is_alone_and_comes_first),
    (instead("write_acquire", "KEYS[3], '-1', '-1'", "KEYS[3], '0', '0'"), scripts::a_lease_among_several_lapses_alone),
    (instead("write_acquire", "ARGV[4] ~= '0'", "false"), scripts::a_writer_is_alone_and_comes_first),
    (instead("write_acquire", "if ARGV[4] ~= '0' then redis.call('SET', KEYS[4], '1', 'PX', ARGV[4]) end", "redis.call('SET', KEYS[4], '1', 'PX', '1000')"),
        scripts::a_writer_is_alone_and_comes_first),
    (instead("write_acquire", "'1', 'PX', ARGV[4]", "'1'"), scripts::every_key_ends),
    (instead("write_acquire", "int(fence), 'PX', int(keep)", "int(fence)"), scripts::every_key_ends),
    (without("write_acquire", "redis.call('DEL', KEYS[4])"), scripts::a_writer_is_alone_and_comes_first),
    (instead("write_acquire", "ARGV[1] .. int(fence), 'PX', ARGV[2]", "ARGV[1] .. int(fence)"),
        scripts::the_fence_is_never_behind_the_clock_nor_the_last),
    (instead("campaign", "+ 1, us)", "+ 1)"), scripts::the_fence_is_never_behind_the_clock_nor_the_last),
    (instead("campaign", "math.max((tonumber(redis.call('GET', KEYS[2]) or '0') or 0) + 1, us)", "us"),
        scripts::the_fence_is_never_behind_the_clock_nor_the_last),
    (instead("campaign", "redis.call('PTTL', KEYS[1]), now} end -- the same", "tonumber(ARGV[2]), now} end -- the same"),
        scripts::the_same_request_again_renews_nothing),
    (instead("campaign", "holder ~= ARGV[3]", "true"), scripts::a_retry_takes_the_place_of_what_it_repeats),
    (instead("campaign", "term .. ':' .. ARGV[4], 'PX', ARGV[2]) --", "term .. ':' .. ARGV[4], 'KEEPTTL') --"), scripts::a_retry_has_its_whole_time),
    (instead("campaign", "int(term) .. ':' .. ARGV[4], 'PX', ARGV[2]", "int(term) .. ':' .. ARGV[4]"), scripts::every_key_ends),
    (instead("campaign", "int(term), 'PX', int(keep)", "int(term)"), scripts::every_key_ends),
    (instead("campaign", "string.match(cur, '^%d+', 17)", "string.sub(cur, 17)"), scripts::the_same_request_again_renews_nothing),
    (instead("campaign", " and #cur > 16", ""), scripts::what_others_left_is_overwritten_or_stays_busy),
    (instead("campaign_extend", "string.sub(cur, 1, 16) ~= ARGV[1]", "false"), scripts::what_is_anothers_stays),
    (without("campaign_extend", "redis.call('PEXPIRE', KEYS[1], ARGV[2])"), scripts::a_renewal_lasts),
    (instead("campaign_extend", "string.match(cur, '^%d+', 17)", "string.sub(cur, 17)"),
        scripts::a_fence_that_was_lost_comes_back_with_the_next_renewal),
    (instead("campaign_extend", "== 0 then redis.call('SET', KEYS[2], term, 'PX', int(keep)) end", "== 0 then end"),
        scripts::a_fence_that_was_lost_comes_back_with_the_next_renewal),
];

/// Those of the library.
const RULES: &[(Mutant, fn())] = &[
    (Mutant::M20Sent, late::a_reply_that_is_late_gives_no_time),
    (Mutant::M20Ttl, late::a_guard_believes_what_it_was_told_is_left),
    (
        Mutant::M50,
        late::a_retry_has_its_whole_time_and_its_first_copy_gets_nothing,
    ),
];

fn is_noticed(check: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(check)).is_err()
}

#[test]
fn every_rule_of_the_scripts_is_missed() {
    let survivors: Vec<_> = SCRIPTS
        .iter()
        .filter(|(mutation, check)| !is_noticed(|| check(Kind::Embedded, Some(*mutation))))
        .map(|(mutation, _)| mutation)
        .collect();
    assert!(survivors.is_empty(), "not noticed: {survivors:#?}");
}

#[test]
fn every_rule_of_the_library_is_missed() {
    for (rule, check) in RULES {
        assert!(
            is_noticed(|| mutant::with(Some(*rule), check)),
            "{rule:?} is not noticed"
        );
    }
}
