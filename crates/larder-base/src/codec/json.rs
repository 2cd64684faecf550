//! JSON: what redis-cli shows and every other language reads.

use serde::{Serialize, de::DeserializeOwned};

use super::CodecError;

/// Appends `value` as JSON.
///
/// # Errors
/// [`CodecError::Serialize`] if its own `Serialize` refuses.
pub fn write_json<V: Serialize>(value: &V, out: &mut Vec<u8>) -> Result<(), CodecError> {
    serde_json::to_writer(out, value).map_err(|error| CodecError::Serialize(error.to_string()))
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
