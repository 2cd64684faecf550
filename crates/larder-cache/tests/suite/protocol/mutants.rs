//! The checks can fail: each mutant changes one line of a script, and the check named beside it must notice.
//!
//! What the changed line is there for is told by the script; the names are those of the list of mutants.

use std::{
    fmt::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{
    CHECKS,
    lab::{Backend, Lab},
    scripts::AS_WRITTEN,
};

struct Mutant {
    name: &'static str,
    script: &'static str,
    text: &'static str,
    other: &'static str,
    killed_by: &'static str,
}

const fn mutant(
    name: &'static str,
    script: &'static str,
    [text, other]: [&'static str; 2],
    killed_by: &'static str,
) -> Mutant {
    Mutant {
        name,
        script,
        text,
        other,
        killed_by,
    }
}

const KEEP_HOLD: &str = "keep[#keep + 1] = string.sub(e, p, p + 23)";
const MARK_OTHERS: [&str; 2] = ["if own == 0 and math", "if false and math"];

#[rustfmt::skip]
const MUTANTS: &[Mutant] = &[
    mutant("M1 fill ignores the token", "fill",
        ["string.sub(h, 41, 56) ~= ARGV[1]", "false"], "a_late_copy_of_a_lease_request_cannot_revive_a_fill"),
    mutant("M3 get skips the stamps", "get",
        ["if stamp ~= string.sub(e, p + n + 1, p + n + 16) then return false end", ""], "t_tagged_fast_path"),
    mutant("M3b fill skips tseq when the stamp is lost", "fill",
        ["if tseq > lease_tseq then return reject('tag?') end", ""], "q4_lost_stamp_of_a_tag_refuses_an_older_lease"),
    mutant("M4 fill does not read again", "fill",
        ["redis.call('GETRANGE', KEYS[1], 0, 0)", ""], "k2_own_writes_stay_tracked"),
    mutant("M4 get does not read again", "get",
        ["  redis.call('GETRANGE', KEYS[1], 0, 0) -- an", "  -- an"], "k2_own_writes_stay_tracked"),
    mutant("M4 put does not read again", "put",
        ["redis.call('GETRANGE', KEYS[1], 0, 0)", ""], "k2_own_writes_stay_tracked"),
    mutant("M4 endput does not read again", "endput",
        ["redis.call('GETRANGE', KEYS[1], 0, 0)", ""], "k2_own_writes_stay_tracked"),
    mutant("M4 extend does not read again", "extend",
        ["redis.call('GETRANGE', KEYS[1], 0, 0)", ""], "k2_own_writes_stay_tracked"),
    mutant("M4 renew does not read again", "renew",
        ["redis.call('GETRANGE', KEYS[1], 0, 0)", ""], "k2_own_writes_stay_tracked"),
    mutant("M4 release does not read again", "release",
        ["redis.call('GETRANGE', KEYS[1], 0, 0)", ""], "k2_own_writes_stay_tracked"),
    mutant("M5 an absent stamp is a valid one", "get",
        ["if stamp ~= string.sub(e,", "if stamp and stamp ~= string.sub(e,"], "q2_lost_stamp_never_uncovers_an_older_one"),
    mutant("M6 an absent M keeps what is there", "get",
        ["elseif inc and string.sub(e, 9, 16) == inc then", "elseif not inc or string.sub(e, 9, 16) == inc then"],
        "p_old_incarnation_never_returns"),
    mutant("M12 endw drops other holds", "endw",
        [KEEP_HOLD, ""], "c_no_store_over_a_writer_that_came_between"),
    mutant("M12 endput drops other holds", "endput",
        [KEEP_HOLD, ""], "c7_a_store_beside_an_open_hold_is_refused"),
    mutant("M13 a retry does not replace its own token", "get",
        ["token == ARGV[5] then leased", "token == ARGV[2] then leased"], "a2_retry_gets_the_lease_under_a_new_token"),
    mutant("M26 invtag leaves T1", "invtag",
        ["redis.call('HDEL', KEYS[3], ARGV[i])", ""], "q2_lost_stamp_never_uncovers_an_older_one"),
    mutant("M27 fill accepts another incarnation", "fill",
        ["or string.sub(h, 9, 16) ~= string.sub(m, 1, 8)", ""], "g_refused_fill_gives_its_lease_back"),
    mutant("M28 begin overwrites other holds", "begin",
        [KEEP_HOLD, ""], "c_no_store_over_a_writer_that_came_between"),
    mutant("M32 begin does not mark contended", "begin",
        ["if #keep > 0 then flags = 80 end", ""], "c_no_store_over_a_writer_that_came_between"),
    mutant("M33 inv does not mark an open hold", "inv",
        ["redis.call('SETRANGE', KEYS[1], 3, string.char(flags + 64))", "local _ = 0"],
        "c2_invalidation_during_a_hold_stops_the_store"),
    mutant("M33 mark_stale does not mark an open hold", "mark_stale",
        ["redis.call('SETRANGE', KEYS[1], 3, string.char(flags + 64))", "local _ = 0"],
        "c2_invalidation_during_a_hold_stops_the_store"),
    mutant("M33 put does not mark an open hold", "put",
        ["redis.call('SETRANGE', KEYS[1], 3, string.char(flags + 64))", "local _ = 0"],
        "c2_invalidation_during_a_hold_stops_the_store"),
    mutant("M34 an end without any hold leaves what is there", "endw",
        ["redis.call('UNLINK', KEYS[1])", ""], "c4_end_without_any_hold_unlinks"),
    mutant("M35 endput without its own token does not mark others", "endput",
        MARK_OTHERS, "c3_lapsed_holder_cannot_be_overlooked"),
    mutant("M35 endw without its own token does not mark others", "endw",
        MARK_OTHERS, "c8_lapsed_end_marks_the_hold_of_another"),
    mutant("M36 endput skips the incarnation", "endput",
        ["or string.sub(e, 9, 16) ~= string.sub(m, 1, 8)", ""], "c2_invalidation_during_a_hold_stops_the_store"),
    mutant("M36b endput skips the stamps", "endput",
        ["> begin_tseq then return close('tag') end", "> 1e300 then return close('tag') end"],
        "c2_invalidation_during_a_hold_stops_the_store"),
    mutant("M36b endput skips tseq when the stamp is lost", "endput",
        ["if tseq > begin_tseq then return close('tag?') end", ""], "c2_invalidation_during_a_hold_stops_the_store"),
    mutant("endput ignores contention", "endput",
        ["if math.floor(string.byte(e, 4) / 64) % 2 == 1 then return close('contended') end", ""],
        "c_no_store_over_a_writer_that_came_between"),
    mutant("M40 the stamp carries no tseq", "invtag",
        ["ARGV[1] .. f64", "ARGV[1] .. ARGV[1]"], "q_repeated_invtag_never_brings_a_stamp_back"),
    mutant("M44 a new M keeps old stamps", "get",
        ["  redis.call('UNLINK', KEYS[3], KEYS[4])\n", ""], "b_liveness_after_each_single_loss"),
    mutant("M45 a refused fill keeps its lease", "fill",
        ["    redis.call('SETRANGE', KEYS[1], 40, string.rep('\\0', 24)) -- an", "    -- an"],
        "e2_older_version_is_refused"),
    mutant("fill skips the stamps", "fill",
        ["> lease_tseq then return reject('tag')", "> 1e300 then return reject('tag')"],
        "g_refused_fill_gives_its_lease_back"),
    mutant("fill compares an absent version", "fill",
        ["if stored ~= none and offered ~= none then", "do"], "e_unversioned_refresh_of_a_versioned_value"),
    mutant("get heeds a lease beside an outdated value", "get",
        ["        token = ZERO --", "        --"], "g3_an_invalidated_tag_ends_the_lease_beside_its_value"),
    mutant("get serves a fallback as fresh", "get",
        ["if has(flags, 32) then state = 'fallback' elseif", "if"], "i_soft_expired_value_serves_only_as_fallback"),
    mutant("get accepts another format", "get",
        ["e and #e >= 88 and string.sub(e, 1, 3) == 'LD\\1'", "e and #e >= 88"], "h2_every_flipped_byte_is_survived"),
    mutant("extend leaves stamps to die", "extend",
        ["redis.call('HSET', KEYS[3], tag, stamp)", ""], "q3_stamps_live_as_long_as_entries"),
    mutant("rotate without comparing", "rotate",
        ["or string.sub(m, 1, 8) ~= ARGV[1]", ""], "p_old_incarnation_never_returns"),
    mutant("inv is not logged", "inv",
        ["log()\nreturn redis", "return redis"], "y_log_mode"),
    mutant("mark_stale is not logged", "mark_stale",
        ["log() -- near", "-- near"], "y_log_mode"),
    mutant("put is not logged", "put",
        ["if KEYS[5] then", "if false then"], "y_log_mode"),
    mutant("begin is not logged", "begin",
        ["if KEYS[5] then", "if false then"], "y_log_mode"),
    mutant("endw is not logged", "endw",
        ["if KEYS[2] then", "if false then"], "y_log_mode"),
    mutant("endput is not logged", "endput",
        ["if KEYS[5] then", "if false then"], "y_log_mode"),
    mutant("invtag is logged only beside an M", "invtag",
        ["if KEYS[4] then --", "if KEYS[4] and redis.call('EXISTS', KEYS[1]) == 1 then --"], "y_log_mode"),
    mutant("M15 wback removes a newer version", "wback",
        ["== ARGV[i + 1]", "~= ''"], "n_write_behind_versions_and_epochs"),
    mutant("wback leaves a newer version taken", "wback",
        ["redis.call('ZADD', KEYS[2], '0', ARGV[i])", ""], "n_write_behind_versions_and_epochs"),
    mutant("wback does not give room back", "wback",
        ["redis.call('HINCRBY', KEYS[3], 'wbytes'", "tostring('wbytes'"], "m_acked_write_behind_put_is_what_reads_see"),
    mutant("M16 wbput accepts any generation", "wbput",
        ["w[1] ~= ARGV[5]", "not w[1]"], "n_write_behind_versions_and_epochs"),
    mutant("M16 wbcount accepts any generation", "wbcount",
        ["w[1] ~= ARGV[5]", "not ARGV[5]"], "n7_a_step_is_counted_once_and_told_as_a_total"),
    mutant("M17 get ignores what waits", "get",
        ["redis.call('HGET', KEYS[5], ARGV[6])", "nil"], "m_acked_write_behind_put_is_what_reads_see"),
    mutant("M37 wbput leaves the entry", "wbput",
        ["  redis.call('UNLINK', KEYS[4])", "  --"], "m_acked_write_behind_put_is_what_reads_see"),
    mutant("M33 wbput does not mark an open hold", "wbput",
        ["redis.call('SETRANGE', KEYS[4], 3, string.char(flags + 64))", "local _ = 0"],
        "m2_a_hold_beside_a_write_behind_stores_nothing"),
    mutant("M49 wbput does not know an operation again", "wbput",
        ["if done and #done == 16 then", "if false then"], "n_write_behind_versions_and_epochs"),
    mutant("M49 wbcount does not know an operation again", "wbcount",
        ["if done and #done > 16 then", "if false then"], "n7_a_step_is_counted_once_and_told_as_a_total"),
    mutant("wbput takes any number of keys", "wbput",
        ["(max_count > 0 and not old", "(false and not old"], "n4_room_is_counted_and_kept"),
    mutant("wbput takes any number of bytes", "wbput",
        ["(max_bytes > 0 and add > 0", "(false and add > 0"], "n4_room_is_counted_and_kept"),
    mutant("wbput_if does not look", "wbput_if",
        ["if not as_read then", "if false then"], "n5_an_update_of_what_has_changed_is_refused"),
    mutant("wbput is not logged", "wbput",
        ["if KEYS[6] then", "if false then"], "y2_write_behind_is_logged"),
    mutant("wbepoch installs an epoch again", "wbepoch",
        ["tonumber(ARGV[2]) <=", "tonumber(ARGV[2]) <"], "n_write_behind_versions_and_epochs"),
    mutant("wbepoch installs in another W", "wbepoch",
        ["if cur[3] ~= ARGV[3] then return -1 end", ""], "n2_an_epoch_is_for_the_w_it_was_drawn_for"),
    mutant("wbdraw gives a W another name", "wbdraw",
        ["HSETNX", "HSET"], "n2_an_epoch_is_for_the_w_it_was_drawn_for"),
    mutant("wbepoch does not count what lies in D", "wbepoch",
        ["bytes = bytes + #all[i]", "bytes = 0"], "n2_an_epoch_is_for_the_w_it_was_drawn_for"),
    mutant("wbclaim does not rebuild a lost schedule", "wbclaim",
        ["redis.call('ZADD', KEYS[2], 'NX', '0', key)", "local _ = key"],
        "n3_what_is_taken_is_due_again_when_its_time_is_up"),
    mutant("wbclaim leaves what it takes to others", "wbclaim",
        ["redis.call('ZADD', KEYS[2], int(now + tonumber(ARGV[2])), key)", ""], "n_write_behind_versions_and_epochs"),
    mutant("wbdead puts a newer version aside", "wbdead",
        ["if string.sub(record, 1, 16) ~= ARGV[2] then", "if false then"],
        "n6_what_is_refused_for_good_lies_among_the_dead_letters"),
    mutant("wbdead puts one letter over another", "wbdead",
        ["id, done = ARGV[6], 2", ""],
        "n6_what_is_refused_for_good_lies_among_the_dead_letters"),
    mutant("wbdead has room without end", "wbdead",
        [">= tonumber(ARGV[3]) then return -1", ">= 1e9 then return -1"],
        "n6_what_is_refused_for_good_lies_among_the_dead_letters"),
    mutant("wbcount goes on with a series that was told", "wbcount",
        ["struct.pack('>d', seq)\nif old", "struct.pack('>d', 1)\nif old"],
        "n7_a_step_is_counted_once_and_told_as_a_total"),
    mutant("wblag does not count counters", "wblag",
        ["for i = 1, 5, 4 do", "for i = 1, 1, 4 do"], "n9_lag_is_what_waits"),
    mutant("rotate is logged only beside an M", "rotate",
        ["if KEYS[4] then", "if KEYS[4] and redis.call('EXISTS', KEYS[1]) == 1 then"], "y_log_mode"),
];

/// What is left out, each with its name in the list of mutants where it has one.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    MUTANTS.iter().map(|mutant| mutant.name)
}

/// The table of `docs/verification.md`.
pub(crate) fn table() -> String {
    let mut table = String::from("| mutant | script | noticed by |\n|---|---|---|\n");
    for mutant in MUTANTS {
        let _written = writeln!(
            table,
            "| {} | `{}.lua` | {} |",
            mutant.name, mutant.script, mutant.killed_by
        );
    }
    table
}

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
    let (_, check) = CHECKS
        .iter()
        .find(|(name, _)| *name == mutant.killed_by)
        .unwrap_or_else(|| panic!("{} names no check", mutant.name));
    let scripts = AS_WRITTEN.changed(mutant.script, mutant.text, mutant.other);
    catch_unwind(AssertUnwindSafe(|| check(&mut Lab::new(Backend::Redis, &scripts)))).is_err()
}
