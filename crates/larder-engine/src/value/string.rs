//! A byte string.

use crate::value::kind;

/// The string type: bytes, often a number in decimal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text {
    bytes: Vec<u8>,
    form: Form,
}

/// How the bytes came to be here; only `OBJECT ENCODING` tells the difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    /// Written whole: Redis looks whether it is a number.
    #[default]
    Whole,
    /// Computed as text: Redis does not look.
    Computed,
    /// Changed in place: Redis leaves room to grow.
    Edited,
}

kind!(Text, String);

impl Text {
    /// A string as a client sent it.
    pub(crate) fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            form: Form::Whole,
        }
    }

    /// A string that a command computed, as `INCRBYFLOAT` does.
    pub(crate) fn computed(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            form: Form::Computed,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes, to be changed in place.
    pub(crate) fn edit(&mut self) -> &mut Vec<u8> {
        self.form = Form::Edited;
        &mut self.bytes
    }

    /// The number it would be kept as.
    pub(crate) fn as_int(&self) -> Option<i64> {
        let number = crate::command::parse_int(&self.bytes);
        number.filter(|_| self.form == Form::Whole)
    }

    pub(crate) fn weight(&self) -> usize {
        self.bytes.capacity()
    }

    /// Redis keeps short strings inside the object header (44 bytes) and numbers as numbers.
    pub(crate) fn encoding(&self) -> &'static str {
        const EMBEDDED_MAX: usize = 44;
        match self.form {
            _ if self.as_int().is_some() => "int",
            Form::Whole | Form::Computed if self.bytes.len() <= EMBEDDED_MAX => "embstr",
            _ => "raw",
        }
    }
}
