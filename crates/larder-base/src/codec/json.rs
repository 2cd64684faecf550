//! JSON: what redis-cli shows and every other language reads.

use std::io;

use serde::{Serialize, de::DeserializeOwned};

use super::CodecError;

/// Appends `value` as JSON, at most `max` bytes of it.
///
/// What is longer is counted to its end and not kept, so a value of any size costs `max` bytes of memory.
///
/// # Errors
/// [`CodecError::Serialize`] if its own `Serialize` refuses, [`CodecError::TooLarge`] if it is longer.
pub fn write_json<V: Serialize>(value: &V, out: &mut Vec<u8>, max: usize) -> Result<(), CodecError> {
    let mut bounded = Bounded { out, size: 0, max };
    serde_json::to_writer(&mut bounded, value).map_err(|error| CodecError::Serialize(error.to_string()))?;
    let size = bounded.size;
    if size > max {
        return Err(CodecError::TooLarge { size, max });
    }
    Ok(())
}

/// Keeps what there is room for and counts the rest.
struct Bounded<'a> {
    out: &'a mut Vec<u8>,
    size: usize,
    max: usize,
}

impl io::Write for Bounded<'_> {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.size = self.size.saturating_add(part.len());
        if self.size <= self.max {
            self.out.extend_from_slice(part);
        }
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a value from JSON. The error says where it failed and never quotes the text, which may be private.
///
/// # Errors
/// [`CodecError::Deserialize`] if the bytes are not JSON of this type.
pub fn read_json<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, CodecError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let (kind, line, column) = (error.classify(), error.line(), error.column());
        CodecError::Deserialize(format!("{kind:?} error at line {line} column {column}"))
    })
}
