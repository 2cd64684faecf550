//! Each rule of the scripts left out alone: the check named beside it must notice.

use std::{
    fmt::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
};

use larder_kit::mutant::{self, Mutant};

use super::{
    fast, fields, fixation, lab,
    lab::{Check, Mutation},
    life, lost, users,
};

const fn without(script: &'static str, text: &'static str) -> Mutation {
    instead(script, text, "")
}

const fn instead(script: &'static str, text: &'static str, other: &'static str) -> Mutation {
    Mutation { script, text, other }
}

const CREATE: &str = "session_create";
const USE: &str = "session_use";
const ROTATE: &str = "session_rotate";
const REVOKE: &str = "session_revoke";

#[rustfmt::skip]
const MUTANTS: &[(Mutation, Check)] = &[
    (without(CREATE, "redis.call('PEXPIRE', KEYS[1], math.min(unused, absolute))"),
        users::a_kept_sessions_user_is_not_kept_for_ever),
    (instead(CREATE, "math.min(unused, absolute)", "absolute"), life::a_change_after_the_end_makes_no_immortal_session),
    (without(CREATE, "redis.call('PEXPIRE', KEYS[2], math.max(redis.call('PTTL', KEYS[2]), absolute))"),
        users::users_are_found_again_by_what_they_are),
    (instead(CREATE, "math.max(redis.call('PTTL', KEYS[2]), absolute)", "absolute"),
        users::a_session_does_not_shorten_a_login),
    (instead(CREATE, "ARGV[6] ~= '' and ARGV[6] ~= epoch", "false"),
        users::a_revocation_reaches_the_login_that_was_under_way),
    (instead(CREATE, "ARGV[6] ~= '' and ARGV[6] ~= epoch", "epoch and ARGV[6] ~= '' and ARGV[6] ~= epoch"),
        users::a_revocation_reaches_the_login_that_was_under_way),
    (instead(CREATE, "bytes > tonumber(ARGV[4])", "false"),
        fields::more_data_than_may_be_is_refused_and_changes_nothing),
    (instead(CREATE, "'=n', bytes", "'=n', 0"), fields::a_login_carries_the_size_of_the_data),
    (instead(CREATE, "redis.call('EXISTS', ARGV[9] .. ref) == 1", "true"), users::sessions_that_ended_take_up_no_room),
    (instead(CREATE, "a[1] < b[1] or", "a[1] > b[1] or"), users::a_user_has_no_more_sessions_than_may_be),
    (instead(CREATE, "over > 0 and ARGV[8] == 'refuse'", "false"), users::a_user_has_no_more_sessions_than_may_be),
    (without(CREATE, "redis.call('UNLINK', ARGV[9] .. live[i][2])"), users::a_user_has_no_more_sessions_than_may_be),
    (instead(USE, "now >= deadline or", ""), life::a_session_whose_ttl_was_removed_ends_in_time),
    (instead(USE, "user and redis.call('HGET', ARGV[2] .. user, '=e') ~= (head[5] or '')", "false"),
        users::a_session_that_no_list_knows_is_revoked_as_well),
    (instead(USE, "(head[5] or '')", "head[5]"), fast::what_is_remembered_of_a_session_decides_nothing),
    (instead(USE, "op == 'is' and current ~= value", "false"),
        fields::compare_and_set_stores_only_over_what_was_loaded),
    (instead(USE, "op == 'no' and current", "false"), fields::compare_and_set_stores_only_over_what_was_loaded),
    (instead(USE, "local current = after[field]", "local current = before[field]"),
        fields::a_change_is_made_as_a_whole_or_not_at_all),
    (instead(USE, "math.abs(sum) > 9007199254740991", "false"), fields::a_counter_stays_exact_and_within_its_bounds),
    (instead(USE, "'^-?%d+$'", "'.'"), fields::a_counter_stays_exact_and_within_its_bounds),
    (instead(USE, "string.format('%.0f', sum)", "tostring(sum)"),
        fields::a_counter_stays_exact_and_within_its_bounds),
    (instead(USE, "total > tonumber(ARGV[3]) and total > bytes", "false"),
        fields::more_data_than_may_be_is_refused_and_changes_nothing),
    (without(USE, " and total > bytes"), fields::more_data_than_may_be_is_refused_and_changes_nothing),
    (without(USE, "if before[field] then total = total - #field - #before[field] end"),
        fields::more_data_than_may_be_is_refused_and_changes_nothing),
    (without(USE, ", '=n', total"), fields::more_data_than_may_be_is_refused_and_changes_nothing),
    (without(USE, "version = version + 1"), fixation::a_login_loses_no_change_of_another_request),
    (without(USE, "redis.call('PEXPIRE', S, math.min(tonumber(ARGV[1]), deadline - now))"),
        life::an_idle_session_ends_and_every_use_renews_it),
    (instead(USE, "math.min(tonumber(ARGV[1]), deadline - now)", "ARGV[1]"),
        life::no_use_keeps_a_session_beyond_its_absolute_end),
    (instead(USE, "redis.call('PEXPIRE', S,", "redis.call('HSET', S, '=s', 0)\nredis.call('PEXPIRE', S,"),
        life::a_full_store_still_loads_and_ends_sessions),
    (without(USE, "if not stores then redis.call('HSET', S, unpack(record)) end"), users::a_users_sessions_are_listed_and_ended_one_by_one),
    (instead(USE, "before[first], after[first] = head[6], head[6]", "before[first], after[first] = false, false"),
        fields::compare_and_set_stores_only_over_what_was_loaded),
    (instead(USE, "#record > 1000", "false"), fields::a_change_of_very_many_fields_is_made_as_a_whole),
    (without(USE, "        record = {}\n"), fields::a_change_of_very_many_fields_is_made_as_a_whole),
    (instead(USE, "if stores then redis", "redis.call('PEXPIRE', S, 1000000)\nif stores then redis"),
        life::a_full_store_still_loads_and_ends_sessions),
    (instead(ROTATE, "'RENAME'", "'COPY'"), fixation::a_rotated_id_is_dead_at_once),
    (instead(ROTATE, "now >= deadline or", ""), life::a_session_whose_ttl_was_removed_ends_in_time),
    (instead(ROTATE, "user and redis.call('HGET', ARGV[2] .. user, '=e') ~= (head[3] or '')", "false"),
        users::a_session_that_no_list_knows_is_revoked_as_well),
    (without(ROTATE, "redis.call('HSET', ARGV[2] .. user, '.' .. ARGV[3], head[4])"),
        fixation::a_rotated_id_is_dead_at_once),
    (instead(ROTATE, "math.min(tonumber(ARGV[1]), deadline - now)", "ARGV[1]"),
        life::no_use_keeps_a_session_beyond_its_absolute_end),
    (instead("session_delete", "ARGV[3] ~= '' and head[1] ~= ARGV[3]", "false"),
        fixation::a_login_loses_no_change_of_another_request),
    (instead("session_delete", "if is == 'hash' then", "do"), fields::what_is_no_session_is_not_taken_for_one),
    (instead("session_list", "head and head[1]", "head"), users::sessions_that_ended_take_up_no_room),
    (without(REVOKE, "redis.call('UNLINK', KEYS[1])"), users::a_revocation_reaches_the_login_that_was_under_way),
    (without(REVOKE, "redis.call('HSET', ARGV[1] .. ARGV[2], '=e', ARGV[3])"),
        users::a_session_can_be_kept_while_all_others_end),
    (without(REVOKE, "redis.call('PEXPIRE', KEYS[1], kept[2])"), users::a_kept_sessions_user_is_not_kept_for_ever),
    (instead(REVOKE, "'=e', ARGV[3], '.'", "'=e', epoch, '.'"), users::a_session_can_be_kept_while_all_others_end),
    (instead("session_login", "'HSETNX'", "'HSET'"), users::a_login_takes_no_longer_than_it_may_and_ends_nothing),
    (instead("session_login", "math.max(redis.call('PTTL', KEYS[1]), tonumber(ARGV[1]))", "ARGV[1]"),
        users::a_login_takes_no_longer_than_it_may_and_ends_nothing),
    (without("session_login",
        "redis.call('PEXPIRE', KEYS[1], math.max(redis.call('PTTL', KEYS[1]), tonumber(ARGV[1])))"),
        users::a_login_takes_no_longer_than_it_may_and_ends_nothing),
];

