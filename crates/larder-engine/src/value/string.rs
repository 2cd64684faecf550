//! A byte string.

use crate::value::kind;

/// The string type: bytes, often a number in decimal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text(pub(crate) Vec<u8>);

kind!(Text, String);

impl Text {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn weight(&self) -> usize {
        self.0.capacity()
    }

    /// Redis keeps short strings inside the object header (44 bytes) and numbers as numbers.
    pub(crate) fn encoding(&self) -> &'static str {
        const EMBEDDED_MAX: usize = 44;
        match crate::command::parse_int(&self.0) {
            Some(_) => "int",
            None if self.0.len() <= EMBEDDED_MAX => "embstr",
            None => "raw",
        }
    }
}
