//! From a value to the bytes that a store keeps, and back: format, compression, checksum, schema.
//!
//! A payload is `crc32c u32, format u8, bytes`, big-endian. The checksum covers everything that decides what the
//! bytes mean (schema, source version, the full key, the value flags), so a payload that was copied to another
//! key or whose header was damaged is found out like one whose bytes were. Whatever is wrong with a payload
//! is an [`CodecError`], never a panic: a cache treats it as a miss and counts it.

mod fingerprint;
mod json;

use serde::{Serialize, de::DeserializeOwned};

pub use fingerprint::fingerprint;
pub use json::{read_json, write_json};

/// Set in the flags of a record that holds a value.
pub const FLAG_VALUE: u8 = 1;
/// Set, beside [`FLAG_VALUE`], in a record that says "there is none".
pub const FLAG_NEGATIVE: u8 = 2;
/// Set where the bytes are compressed with LZ4.
pub const FLAG_COMPRESSED: u8 = 4;
/// Set where the bytes are encrypted; no codec does so yet, and such a record is not decoded.
pub const FLAG_ENCRYPTED: u8 = 8;

/// The value flags: what the checksum covers of a record's flags.
const VALUE_FLAGS: u8 = FLAG_VALUE | FLAG_NEGATIVE | FLAG_COMPRESSED | FLAG_ENCRYPTED;

/// Checksum and format, before the bytes.
const PREFIX: usize = 5;

/// Default of [`Codec::compress_above`]: below it a JSON value hardly shrinks, and the time is wasted.
pub const COMPRESS_ABOVE: usize = 1024;

/// Default of [`Codec::value_max`]: a larger value stalls the one connection that all tasks share.
pub const VALUE_MAX: usize = 8 * 1024 * 1024;

/// The most that [`Codec::value_max`] can be raised to: a server takes strings of 512 MiB, and a record is its value, a
/// header and tags.
pub const VALUE_MAX_LIMIT: usize = 511 * 1024 * 1024;

/// The version of a type's stored form: a revision that its owner counts, and a digest of its fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// Counted up by the owner when old readers must leave new records alone; 0 by default.
    pub revision: u16,
    /// A digest of the type's fields, as [`fingerprint`] finds them.
    pub fingerprint: u16,
}

impl Schema {
    /// The schema of `V` at `revision`.
    #[must_use]
    pub fn of<V: DeserializeOwned>(revision: u16) -> Self {
        Self {
            revision,
            fingerprint: fingerprint::<V>(),
        }
    }

    /// As it stands in a record.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        let ([a, b], [c, d]) = (self.revision.to_be_bytes(), self.fingerprint.to_be_bytes());
        [a, b, c, d]
    }

    /// From a record.
    #[must_use]
    pub const fn from_bytes([a, b, c, d]: [u8; 4]) -> Self {
        Self {
            revision: u16::from_be_bytes([a, b]),
            fingerprint: u16::from_be_bytes([c, d]),
        }
    }
}

/// What surrounds a payload and decides what it means.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// The schema it was written under.
    pub schema: Schema,
    /// The version that the source gave the value; 0 for none.
    pub source_version: u64,
    /// The full key.
    pub key: &'a str,
}

/// A value as a store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The value flags of its record.
    pub flags: u8,
    /// Checksum, format, bytes.
    pub payload: Vec<u8>,
}

/// Why a value could not be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The value's own `Serialize` refused.
    #[error("the value cannot be serialised: {0}")]
    Serialize(String),
    /// The encoded value is larger than allowed.
    #[error("the encoded value has {size} bytes, more than `value_max` ({max}); raise it or cache a smaller part")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// The payload is cut short.
    #[error("the payload is cut short")]
    Truncated,
    /// The checksum does not fit: damage, or a record copied from another key.
    #[error("the checksum does not fit")]
    Checksum,
    /// Written in a format or with a transformation that this build does not know.
    #[error("unknown format {format} with flags {flags}")]
    UnknownFormat {
        /// The format's number.
        format: u8,
        /// The record's value flags.
        flags: u8,
    },
    /// The bytes are whole but not of this type.
    #[error("the value does not decode: {0}")]
    Deserialize(String),
}

/// How values are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codec {
    format: Format,
    compress_above: usize,
    value_max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
}

impl Format {
    const fn id(self) -> u8 {
        match self {
            Self::Json => 1,
        }
    }
}

impl Default for Codec {
    fn default() -> Self {
        Self::json()
    }
}

