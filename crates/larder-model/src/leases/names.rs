//! States are alike up to the names of their identifiers: these are made equal.

use super::tier::{CLIENT_TOKEN, Record, Tier};
use crate::parts::Id;

/// Gives identifiers the names 1, 2, 3 in the order in which they are met.
#[derive(Default)]
pub(super) struct Names(Vec<Id>);

impl Names {
    pub(super) fn rename(&mut self, id: &mut Id) {
        if *id == 0 || *id == CLIENT_TOKEN {
            return;
        }
        let known = self.0.iter().position(|name| name == id);
        *id = 1 + known.unwrap_or_else(|| {
            self.0.push(*id);
            self.0.len() - 1
        }) as Id;
    }

    pub(super) fn known(&self, id: Id) -> usize {
        self.0.iter().position(|name| *name == id).unwrap_or(usize::MAX)
    }

    pub(super) fn tier(&mut self, tier: &mut Tier) {
        match &mut tier.record {
            Record::Absent => {}
            Record::Lease { token, incarnation, .. } => {
                self.rename(token);
                self.rename(incarnation);
            }
            Record::Value {
                incarnation,
                stamp,
                token,
                ..
            } => {
                self.rename(incarnation);
                self.rename(&mut stamp.id);
                self.rename(token);
            }
        }
        if let Some(marker) = &mut tier.marker {
            self.rename(&mut marker.incarnation);
        }
        for stamp in [&mut tier.young, &mut tier.old].into_iter().flatten() {
            self.rename(&mut stamp.id);
        }
    }
}
