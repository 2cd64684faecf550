//! The rules, each to be dropped alone.

/// A rule dropped, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutant {
    None,
    /// A local invalidation does not detach the flight under way.
    M11,
    /// A caller who comes after the request was handed on shares its answer.
    M30,
    /// A load whose fill was refused is shared with those who came after its lease was requested.
    M31,
    /// A late caller counts as a reader of a near copy although the key was touched since the request.
    Poisoned,
    /// A late caller counts as a reader of a near copy although the stream is not proven live.
    Unproven,
    /// A leader that goes away leaves its flight as it is.
    Abandoned,
    /// A second fill is shared with those who waited for the first, and who came later is forgotten.
    Forgotten,
}
