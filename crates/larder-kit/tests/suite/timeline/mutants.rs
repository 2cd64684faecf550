//! Lines of the timelines' scripts left out.

use super::{behaviour, fan_out, rebuild};
use crate::mutants::{all_die, killer};

#[test]
fn every_rule_of_the_scripts_is_missed_by_a_test() {
    all_die(&[
        (
            "timeline_add",
            "elseif redis.call('ZSCORE', KEYS[2], item) then",
            "elseif false then",
            killer!(rebuild::what_was_removed_while_the_source_was_read_does_not_come_back),
        ),
        (
            "timeline_add",
            "elseif redis.call('ZSCORE', KEYS[1], item) then",
            "elseif false then",
            killer!(behaviour::items_are_newest_first_once_and_capped),
        ),
        (
            "timeline_add",
            "redis.call('ZCARD', KEYS[1]) > tonumber(ARGV[2])",
            "false",
            killer!(behaviour::items_are_newest_first_once_and_capped),
        ),
        (
            "timeline_add",
            "ZPOPMIN",
            "ZPOPMAX",
            killer!(behaviour::items_are_newest_first_once_and_capped),
        ),
        (
            "timeline_add",
            "then now = newest[2] + 1 end",
            "then end",
            killer!(behaviour::what_is_touched_comes_to_the_front),
        ),
        (
            "timeline_add",
            "redis.call('ZREM', KEYS[2], item)",
            "",
            killer!(behaviour::what_is_touched_comes_to_the_front),
        ),
        (
            "timeline_add",
            "redis.call('PEXPIRE', KEYS[1], ARGV[1])",
            "",
            killer!(behaviour::items_are_newest_first_once_and_capped),
        ),
        (
            "timeline_remove",
            "redis.call('PEXPIRE', KEYS[2], ARGV[1])",
            "",
            killer!(behaviour::what_was_removed_stays_so_for_a_while),
        ),
        (
            "timeline_remove",
            "redis.call('ZADD', KEYS[2]",
            "redis.call('ZADD', KEYS[2], 'XX'",
            killer!(behaviour::what_was_removed_stays_so_for_a_while),
        ),
        (
            "timeline_page",
            "'(' .. ARGV[1]",
            "ARGV[1]",
            killer!(behaviour::pages_repeat_nothing_and_leave_nothing_out_while_items_come_and_go),
        ),
        (
            "timeline_page",
            "if is_less(item, ARGV[2]) then break end",
            "",
            killer!(behaviour::pages_repeat_nothing_and_leave_nothing_out_while_items_come_and_go),
        ),
        (
            "timeline_page",
            "return #one < #other",
            "return #one <= #other",
            killer!(fan_out::timelines_are_merged_while_reading_page_by_page),
        ),
    ]);
}
