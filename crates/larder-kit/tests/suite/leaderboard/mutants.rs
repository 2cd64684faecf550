//! Lines of the boards' scripts left out.

use super::{behaviour, windows};
use crate::mutants::{all_die, killer};

#[test]
fn every_rule_of_the_scripts_is_missed_by_a_test() {
    all_die(&[
        (
            "board_update",
            "if score ~= old then",
            "if true then",
            killer!(behaviour::of_equal_scores_the_first_reached_is_ahead),
        ),
        (
            "board_update",
            "if old then redis.call('ZREM'",
            "if false then redis.call('ZREM'",
            killer!(behaviour::of_equal_scores_the_first_reached_is_ahead),
        ),
        (
            "board_update",
            "high and 9007199254740991 - count or count",
            "count",
            killer!(behaviour::of_equal_scores_the_first_reached_is_ahead),
        ),
        (
            "board_update",
            "and not_better(score, old)",
            "and false",
            killer!(behaviour::scores_are_set_added_and_bettered_and_each_answers_with_its_place),
        ),
        (
            "board_update",
            "not high and score >= old",
            "not high and score <= old",
            killer!(behaviour::low_scores_are_ahead_where_that_is_the_order),
        ),
        (
            "board_update",
            "score = old + score end",
            "score = score end",
            killer!(behaviour::scores_are_set_added_and_bettered_and_each_answers_with_its_place),
        ),
        (
            "board_update",
            "string.format('%.17g', score), stamp",
            "string.format('%.14g', score), stamp",
            killer!(behaviour::every_finite_score_is_kept_exactly_and_no_other_is_taken),
        ),
        (
            "board_update",
            "if score - score ~= 0 then return {2} end",
            "",
            killer!(behaviour::every_finite_score_is_kept_exactly_and_no_other_is_taken),
        ),
        (
            "board_update",
            "redis.call('EXISTS', KEYS[1]) ~= redis.call('EXISTS', KEYS[2])",
            "false",
            killer!(behaviour::a_board_that_lost_a_key_says_so),
        ),
        (
            "board_update",
            "redis.call('PEXPIREAT', KEYS[1], expires)",
            "",
            killer!(behaviour::scores_are_set_added_and_bettered_and_each_answers_with_its_place),
        ),
        (
            "board_update",
            "redis.call('PEXPIREAT', KEYS[2], expires)",
            "",
            killer!(behaviour::scores_are_set_added_and_bettered_and_each_answers_with_its_place),
        ),
        (
            "board_update",
            "ARGV[2] == '0' and now or tonumber(ARGV[2])",
            "tonumber(ARGV[2])",
            killer!(windows::a_board_without_windows_lives_on_while_it_is_written),
        ),
        (
            "board_update",
            "if ARGV[2] ~= '0' and (now",
            "if false and (now",
            killer!(windows::the_servers_clock_says_which_window_is_open),
        ),
        (
            "board_range",
            "math.max(rank - count, 0)",
            "rank - count",
            killer!(behaviour::pages_and_neighbours_are_in_order_with_their_ranks),
        ),
        (
            "board_range",
            "if count == 0 then return reply end",
            "",
            killer!(behaviour::pages_and_neighbours_are_in_order_with_their_ranks),
        ),
        (
            "board_places",
            "ARGV[3] == '1' and 'ZREVRANK' or 'ZRANK'",
            "'ZRANK'",
            killer!(behaviour::pages_and_neighbours_are_in_order_with_their_ranks),
        ),
        (
            "board_remove",
            "redis.call('HDEL', KEYS[2], ARGV[at])",
            "",
            killer!(behaviour::who_is_removed_is_gone_and_begins_anew),
        ),
        (
            "board_remove",
            "or redis.call('EXISTS', KEYS[1]) == 0 then",
            "then",
            killer!(behaviour::who_is_removed_is_gone_and_begins_anew),
        ),
    ]);
}
