//! What a fenced transaction asks of a lock.

use larder_base::KeyLabel;

use super::Guard;
use crate::{BoxError, Fencing};

impl Fencing for Guard {
    fn resource(&self) -> &str {
        Self::resource(self)
    }

    fn fence(&self) -> Option<u64> {
        Self::fence(self).map(u64::from)
    }

    fn check(&self) -> Result<(), BoxError> {
        Ok(Self::check(self)?)
    }

    fn label(&self) -> KeyLabel {
        Self::label(self).clone()
    }
}
