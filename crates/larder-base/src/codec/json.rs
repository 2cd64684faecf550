//! JSON: what redis-cli shows and every other language reads.

use serde::{Serialize, de::DeserializeOwned};

use super::CodecError;

pub(super) fn write<V: Serialize>(value: &V, out: &mut Vec<u8>) -> Result<(), CodecError> {
    serde_json::to_writer(out, value).map_err(|error| CodecError::Serialize(error.to_string()))
}

pub(super) fn read<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, CodecError> {
    // The text of the error would quote the value, which may be private: its category and place do.
    serde_json::from_slice(bytes).map_err(|error| {
        CodecError::Deserialize(format!(
            "{:?} error at line {} column {}",
            error.classify(),
            error.line(),
            error.column()
        ))
    })
}
