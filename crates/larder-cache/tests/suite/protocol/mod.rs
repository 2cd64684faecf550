//! The scripts themselves, without the library round them: what each answers in every state that matters.
//!
//! Each check has the name under which `docs` of the protocol and its mutants know it, and runs on a private
//! redis-server, on the embedded engine and on the engine served over TCP.

mod behind;
mod bits;
mod client;
mod counting;
mod damage;
mod header;
mod holds;
mod lab;
mod leases;
mod log;
pub(crate) mod mutants;
mod near;
mod scripts;
mod tags;
mod ttl;

use lab::{Backend, Lab};

/// A check: fails by panicking.
type Check = fn(&mut Lab);

/// One `#[test]` a check and backend, and the list that the mutants look their killer up in.
macro_rules! checks {
    ($($module:ident :: $name:ident),* $(,)?) => {
        /// Every check by its name.
        const CHECKS: &[(&str, Check)] = &[$((stringify!($name), $module::$name)),*];

        mod embedded {
            $(#[test] fn $name() { super::run(super::Backend::Embedded, super::$module::$name); })*
        }
        mod served {
            $(#[test] fn $name() { super::run(super::Backend::Served, super::$module::$name); })*
        }
        mod redis {
            $(#[test] fn $name() { super::run(super::Backend::Redis, super::$module::$name); })*
        }
    };
}

fn run(backend: Backend, check: Check) {
    check(&mut Lab::new(backend, &scripts::AS_WRITTEN));
}

checks! {
    leases::a_late_copy_of_a_lease_request_cannot_revive_a_fill,
    leases::a2_retry_gets_the_lease_under_a_new_token,
    leases::b_liveness_after_each_single_loss,
    holds::c_no_store_over_a_writer_that_came_between,
    holds::c2_invalidation_during_a_hold_stops_the_store,
    holds::c3_lapsed_holder_cannot_be_overlooked,
    holds::c4_end_without_any_hold_unlinks,
    holds::c5_undisturbed_write_through_stores,
    holds::c6_begin_retry_replaces_its_own_token,
    holds::c7_a_store_beside_an_open_hold_is_refused,
    holds::c8_lapsed_end_marks_the_hold_of_another,
    holds::d_endw_reports_its_own_token,
    leases::e_unversioned_refresh_of_a_versioned_value,
    leases::e2_older_version_is_refused,
    leases::f_negative_entry_is_a_hit,
    leases::g_refused_fill_gives_its_lease_back,
    leases::g2_release_and_renew,
    leases::g3_an_invalidated_tag_ends_the_lease_beside_its_value,
    damage::h_foreign_and_damaged_records_are_absent,
    damage::h2_every_flipped_byte_is_survived,
    damage::h3_wrong_types_are_healed,
    ttl::i_soft_expired_value_serves_only_as_fallback,
    holds::j_pattern_invalidation_keeps_holds,
    near::k_what_is_pushed,
    near::k2_own_writes_stay_tracked,
    near::k3_push_precedes_pong,
    near::k4_own_change_of_m_ends_its_tracking,
    near::k5_expiry_is_pushed,
    behind::m_acked_write_behind_put_is_what_reads_see,
    behind::m2_a_hold_beside_a_write_behind_stores_nothing,
    behind::n_write_behind_versions_and_epochs,
    behind::n2_an_epoch_is_for_the_w_it_was_drawn_for,
    behind::n3_what_is_taken_is_due_again_when_its_time_is_up,
    behind::n4_room_is_counted_and_kept,
    behind::n5_an_update_of_what_has_changed_is_refused,
    behind::n6_what_is_refused_for_good_lies_among_the_dead_letters,
    counting::n7_a_step_is_counted_once_and_told_as_a_total,
    counting::n8_a_counter_stays_in_its_range,
    behind::n9_lag_is_what_waits,
    header::o_header_fields,
    tags::p_old_incarnation_never_returns,
    tags::q_repeated_invtag_never_brings_a_stamp_back,
    tags::q2_lost_stamp_never_uncovers_an_older_one,
    tags::q3_stamps_live_as_long_as_entries,
    tags::q4_lost_stamp_of_a_tag_refuses_an_older_lease,
    ttl::r_leases_only_while_asked,
    ttl::r2_expired_untouched_lease_may_fill,
    ttl::s_hard_ttl_ends_the_value_not_the_key,
    tags::t_tagged_fast_path,
    header::u_every_timed_reply_ends_with_now,
    near::v_revalidate,
    ttl::v2_extend,
    holds::w_put_without_a_source,
    damage::x_out_of_memory_blocks_stores_not_invalidations,
    log::y_log_mode,
    behind::y2_write_behind_is_logged,
    leases::z_one_loader_per_expiry,
}
