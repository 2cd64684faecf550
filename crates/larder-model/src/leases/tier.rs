//! What the store holds, and the scripts on it.

use super::Mutant;
use crate::parts::{Id, Marker, Stamp};

/// The token that a client uses for all its attempts, in mutant M2: the only identifier that keeps its name.
pub(super) const CLIENT_TOKEN: Id = 90;

/// Identifiers drawn in a step; canonical names are far below.
pub(super) const DRAWN: Id = 101;

/// What the key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Record {
    Absent,
    Lease {
        token: Id,
        incarnation: Id,
        tseq: u8,
    },
    Value {
        version: u8,
        incarnation: Id,
        stamp: Stamp,
        tseq: u8,
        token: Id,
    },
}

impl Record {
    pub(super) const fn token(self) -> Id {
        match self {
            Self::Absent => 0,
            Self::Lease { token, .. } | Self::Value { token, .. } => token,
        }
    }

    /// The record after its lease was given back.
    pub(super) const fn released(self) -> Self {
        match self {
            Self::Value {
                version,
                incarnation,
                stamp,
                tseq,
                ..
            } => Self::Value {
                version,
                incarnation,
                stamp,
                tseq,
                token: 0,
            },
            Self::Absent | Self::Lease { .. } => Self::Absent,
        }
    }
}

/// What the store holds: the record, its partition's marker, the tag's stamp in either age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tier {
    pub(super) record: Record,
    pub(super) marker: Option<Marker>,
    pub(super) young: Option<Stamp>,
    pub(super) old: Option<Stamp>,
}

impl Tier {
    pub(super) fn stamp(&self) -> Option<Stamp> {
        self.young.or(self.old)
    }

    /// The version that a read would be answered with.
    pub(super) fn answer(&self, mutant: Mutant) -> Option<u8> {
        let Record::Value {
            version,
            incarnation,
            stamp,
            tseq,
            token,
        } = self.record
        else {
            return None;
        };
        match self.marker {
            None if mutant != Mutant::M6 => return None,
            Some(marker) if marker.incarnation != incarnation => return None,
            // No tag of the partition moved since the fill.
            Some(marker) if tseq == marker.tseq && (token == 0 || mutant == Mutant::M41) => return Some(version),
            _ => {}
        }
        let current = match self.stamp() {
            None => mutant == Mutant::M5,
            Some(now) if mutant == Mutant::M40 => now.id == stamp.id,
            Some(now) => now == stamp,
        };
        current.then_some(version)
    }

    /// The lease whose load a reader is told to wait for.
    pub(super) fn waited_for(&self, mutant: Mutant) -> Option<Id> {
        let (incarnation, token) = match self.record {
            Record::Lease { incarnation, token, .. } => (incarnation, token),
            // A value that came with a lease and is not valid any more ends the lease, too.
            Record::Value { incarnation, token, .. } if mutant == Mutant::KeptTooLong => (incarnation, token),
            Record::Absent | Record::Value { .. } => return None,
        };
        let counts = self.marker.is_some_and(|marker| marker.incarnation == incarnation);
        (counts && token != 0 && self.answer(mutant).is_none()).then_some(token)
    }

    /// One execution of `get` in mode `lease`. `None`: answered or refused, nothing granted. The lease that stands
    /// counts as expired, for it may be at any moment.
    pub(super) fn get(mut self, token: Id, candidate: Id, mutant: Mutant) -> Self {
        let marker = self.marker.unwrap_or_else(|| {
            if mutant != Mutant::M42 {
                (self.young, self.old) = (None, None);
            }
            Marker {
                incarnation: candidate,
                tseq: 0,
            }
        });
        self.marker = Some(marker);
        let valid = self.answer(mutant).is_some();
        self.record = match self.record {
            Record::Value {
                version,
                incarnation,
                stamp,
                ..
            } if valid => Record::Value {
                version,
                incarnation,
                stamp,
                tseq: marker.tseq,
                token,
            },
            _ => Record::Lease {
                token,
                incarnation: marker.incarnation,
                tseq: marker.tseq,
            },
        };
        self
    }

    /// One execution of `fill`; the tier after it.
    pub(super) fn fill(mut self, token: Id, version: u8, mutant: Mutant) -> Self {
        let (standing, lease_tseq) = match self.record {
            Record::Absent => (None, 0),
            Record::Lease { incarnation, tseq, .. } | Record::Value { incarnation, tseq, .. } => {
                (Some(incarnation), tseq)
            }
        };
        let (incarnation, lease_tseq) = if mutant == Mutant::M1 {
            // The token ignored: whatever lease is there counts, or that of this moment.
            let Some(marker) = self.marker else { return self };
            let tseq = if let Record::Lease { tseq, .. } = self.record {
                tseq
            } else {
                marker.tseq
            };
            (marker.incarnation, tseq)
        } else if self.record.token() == token && token != 0 {
            (standing.expect("a record with a token has an incarnation"), lease_tseq)
        } else {
            return self;
        };
        let Some(marker) = self.marker else {
            return Self {
                record: Record::Absent,
                ..self
            };
        };
        if marker.incarnation != incarnation && mutant != Mutant::M27 {
            return Self {
                record: Record::Absent,
                ..self
            };
        }
        let outdated = match self.stamp() {
            Some(stamp) => stamp.tseq > lease_tseq && mutant != Mutant::M3,
            None => marker.tseq > lease_tseq && !matches!(mutant, Mutant::M3 | Mutant::M3b),
        };
        if outdated {
            if mutant == Mutant::M45 {
                return self;
            }
            return Self {
                record: self.record.released(),
                ..self
            };
        }
        let known = self.stamp();
        let stamp = known.unwrap_or(Stamp {
            id: DRAWN + 4,
            tseq: lease_tseq,
        });
        let moved = known.is_some() && self.young.is_none() && mutant != Mutant::M26;
        self.record = Record::Value {
            version,
            incarnation: marker.incarnation,
            stamp,
            tseq: marker.tseq,
            token: 0,
        };
        self.young = Some(stamp);
        if moved {
            self.old = None;
        }
        self
    }

    pub(super) fn invalidate_tag(mut self, stamp: Id, mutant: Mutant) -> Self {
        let Some(marker) = &mut self.marker else { return self };
        marker.tseq += 1;
        self.young = Some(Stamp {
            id: stamp,
            tseq: marker.tseq,
        });
        if mutant != Mutant::M26 {
            self.old = None;
        }
        self
    }

    /// `rotate` is a compare-and-set, so without a marker it does nothing.
    pub(super) fn clear(mut self) -> Self {
        if self.marker.is_some() {
            self.marker = Some(Marker {
                incarnation: DRAWN + 5,
                tseq: 0,
            });
            (self.young, self.old) = (None, None);
        }
        self
    }
}