impl Codec {
    /// JSON, readable in redis-cli; compressed above 1 KiB; at most 8 MiB a value.
    #[must_use]
    pub const fn json() -> Self {
        Self {
            format: Format::Json,
            compress_above: COMPRESS_ABOVE,
            value_max: VALUE_MAX,
        }
    }

    /// Compresses with LZ4 what is longer than `bytes`; `usize::MAX` never. Default 1,024.
    #[must_use]
    pub const fn compress_above(mut self, bytes: usize) -> Self {
        self.compress_above = bytes;
        self
    }

    /// Refuses values whose encoded form, before compression, is longer than `bytes`: nothing of them is sent. Default
    /// 8 MiB, at most 511 MiB.
    #[must_use]
    pub const fn value_max(mut self, bytes: usize) -> Self {
        self.value_max = bytes;
        self
    }

    /// What [`value_max`](Self::value_max) was set to, in bytes.
    #[must_use]
    pub const fn largest_value(&self) -> usize {
        self.value_max
    }

    /// Writes `value`.
    ///
    /// # Errors
    /// [`CodecError::Serialize`] and [`CodecError::TooLarge`].
    pub fn encode<V: Serialize>(&self, value: &V, envelope: &Envelope<'_>) -> Result<Encoded, CodecError> {
        let mut payload = vec![0; PREFIX];
        match self.format {
            Format::Json => json::write_json(value, &mut payload, self.value_max)?,
        }
        let size = payload.len() - PREFIX;
        let mut flags = FLAG_VALUE;
        if size > self.compress_above {
            let compressed = lz4_flex::block::compress_prepend_size(&payload[PREFIX..]);
            if compressed.len() < size {
                payload.truncate(PREFIX);
                payload.extend_from_slice(&compressed);
                flags |= FLAG_COMPRESSED;
            }
        }
        Ok(self.seal(flags, payload, envelope))
    }

    /// Writes "there is none".
    #[must_use]
    pub fn encode_negative(&self, envelope: &Envelope<'_>) -> Encoded {
        self.seal(FLAG_VALUE | FLAG_NEGATIVE, vec![0; PREFIX], envelope)
    }

    fn seal(&self, flags: u8, mut payload: Vec<u8>, envelope: &Envelope<'_>) -> Encoded {
        payload[4] = self.format.id();
        let crc = checksum(envelope, flags, &payload[4..]);
        payload[..4].copy_from_slice(&crc.to_be_bytes());
        Encoded { flags, payload }
    }

    /// Reads a payload; `None` is a remembered "there is none".
    ///
    /// # Errors
    /// Every [`CodecError`] but those of writing; the payload is then as good as absent.
    pub fn decode<V: DeserializeOwned>(
        &self,
        flags: u8,
        payload: &[u8],
        envelope: &Envelope<'_>,
    ) -> Result<Option<V>, CodecError> {
        let (crc, sealed) = payload.split_first_chunk::<4>().ok_or(CodecError::Truncated)?;
        let (&format, bytes) = sealed.split_first().ok_or(CodecError::Truncated)?;
        if u32::from_be_bytes(*crc) != checksum(envelope, flags, sealed) {
            return Err(CodecError::Checksum);
        }
        if flags & FLAG_NEGATIVE != 0 {
            return Ok(None);
        }
        if format != Format::Json.id() || flags & FLAG_ENCRYPTED != 0 {
            return Err(CodecError::UnknownFormat { format, flags });
        }
        if flags & FLAG_COMPRESSED == 0 {
            return json::read_json(bytes).map(Some);
        }
        json::read_json(&self.decompress(bytes)?).map(Some)
    }

    fn decompress(&self, bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
        let (size, block) = lz4_flex::block::uncompressed_size(bytes).map_err(|_| CodecError::Truncated)?;
        // The size is a claim of the payload: checked before it is believed with an allocation.
        if size > self.value_max {
            return Err(CodecError::TooLarge {
                size,
                max: self.value_max,
            });
        }
        lz4_flex::block::decompress(block, size).map_err(|error| CodecError::Deserialize(error.to_string()))
    }
}

fn checksum(envelope: &Envelope<'_>, flags: u8, sealed: &[u8]) -> u32 {
    let mut head = [0; 13];
    head[..4].copy_from_slice(&envelope.schema.to_bytes());
    head[4..12].copy_from_slice(&envelope.source_version.to_be_bytes());
    head[12] = flags & VALUE_FLAGS;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&head), envelope.key.as_bytes());
    crc32c::crc32c_append(crc, sealed)
}

#[cfg(test)]
mod tests;
