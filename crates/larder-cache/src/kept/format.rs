//! How pending invalidations are written: records of a length, its checksum, the checksum of what follows, and that.
//!
//! ```text
//! larder pending 1\n   | length u32 | of the length u32 | of the items u64 | items ..   | length ..
//! ```
//!
//! A crash may leave the last record in part, or zeros where it was to be: nobody was told that it is kept. Anything else
//! that does not fit is damage. What a damaged record said is not known, so the whole namespace is owed in its place, which
//! is at least as much.

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::owed::{Deed, Owed};

/// What a file begins with.
pub(super) const MAGIC: &[u8] = b"larder pending 1\n";

/// Bytes before the items of a record.
const HEADER: usize = 4 + 4 + 8;

/// The kinds of items, as they are written.
mod kind {
    pub(super) const DROP: u8 = 1;
    pub(super) const AGE: u8 = 2;
    pub(super) const END: u8 = 3;
    pub(super) const TAG: u8 = 4;
    pub(super) const ALL: u8 = 5;
}

/// What a file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) owed: Vec<Owed>,
    /// Bytes from the start that are whole.
    pub(super) whole: usize,
    pub(super) end: End,
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With a record.
    Whole,
    /// With a part of one, which nobody was told of.
    Torn,
    /// With bytes that were other ones when they were written.
    Damaged,
    /// It does not begin like a file of this kind, or of this version.
    Foreign,
}

/// One record of `owed`.
pub(super) fn record(owed: &[Owed]) -> Vec<u8> {
    let mut items = Vec::new();
    owed.iter().for_each(|one| put(&mut items, one));
    let length = u32::try_from(items.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut out = Vec::with_capacity(HEADER + items.len());
    out.extend_from_slice(&length);
    out.extend_from_slice(&sum_of_length(length));
    out.extend_from_slice(&xxh3_64(&items).to_le_bytes());
    out.extend_from_slice(&items);
    out
}

fn sum_of_length(length: [u8; 4]) -> [u8; 4] {
    let sum = xxh3_64(&length).to_le_bytes();
    [sum[0], sum[1], sum[2], sum[3]]
}

fn put(out: &mut Vec<u8>, owed: &Owed) {
    let mut text = |kind: u8, bytes: &[u8]| {
        out.push(kind);
        out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(bytes);
    };
    match owed {
        Owed::Entry(e, Deed::Drop) => text(kind::DROP, e),
        Owed::Entry(e, Deed::Age) => text(kind::AGE, e),
        Owed::Entry(e, Deed::End(token)) => {
            text(kind::END, e);
            out.extend_from_slice(token);
        }
        Owed::Tag(tag) => text(kind::TAG, tag.as_bytes()),
        Owed::All => text(kind::ALL, b""),
    }
}

/// Reads a whole file.
pub(super) fn read(file: &[u8]) -> Read {
    let mut read = Read {
        owed: Vec::new(),
        whole: MAGIC.len(),
        end: End::Whole,
    };
    let Some(mut rest) = file.strip_prefix(MAGIC) else {
        read.whole = 0;
        let is_begun = MAGIC.starts_with(file) || file.iter().all(|byte| *byte == 0);
        read.end = if is_begun { End::Torn } else { End::Foreign };
        return read;
    };
    while !rest.is_empty() {
        match next(rest) {
            Ok((owed, length)) => {
                read.owed.extend(owed);
                read.whole += length;
                rest = &rest[length..];
            }
            Err(end) => {
                read.end = end;
                break;
            }
        }
    }
    read
}

/// The first record, and its length.
fn next(rest: &[u8]) -> Result<(Vec<Owed>, usize), End> {
    if rest.iter().all(|byte| *byte == 0) {
        return Err(End::Torn);
    }
    let (header, rest) = rest.split_first_chunk::<HEADER>().ok_or(End::Torn)?;
    let [a, b, c, d, e, f, g, h, sum @ ..] = *header;
    let length = [a, b, c, d];
    if sum_of_length(length) != [e, f, g, h] {
        return Err(End::Damaged);
    }
    let length = u32::from_le_bytes(length) as usize;
    let items = rest.get(..length).ok_or(End::Torn)?;
    if xxh3_64(items) != u64::from_le_bytes(sum) {
        return Err(End::Damaged);
    }
    let owed = items_of(items).ok_or(End::Damaged)?;
    Ok((owed, HEADER + length))
}

fn items_of(mut items: &[u8]) -> Option<Vec<Owed>> {
    let mut owed = Vec::new();
    while let Some((&kind, rest)) = items.split_first() {
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        items = rest;
        let entry = |deed| Owed::Entry(Bytes::copy_from_slice(text), deed);
        owed.push(match kind {
            kind::DROP => entry(Deed::Drop),
            kind::AGE => entry(Deed::Age),
            kind::END => {
                let (token, rest) = items.split_first_chunk()?;
                items = rest;
                entry(Deed::End(*token))
            }
            kind::TAG => Owed::Tag(std::str::from_utf8(text).ok()?.into()),
            kind::ALL => Owed::All,
            _ => return None,
        });
    }
    Some(owed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each() -> Vec<Owed> {
        let e = Bytes::from_static(b"lc:user:{1}:42");
        // The last one does not end with zeros, which a torn end may be filled up with.
        vec![
            Owed::All,
            Owed::drop_of(e.clone()),
            Owed::Entry(e.clone(), Deed::Age),
            Owed::Tag("t\0".into()),
            Owed::Entry(e, Deed::End([7; 16])),
        ]
    }

    fn file(records: &[&[Owed]]) -> Vec<u8> {
        let records = records.iter().flat_map(|owed| record(owed));
        MAGIC.iter().copied().chain(records).collect()
    }

    #[test]
    fn what_was_written_is_read() {
        let all = each();
        let file = file(&[&all[..2], &all[2..], &[]]);
        let read = read(&file);
        assert_eq!((read.owed, read.whole, read.end), (all, file.len(), End::Whole));
    }

    #[test]
    fn wherever_the_end_is_torn_off_what_stands_before_is_read() {
        let all = each();
        let (first, whole) = (file(&[&all[..2]]), file(&[&all[..2], &all[2..]]));
        for cut in first.len()..whole.len() {
            let mut torn = whole[..cut].to_vec();
            for zeros in [0, 1, 40] {
                torn.resize(cut + zeros, 0);
                let read = read(&torn);
                // Zeros may make it as long as it was to be: then it counts as damage, which is safe as well.
                let is_safe = read.end != End::Whole || cut == first.len() && zeros == 0;
                assert!(
                    is_safe && read.owed == all[..2] && read.whole == first.len(),
                    "{cut} {zeros}: {read:?}"
                );
            }
            torn.truncate(cut);
            assert!(matches!(read(&torn).end, End::Torn | End::Whole), "{cut}");
        }
    }

    #[test]
    fn any_flipped_bit_is_seen() {
        let all = each();
        let whole = file(&[&all[..2], &all[2..]]);
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let read = read(&flipped);
            assert!(matches!(read.end, End::Damaged | End::Foreign), "bit {bit}: {read:?}");
        }
    }

    #[test]
    fn another_kind_of_file_is_told_from_one_that_was_just_begun() {
        assert_eq!(read(b"").end, End::Torn);
        assert_eq!(read(&MAGIC[..5]).end, End::Torn);
        assert_eq!(read(&[0; 40]).end, End::Torn);
        assert_eq!(read(b"larder pending 2\n").end, End::Foreign);
    }
}
