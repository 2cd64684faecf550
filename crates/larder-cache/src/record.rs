//! A record of E as its bytes: the 88-byte header, the tag block, the payload (protocol 1.1). Nothing is copied.

use larder_base::codec::{Envelope, Schema};

const MAGIC: &[u8; 3] = b"LD\x01";
const HEADER: usize = 88;
/// Header, then the five bytes of checksum and format that every payload has.
const VALUE_MIN: usize = HEADER + 5;
/// A value, no hold, no "fallback only": what the fast path may take.
const FAST_FLAGS: u8 = 1 | 16 | 32;
const ZERO: [u8; 16] = [0; 16];

/// A whole record that holds a value, its lengths checked.
#[derive(Debug)]
pub(crate) struct Record {
    bytes: Vec<u8>,
    tag_len: usize,
}

/// What identifies a stored value: two fills of equal bytes differ in it.
pub(crate) type Uid = [u8; 8];

/// M: the incarnation, then the count of tag invalidations.
pub(crate) type Meta = [u8; 16];

impl Record {
    /// `None` if the bytes are no record of this format with a value, or damaged in their lengths.
    pub(crate) fn parse(bytes: Vec<u8>) -> Option<Self> {
        if bytes.len() < VALUE_MIN || !bytes.starts_with(MAGIC) || bytes[3] & 1 == 0 {
            return None;
        }
        let tag_len = u32::from_be_bytes(at(&bytes, 84)) as usize;
        let fits = tag_len.checked_add(VALUE_MIN).is_some_and(|least| least <= bytes.len());
        fits.then_some(Self { bytes, tag_len })
    }

    pub(crate) fn flags(&self) -> u8 {
        self.bytes[3]
    }

    pub(crate) fn is_tagged(&self) -> bool {
        self.tag_len > 0
    }

    pub(crate) fn schema(&self) -> Schema {
        Schema::from_bytes(at(&self.bytes, 4))
    }

    pub(crate) fn source_version(&self) -> u64 {
        u64::from_be_bytes(at(&self.bytes, 16))
    }

    /// When the value stops being fresh, in ms of the server's clock.
    pub(crate) fn soft_at(&self) -> f64 {
        f64::from_be_bytes(at(&self.bytes, 24))
    }

    /// When the value stops being usable at all, in ms of the server's clock.
    pub(crate) fn hard_at(&self) -> f64 {
        f64::from_be_bytes(at(&self.bytes, 32))
    }

    /// How long its load took, in ms.
    pub(crate) fn load_cost_ms(&self) -> u32 {
        u32::from_be_bytes(at(&self.bytes, 76))
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[HEADER + self.tag_len..]
    }

    /// Entry uid of the fill and checksum of the bytes, as `revalidate` compares them.
    pub(crate) fn uid(&self) -> Uid {
        let mut uid = [0; 8];
        uid[..4].copy_from_slice(&self.bytes[80..84]);
        uid[4..].copy_from_slice(&self.payload()[..4]);
        uid
    }

    #[cfg(test)]
    /// The tags it was stored with.
    pub(crate) fn tags(&self) -> Vec<String> {
        let mut block = &self.bytes[HEADER..HEADER + self.tag_len];
        let mut tags = Vec::new();
        while let Some((&len, rest)) = block.split_first() {
            let Some((tag, rest)) = rest.split_at_checked(usize::from(len)) else {
                break;
            };
            tags.push(String::from_utf8_lossy(tag).into_owned());
            block = rest.get(16..).unwrap_or_default();
        }
        tags
    }

    /// What the checksum of its payload covers besides the bytes.
    pub(crate) fn envelope<'a>(&self, full_key: &'a str) -> Envelope<'a> {
        Envelope {
            schema: self.schema(),
            source_version: self.source_version(),
            key: full_key,
        }
    }

    /// Whether a client may take this value without asking a script: the fast path of protocol 1.4.
    ///
    /// `meta` is M, read in the same command; `now` an upper bound of the server's clock in ms. The last
    /// condition says that no tag of the partition moved since the fill, so that stamps need no look.
    pub(crate) fn is_valid_now(&self, meta: &[u8], now: f64) -> bool {
        let e = &self.bytes;
        meta.len() == 16
            && self.flags() & FAST_FLAGS == 1
            && e[8..16] == meta[..8]
            && now < self.soft_at()
            && (self.tag_len == 0 || (e[40..56] == ZERO && e[64..72] == meta[8..]))
    }
}

