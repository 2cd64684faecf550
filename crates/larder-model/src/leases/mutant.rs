//! The rules, each to be dropped alone.

/// A rule dropped, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutant {
    None,
    /// The fill ignores the token.
    M1,
    /// A token per client instead of per attempt.
    M2,
    /// The fill does not compare the stamp with its lease.
    M3,
    /// The fill does not compare the sequence where the stamp is lost.
    M3b,
    /// An absent stamp is a valid one.
    M5,
    /// An absent marker keeps the entries.
    M6,
    /// A retry repeats its token.
    M13,
    /// `invtag` leaves the older stamp.
    M26,
    /// The fill accepts another incarnation.
    M27,
    /// A stamp without its sequence.
    M40,
    /// The shortcut is taken under an open lease too. Not a violation: caution.
    M41,
    /// Stamps are kept where the marker is created anew. Not a violation: liveness.
    M42,
    /// A retry repeats its incarnation candidate.
    M43,
    /// A refused fill keeps its lease. Breaks no promise on age: somebody waits for nobody.
    M45,
    /// A failed load keeps its lease although there is no value to serve meanwhile. Likewise.
    KeptForNothing,
    /// A lease counts although the value that came with it is not valid any more. Likewise.
    KeptTooLong,
}
