use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const ENVELOPE: Envelope<'_> = Envelope {
    schema: Schema {
        revision: 1,
        fingerprint: 2,
    },
    source_version: 3,
    key: "user:42",
};

fn text(len: usize) -> String {
    "cache ".chars().cycle().take(len).collect()
}

#[test]
fn values_come_back_and_long_ones_are_compressed() {
    let codec = Codec::json();
    for len in [0, 10, COMPRESS_ABOVE, 100_000] {
        let encoded = codec.encode(&text(len), &ENVELOPE).expect("small enough");
        assert_eq!(encoded.flags & FLAG_COMPRESSED != 0, len + 2 > COMPRESS_ABOVE, "{len}");
        assert_eq!(
            codec.decode(encoded.flags, &encoded.payload, &ENVELOPE),
            Ok(Some(text(len)))
        );
    }
}

#[test]
fn a_short_value_is_plain_json_behind_five_bytes() {
    let encoded = Codec::json()
        .encode(&BTreeMap::from([("name", "Ada")]), &ENVELOPE)
        .expect("small enough");
    assert_eq!(&encoded.payload[PREFIX..], br#"{"name":"Ada"}"#);
}

#[test]
fn nothing_is_a_value_too() {
    let codec = Codec::json();
    let encoded = codec.encode_negative(&ENVELOPE);
    assert_eq!(
        codec.decode::<String>(encoded.flags, &encoded.payload, &ENVELOPE),
        Ok(None)
    );
}

#[test]
fn every_flipped_bit_and_every_cut_is_found() {
    let codec = Codec::json();
    let Encoded { flags, payload } = codec.encode(&text(2_000), &ENVELOPE).expect("small enough");
    for bit in 0..payload.len() * 8 {
        let mut damaged = payload.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(codec.decode::<String>(flags, &damaged, &ENVELOPE).is_err(), "bit {bit}");
    }
    for len in 0..payload.len() {
        assert!(
            codec.decode::<String>(flags, &payload[..len], &ENVELOPE).is_err(),
            "cut at {len}"
        );
    }
}

#[test]
fn a_payload_belongs_to_its_key_version_schema_and_flags() {
    let codec = Codec::json();
    let Encoded { flags, payload } = codec.encode(&7, &ENVELOPE).expect("small enough");
    let others = [
        Envelope {
            key: "user:43",
            ..ENVELOPE
        },
        Envelope {
            source_version: 4,
            ..ENVELOPE
        },
        Envelope {
            schema: Schema {
                revision: 2,
                fingerprint: 2,
            },
            ..ENVELOPE
        },
    ];
    for other in others {
        assert_eq!(codec.decode::<i32>(flags, &payload, &other), Err(CodecError::Checksum));
    }
    assert_eq!(
        codec.decode::<i32>(flags | FLAG_NEGATIVE, &payload, &ENVELOPE),
        Err(CodecError::Checksum)
    );
}

#[test]
fn a_value_over_the_limit_is_refused_on_both_ways() {
    let codec = Codec::json().value_max(100);
    assert_eq!(
        codec.encode(&text(99), &ENVELOPE),
        Err(CodecError::TooLarge { size: 101, max: 100 })
    );
    let large = Codec::json()
        .encode(&text(5_000), &ENVELOPE)
        .expect("small enough for the default");
    let refused = codec.decode::<String>(large.flags, &large.payload, &ENVELOPE);
    assert_eq!(refused, Err(CodecError::TooLarge { size: 5_002, max: 100 }));
}

/// Serialises to as many bytes as it says, a kibibyte at a time.
struct Vast(usize);

impl Serialize for Vast {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kibibyte = text(1022);
        serializer.collect_seq(std::iter::repeat_n(kibibyte, self.0 / 1024))
    }
}

#[test]
fn a_vast_value_is_refused_without_being_held() {
    let mut out = Vec::new();
    // Sixteen times what is kept of it: the size is exact, the memory is the limit's.
    let refused = write_json(&Vast(16 << 20), &mut out, 1 << 20);
    let size = (16 << 20) + (16 << 10) + 1; // commas and brackets
    assert_eq!(refused, Err(CodecError::TooLarge { size, max: 1 << 20 }));
    assert!(out.capacity() <= 2 << 20, "{}", out.capacity());
}

#[test]
fn a_decoding_error_does_not_quote_the_value() {
    let codec = Codec::json();
    let encoded = codec.encode(&"secret", &ENVELOPE).expect("small enough");
    let error = codec
        .decode::<u64>(encoded.flags, &encoded.payload, &ENVELOPE)
        .expect_err("not a number");
    assert!(!error.to_string().contains("secret"), "{error}");
}

proptest! {
    #[test]
    fn no_bytes_make_decoding_panic(flags: u8, bytes in proptest::collection::vec(any::<u8>(), 0..200), reseal: bool) {
        let codec = Codec::json().value_max(10_000);
        let mut payload = bytes;
        if reseal && payload.len() >= PREFIX {
            let crc = checksum(&ENVELOPE, flags, &payload[4..]);
            payload[..4].copy_from_slice(&crc.to_be_bytes());
        }
        let _ = codec.decode::<BTreeMap<String, Vec<u32>>>(flags, &payload, &ENVELOPE);
    }
}