/// Whether these bytes, if they are a record, have tags.
pub(crate) fn has_tags(bytes: &[u8]) -> bool {
    bytes.get(84..HEADER).is_some_and(|len| len != [0; 4])
}

fn at<const N: usize>(bytes: &[u8], from: usize) -> [u8; N] {
    bytes[from..from + N]
        .try_into()
        .expect("the header was checked to be whole")
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A record as `fill` writes it.
    pub(crate) fn record(tags: &[&str], soft_at: f64) -> Vec<u8> {
        let mut e = MAGIC.to_vec();
        e.extend([1, 0, 1, 0, 2]);
        e.extend(b"incarnat");
        e.extend(7u64.to_be_bytes());
        e.extend(soft_at.to_be_bytes());
        e.extend((soft_at + 60_000.0).to_be_bytes());
        e.extend([0; 24]);
        e.extend(3f64.to_be_bytes());
        e.extend([0; 4]);
        e.extend(33u32.to_be_bytes());
        e.extend(b"uid4");
        let block: Vec<u8> = tags
            .iter()
            .flat_map(|tag| [&[tag.len() as u8][..], tag.as_bytes(), &[9; 16]].concat())
            .collect();
        e.extend((block.len() as u32).to_be_bytes());
        e.extend(block);
        e.extend(b"crc4\x01body");
        e
    }

    fn meta() -> Vec<u8> {
        [&b"incarnat"[..], &3f64.to_be_bytes()].concat()
    }

    #[test]
    fn a_record_shows_what_fill_wrote() {
        let r = Record::parse(record(&["a", "team:7"], 1000.0)).expect("whole");
        assert_eq!(
            (r.source_version(), r.soft_at(), r.hard_at(), r.load_cost_ms()),
            (7, 1000.0, 61_000.0, 33)
        );
        assert_eq!(
            r.schema(),
            Schema {
                revision: 1,
                fingerprint: 2
            }
        );
        assert_eq!(r.tags(), ["a", "team:7"]);
        assert_eq!((r.payload(), &r.uid()), (&b"crc4\x01body"[..], b"uid4crc4"));
    }

    #[test]
    fn the_fast_path_takes_only_what_is_certain() {
        let valid = |e: &[u8], m: &[u8], now| Record::parse(e.to_vec()).is_some_and(|r| r.is_valid_now(m, now));
        let (plain, tagged) = (record(&[], 1000.0), record(&["t"], 1000.0));
        assert!(valid(&plain, &meta(), 999.0) && valid(&tagged, &meta(), 999.0));
        assert!(!valid(&plain, &meta(), 1000.0), "soft_at has come");
        assert!(!valid(&plain, b"", 0.0), "M is lost");
        let moved = [&b"incarnat"[..], &4f64.to_be_bytes()].concat();
        assert!(
            valid(&plain, &moved, 0.0) && !valid(&tagged, &moved, 0.0),
            "a tag moved"
        );
        let with = |at: usize, byte| {
            let mut e = tagged.clone();
            e[at] = byte;
            e
        };
        for (at, byte, why) in [
            (0, b'X', "magic"),
            (3, 0, "no value"),
            (3, 17, "hold"),
            (3, 33, "fallback only"),
            (8, b'X', "incarnation"),
            (40, 1, "leased, so slot 64 is the lease's"),
            (84, 1, "tag block beyond the end"),
        ] {
            assert!(!valid(&with(at, byte), &meta(), 0.0), "{why}");
        }
        assert!(valid(&with(3, 3), &meta(), 0.0), "a negative entry is a hit");
    }

    /// What every record must be, whatever its bytes: readable to the end, and true about its own lengths.
    fn sound(bytes: &[u8]) -> Result<(), TestCaseError> {
        let Some(record) = Record::parse(bytes.to_vec()) else {
            return Ok(());
        };
        prop_assert_eq!(HEADER + record.tag_len + record.payload().len(), bytes.len());
        prop_assert!(record.payload().len() >= 5);
        let block: usize = record.tags().iter().map(|tag| 1 + 16 + tag.len()).sum();
        // Bytes that are no text are replaced by longer ones.
        prop_assert!(block <= 3 * record.tag_len + 17);
        let _ = (
            record.uid(),
            record.schema(),
            record.source_version(),
            record.load_cost_ms(),
        );
        let _ = (record.soft_at(), record.hard_at(), record.is_valid_now(&meta(), 0.0));
        Ok(())
    }

    proptest! {
        #[test]
        fn any_record_shows_what_was_written(
            tags in proptest::collection::vec("[a-z:0-9]{1,255}", 0..64),
            soft_at in proptest::num::f64::NORMAL,
        ) {
            let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
            let read = Record::parse(record(&tags, soft_at)).expect("whole");
            prop_assert_eq!(read.tags(), tags);
            prop_assert_eq!(read.soft_at(), soft_at);
            prop_assert_eq!(read.payload(), b"crc4\x01body");
            prop_assert_eq!(read.uid(), *b"uid4crc4");
        }

        #[test]
        fn no_bytes_make_decoding_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            sound(&bytes)?;
            // Behind a right beginning, so that more than the first look is tried.
            sound(&[b"LD\x01\x01".as_slice(), &bytes].concat())?;
        }

        #[test]
        fn no_tag_length_reaches_beyond_the_record(tag_len: u32, more in 0usize..300) {
            let mut e = record(&["t"], 1000.0);
            e[84..88].copy_from_slice(&tag_len.to_be_bytes());
            e.extend(std::iter::repeat_n(7, more));
            sound(&e)?;
            let fits = VALUE_MIN as u64 + u64::from(tag_len) <= e.len() as u64;
            prop_assert_eq!(Record::parse(e).is_some(), fits);
        }
    }

    #[test]
    fn a_record_cut_short_is_none_or_shorter() {
        let good = record(&["t", "u"], 1000.0);
        for cut in 0..good.len() {
            sound(&good[..cut]).expect("sound at any length");
            let payload = Record::parse(good[..cut].to_vec()).map(|r| r.payload().len());
            assert!(payload.is_none_or(|left| left < 9), "cut at {cut}");
        }
    }

    /// What a checksum is not made for: the header lets a client take a value without a look at its tags' stamps, and one
    /// flipped bit can say so of a value whose tag was invalidated. Exactly those of slot 64 can, and only where
    /// the flip makes the sequence of its fill into the present one.
    ///
    /// No reader can tell: a record that was filled at the present sequence has these very bytes.
    #[test]
    fn of_all_single_bits_only_the_tag_sequence_brings_an_invalidated_value_back() {
        // A tag moved since: 2 at the fill, 3 now; they differ in one bit.
        let mut e = record(&["t", "u"], 1000.0);
        e[64..72].copy_from_slice(&2f64.to_be_bytes());
        assert!(!Record::parse(e.clone()).expect("whole").is_valid_now(&meta(), 0.0));
        let revived: Vec<usize> = (0..e.len() * 8)
            .filter(|bit| {
                let mut bad = e.clone();
                bad[bit / 8] ^= 0x80 >> (bit % 8);
                // Where the payload begins elsewhere, its checksum tells.
                Record::parse(bad).is_some_and(|r| r.is_valid_now(&meta(), 0.0) && r.payload() == b"crc4\x01body")
            })
            .collect();
        let apart = 2f64.to_bits() ^ 3f64.to_bits();
        assert_eq!(revived, [64 * 8 + apart.leading_zeros() as usize]);
    }
}
