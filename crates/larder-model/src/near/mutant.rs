//! The rules, each to be dropped alone.

/// A rule dropped, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutant {
    None,
    /// An own write is not read again, so that it is not tracked.
    M4,
    /// What comes is installed by how things are then, not by what happened since it was asked for.
    M7,
    /// A new connection does not end the epoch.
    M8,
    /// A proof counts from when its answer came.
    M9,
    /// Pushes are applied by a task behind a channel.
    M10,
    /// The quarantine is lifted before what is pending was delivered.
    M14,
    /// An own write drops no copy, although the server tells nobody of his own.
    M29,
    /// Proofs age by a clock that a thread advances, which stands still while the process is paused.
    M38,
    /// A push of everything concerns tagged copies alone.
    M46,
    /// Untagged copies outlive a rotation.
    M47,
    /// After an own write of M it is not read again.
    M48,
    /// Copies need no proof.
    Unproven,
    /// A push of M drops tagged copies, and that is all.
    Unsuspecting,
    /// What M was read to be counts, although M was written once more since.
    SettledEarly,
    /// While an own write is under way, copies are installed and partitions settled.
    Unblocked,
}

/// What is done about a store that may have lost what it acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repair {
    Nothing,
    /// Each process repeats its invalidations.
    Replay,
    /// Whoever notices rotates.
    Fence,
}
