//! What stands in the dirty map for one key: `epoch f64, seq f64, since_ms f64, kind u8`, as the scripts write it, then the
//! change itself, as this file does: `flags u8, schema[4], full_len u32, full, payload`.
//!
//! It describes itself, so that any process can flush it: the schema is the writer's and only part of the checksum, the
//! format is named in the payload (JSON by default), and a key that is too long to be written out stands in full.

use larder_base::{
    CacheKey, WrittenKey,
    codec::{Codec, CodecError, Encoded, Envelope, Schema},
};
use serde::de::DeserializeOwned;

use crate::{Change, Version};

/// Version, `since`, kind.
const HEAD: usize = 25;
/// Flags, schema, length of the full key.
const INNER: usize = 9;

/// Which change of its key a record is, as the scripts compare it.
pub(crate) type RawVersion = [u8; 16];

/// Longer than a version, so that no record has it, however damaged: what claims to have flushed it only makes the key due at
/// once.
pub(crate) const NO_VERSION: &[u8] = b"the version of no record";

/// What is to happen to the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Put,
    Remove,
}

impl Kind {
    /// As the scripts know it.
    pub(crate) const fn number(self) -> u64 {
        match self {
            Self::Put => 1,
            Self::Remove => 2,
        }
    }
}

/// One record, taken apart.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) raw_version: RawVersion,
    pub(crate) kind: Kind,
    flags: u8,
    schema: Schema,
    full: Option<&'a str>,
    payload: &'a [u8],
}

/// Why a record cannot be flushed by this process.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("the record is damaged")]
    Damaged,
    #[error("the key is not one of this cache's type")]
    Key,
    #[error(transparent)]
    Value(#[from] CodecError),
}

/// The change as it goes into a record.
pub(crate) fn write(written: &WrittenKey, schema: Schema, value: Option<&Encoded>) -> Vec<u8> {
    let full = if written.full() == written.as_str() {
        ""
    } else {
        written.full()
    };
    let payload = value.map_or(&[][..], |value| &value.payload);
    let mut change = Vec::with_capacity(INNER + full.len() + payload.len());
    change.push(value.map_or(0, |value| value.flags));
    change.extend_from_slice(&schema.to_bytes());
    change.extend_from_slice(&(full.len() as u32).to_be_bytes());
    change.extend_from_slice(full.as_bytes());
    change.extend_from_slice(payload);
    change
}

/// The bytes at the head of a record that the scripts compare: fewer than a version has, if it is damaged.
pub(crate) fn version_bytes(record: &[u8]) -> &[u8] {
    &record[..record.len().min(size_of::<RawVersion>())]
}

/// The version at the head of a record, if it can be one: two numbers that count from 1.
pub(crate) fn sound_version(record: &[u8]) -> Option<Version> {
    /// Up to there an f64 counts in ones.
    const COUNTS_TO: f64 = (1_u64 << 53) as f64;
    let raw: &RawVersion = record.first_chunk()?;
    let counts = raw.as_chunks::<8>().0.iter().map(|bytes| f64::from_be_bytes(*bytes));
    let is_sound = |n: f64| (1.0..=COUNTS_TO).contains(&n) && n.fract() == 0.0;
    counts.into_iter().all(is_sound).then(|| version(raw))
}

/// The version at the head of a record or of an operation.
pub(crate) fn version(raw: &RawVersion) -> Version {
    let number = |at: usize| f64::from_be_bytes(std::array::from_fn(|i| raw[at + i])) as u64;
    Version {
        epoch: number(0),
        seq: number(8),
    }
}