#[test]
fn every_rule_that_is_left_out_is_noticed() {
    let mut unnoticed = String::new();
    for (mutation, check) in MUTANTS {
        // A mutant that fails is expected to: what it says is not worth reading.
        if catch_unwind(AssertUnwindSafe(|| lab::with(Some(*mutation), *check))).is_ok() {
            let Mutation { script, text, other } = mutation;
            writeln!(unnoticed, "{script}: `{text}` became `{other}`").expect("a string takes it");
        }
    }
    assert!(unnoticed.is_empty(), "nobody noticed that\n{unnoticed}");
}

#[rustfmt::skip]
const OF_THE_LIBRARY: &[(Mutant, Check)] = &[
    (Mutant::S1, fixation::a_login_loses_no_change_of_another_request),
    (Mutant::S2, lost::a_rotation_whose_answer_was_lost_is_taken_up_again),
    (Mutant::S2, lost::a_login_or_rotation_that_was_dropped_anywhere_is_taken_up_again),
    (Mutant::S3, lost::a_login_whose_answer_was_lost_is_taken_up_again),
    (Mutant::S3, lost::a_login_or_rotation_that_was_dropped_anywhere_is_taken_up_again),
    (Mutant::S4, fixation::a_login_loses_no_change_of_another_request),
    (Mutant::S5, users::a_session_that_no_list_knows_is_revoked_as_well),
    (Mutant::S5, fast::a_revocation_is_complete_beside_loads),
    (Mutant::S6, fast::a_session_that_was_met_ends_in_time),
    (Mutant::S7, fast::the_servers_clock_decides_whether_a_use_is_noted),
    (Mutant::S8, fast::an_unnoted_use_counts_all_the_same),
];

#[test]
fn every_rule_of_the_library_that_is_left_out_is_noticed() {
    for (mutant, check) in OF_THE_LIBRARY {
        let work = || mutant::with(Some(*mutant), || lab::with(None, *check));
        assert!(
            catch_unwind(AssertUnwindSafe(work)).is_err(),
            "nobody noticed {mutant:?}"
        );
    }
}