impl<'a> Record<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (head, inner) = bytes.split_at_checked(HEAD)?;
        let kind = match head[24] {
            1 => Kind::Put,
            2 => Kind::Remove,
            _ => return None,
        };
        let (inner, rest) = inner.split_at_checked(INNER)?;
        let full_len = u32::from_be_bytes([inner[5], inner[6], inner[7], inner[8]]) as usize;
        let (full, payload) = rest.split_at_checked(full_len)?;
        let full = std::str::from_utf8(full).ok()?;
        Some(Self {
            raw_version: std::array::from_fn(|i| head[i]),
            kind,
            flags: inner[0],
            schema: Schema::from_bytes([inner[1], inner[2], inner[3], inner[4]]),
            full: (!full.is_empty()).then_some(full),
            payload,
        })
    }

    /// The value, whatever type wrote it: `None` for a removal. `written` is the key that it stands under.
    pub(crate) fn value<V: DeserializeOwned>(&self, codec: &Codec, written: &str) -> Result<Option<V>, CodecError> {
        if self.kind == Kind::Remove {
            return Ok(None);
        }
        let envelope = Envelope {
            schema: self.schema,
            source_version: 0,
            key: self.full.unwrap_or(written),
        };
        codec.decode(self.flags, self.payload, &envelope)
    }

    /// The change that it asks for.
    pub(crate) fn change<K: CacheKey, V: DeserializeOwned>(
        &self,
        codec: &Codec,
        field: &[u8],
    ) -> Result<Change<K, V>, Unreadable> {
        let written = std::str::from_utf8(field).map_err(|_| Unreadable::Damaged)?;
        let full = self.full.unwrap_or(written);
        let key = WrittenKey::parse(full.as_bytes()).ok_or(Unreadable::Key)?;
        let value = self.value(codec, written)?;
        if value.is_none() && self.kind == Kind::Put {
            return Err(Unreadable::Damaged);
        }
        Ok(Change {
            key,
            version: version(&self.raw_version),
            value,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, schema: Schema, value: Option<&str>) -> Vec<u8> {
        let written = WrittenKey::of(&key.to_owned());
        let envelope = Envelope {
            schema,
            source_version: 0,
            key: written.full(),
        };
        let encoded = value.map(|value| Codec::json().encode(&value, &envelope).expect("it is short"));
        let mut bytes = Vec::new();
        for number in [7.0f64, 3.0, 1_000.0] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        let kind = if value.is_some() { Kind::Put } else { Kind::Remove };
        bytes.push(kind.number() as u8);
        bytes.extend(write(&written, schema, encoded.as_ref()));
        bytes
    }

    fn change(bytes: &[u8], key: &str) -> Result<Change<String, serde_json::Value>, Unreadable> {
        let field = WrittenKey::of(&key.to_owned());
        let record = Record::parse(bytes).ok_or(Unreadable::Damaged)?;
        record.change(&Codec::json(), field.as_str().as_bytes())
    }

    #[test]
    fn any_type_reads_what_any_type_wrote() {
        let schema = Schema {
            revision: 9,
            fingerprint: 77,
        };
        let long = "x".repeat(10_000);
        for key in ["k", "a:b{c}\r\n%", &long] {
            let found = change(&record(key, schema, Some("v")), key).expect("it is whole");
            assert_eq!(found.key, key);
            assert_eq!(found.value, Some("v".into()));
            assert_eq!(found.version, Version { epoch: 7, seq: 3 });
            let gone = change(&record(key, schema, None), key).expect("it is whole");
            assert_eq!(gone.value, None);
        }
    }

    #[test]
    fn a_version_counts_from_one() {
        let head = |epoch: f64, seq: f64| [epoch.to_be_bytes(), seq.to_be_bytes()].concat();
        assert_eq!(sound_version(&head(7.0, 3.0)), Some(Version { epoch: 7, seq: 3 }));
        for (epoch, seq) in [
            (0.0, 1.0),
            (1.0, 0.5),
            (-1.0, 1.0),
            (f64::NAN, 1.0),
            (1.0, 1e300),
            (f64::INFINITY, 1.0),
        ] {
            assert_eq!(sound_version(&head(epoch, seq)), None, "{epoch} {seq}");
        }
        assert_eq!(sound_version(&head(7.0, 3.0)[..15]), None);
        assert_eq!(version_bytes(b"short"), b"short");
    }

    #[test]
    fn damage_is_found_wherever_it_is() {
        let whole = record("k", Schema::default(), Some("value"));
        for at in HEAD..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert!(change(&damaged, "k").is_err(), "byte {at}");
        }
        for len in 0..whole.len() {
            assert!(change(&whole[..len], "k").is_err(), "{len} bytes");
        }
        assert!(change(&whole, "another key").is_err(), "a record copied to another key");
    }
}
