//! What may be the key of a cache, and how it is written in the store.
//!
//! A key is one part or several, each typed. In the store it is text that redis-cli shows as it is: integers in
//! decimal, parts joined by `:`, control bytes, `%` and what is not UTF-8 as `%XX`. Only a composite key
//! escapes the `:` inside its parts, so a plain string such as `team:7` stays readable. A key of more than
//! [`WRITTEN_MAX`] bytes is written as its SHA-256 and checked in full against the checksum of its value.

use std::{borrow::Cow, fmt::Debug, fmt::Write as _, hash::Hash, sync::Arc};

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// One part of a key, typed, so that a store writes it as text and a database binds it as what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPart<'a> {
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    Uint(u64),
    /// Text.
    Text(Cow<'a, str>),
    /// Bytes that need not be text.
    Bytes(Cow<'a, [u8]>),
    /// A UUID; written with hyphens, in lower case.
    Uuid(Uuid),
}

/// A type that can be the key of a cache: integers, strings, bytes, UUIDs, tuples of them.
///
/// Two keys are equal exactly if their parts are, every key of a type has [`PARTS`](Self::PARTS) parts, and
/// [`from_parts`](Self::from_parts) undoes [`parts`](Self::parts): an invalidation arrives as the written key
/// and must find the typed entry.
///
/// ```
/// use larder_base::{CacheKey, WrittenKey};
///
/// assert_eq!(WrittenKey::of(&42u64).as_str(), "42");
/// assert_eq!(WrittenKey::of(&("eu:1".to_owned(), 7u32)).as_str(), "eu%3A1:7");
/// assert_eq!(WrittenKey::parse::<(String, u32)>(b"eu%3A1:7"), Some(("eu:1".to_owned(), 7)));
/// ```
pub trait CacheKey: Clone + Eq + Hash + Debug + Send + Sync + 'static {
    /// How many parts every key of this type has; 1 unless it is composite.
    const PARTS: usize = 1;

    /// Calls `each` with the parts of this key in order.
    fn parts<'a>(&'a self, each: &mut dyn FnMut(KeyPart<'a>));

    /// The key whose parts, in their written form without escapes, are these [`PARTS`](Self::PARTS); `None` if
    /// they are of no such key.
    fn from_parts(parts: &[Cow<'_, [u8]>]) -> Option<Self>;
}

/// The longest key, in bytes, that is written out; a longer one is written as its SHA-256. Redis compares keys
/// byte by byte, and every command carries them: 8 KiB is far beyond what is a name rather than data.
pub const WRITTEN_MAX: usize = 8 * 1024;

/// What a key written as a digest begins with. `%s` is no escape, so no other key looks like this.
const DIGEST_PREFIX: &str = "%sha256:";

/// A key as text: as the store knows it, and in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenKey {
    text: String,
    /// The whole text where the key is written as a digest.
    full: Option<Box<str>>,
}

impl WrittenKey {
    /// Writes `key`.
    pub fn of<K: CacheKey>(key: &K) -> Self {
        let mut text = String::new();
        let mut first = true;
        key.parts(&mut |part| {
            if !first {
                text.push(':');
            }
            first = false;
            write_part(&mut text, &part, K::PARTS > 1);
        });
        if text.len() <= WRITTEN_MAX {
            return Self { text, full: None };
        }
        let digest = Sha256::digest(text.as_bytes());
        let mut short = String::from(DIGEST_PREFIX);
        for byte in digest {
            write!(short, "{byte:02x}").expect("writing to a string does not fail");
        }
        Self {
            text: short,
            full: Some(text.into()),
        }
    }

    /// The key as it stands in the store.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The whole key, which the checksum of a value covers.
    #[must_use]
    pub fn full(&self) -> &str {
        self.full.as_deref().unwrap_or(&self.text)
    }

    /// The key that was written like this; `None` if it is of another type or was written as a digest.
    #[must_use]
    pub fn parse<K: CacheKey>(written: &[u8]) -> Option<K> {
        if written.starts_with(DIGEST_PREFIX.as_bytes()) {
            return None;
        }
        if K::PARTS == 1 {
            return K::from_parts(&[unescape(written)?]);
        }
        let parts: Vec<Cow<'_, [u8]>> = written
            .split(|byte| *byte == b':')
            .map(unescape)
            .collect::<Option<_>>()?;
        if parts.len() == K::PARTS {
            K::from_parts(&parts)
        } else {
            None
        }
    }
}

fn write_part(out: &mut String, part: &KeyPart<'_>, composite: bool) {
    match part {
        KeyPart::Int(n) => write!(out, "{n}").expect("writing to a string does not fail"),
        KeyPart::Uint(n) => write!(out, "{n}").expect("writing to a string does not fail"),
        KeyPart::Uuid(id) => write!(out, "{id}").expect("writing to a string does not fail"),
        KeyPart::Text(text) => escape(out, text.as_bytes(), composite),
        KeyPart::Bytes(bytes) => escape(out, bytes, composite),
    }
}

fn escape(out: &mut String, bytes: &[u8], composite: bool) {
    let hex = |out: &mut String, byte: u8| write!(out, "%{byte:02X}").expect("writing to a string does not fail");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '%' => out.push_str("%25"),
                ':' if composite => out.push_str("%3A"),
                c if c.is_ascii_control() => hex(out, c as u8),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            hex(out, *byte);
        }
    }
}

fn unescape(written: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !written.contains(&b'%') {
        return Some(Cow::Borrowed(written));
    }
    let mut out = Vec::with_capacity(written.len());
    let mut rest = written;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2)?;
        out.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = tail;
    }
    Some(Cow::Owned(out))
}

fn text<'a>(parts: &'a [Cow<'_, [u8]>]) -> Option<&'a str> {
    match parts {
        [part] => std::str::from_utf8(part).ok(),
        _ => None,
    }
}

/// The integer that is written like this: `+7` and `007` are no keys, for they would not be written so.
fn integer<N: std::str::FromStr + ToString>(parts: &[Cow<'_, [u8]>]) -> Option<N> {
    let written = text(parts)?;
    let number: N = written.parse().ok()?;
    (number.to_string() == written).then_some(number)
}

macro_rules! integer_keys {
    ($($type:ty => $part:ident as $as:ty),*) => {$(
        impl CacheKey for $type {
            fn parts<'a>(&'a self, each: &mut dyn FnMut(KeyPart<'a>)) {
                each(KeyPart::$part(*self as $as));
            }
            fn from_parts(parts: &[Cow<'_, [u8]>]) -> Option<Self> {
                integer(parts)
            }
        }
    )*};
}

integer_keys! {
    u8 => Uint as u64, u16 => Uint as u64, u32 => Uint as u64, u64 => Uint as u64, usize => Uint as u64,
    i8 => Int as i64, i16 => Int as i64, i32 => Int as i64, i64 => Int as i64, isize => Int as i64
}

macro_rules! text_keys {
    ($($type:ty),*) => {$(
        impl CacheKey for $type {
            fn parts<'a>(&'a self, each: &mut dyn FnMut(KeyPart<'a>)) {
                each(KeyPart::Text(Cow::Borrowed(self)));
            }
            fn from_parts(parts: &[Cow<'_, [u8]>]) -> Option<Self> {
                text(parts).map(Into::into)
            }
        }
    )*};
}

text_keys!(String, Box<str>, Arc<str>);

impl CacheKey for Vec<u8> {
    fn parts<'a>(&'a self, each: &mut dyn FnMut(KeyPart<'a>)) {
        each(KeyPart::Bytes(Cow::Borrowed(self)));
    }

    fn from_parts(parts: &[Cow<'_, [u8]>]) -> Option<Self> {
        match parts {
            [part] => Some(part.to_vec()),
            _ => None,
        }
    }
}

impl CacheKey for Uuid {
    fn parts<'a>(&'a self, each: &mut dyn FnMut(KeyPart<'a>)) {
        each(KeyPart::Uuid(*self));
    }

    fn from_parts(parts: &[Cow<'_, [u8]>]) -> Option<Self> {
        let written = text(parts)?;
        let id = Self::parse_str(written).ok()?;
        (id.to_string() == written).then_some(id)
    }
}

macro_rules! tuple_keys {
    ($($name:ident)+) => {
        impl<$($name: CacheKey),+> CacheKey for ($($name,)+) {
            const PARTS: usize = 0 $(+ $name::PARTS)+;

            #[allow(non_snake_case, reason = "the variables are named as their types")]
            fn parts<'a>(&'a self, each: &mut dyn FnMut(KeyPart<'a>)) {
                let ($($name,)+) = self;
                $($name.parts(each);)+
            }

            fn from_parts(parts: &[Cow<'_, [u8]>]) -> Option<Self> {
                let mut rest = parts;
                let key = ($({
                    let (own, tail) = rest.split_at_checked($name::PARTS)?;
                    rest = tail;
                    $name::from_parts(own)?
                },)+);
                rest.is_empty().then_some(key)
            }
        }
    };
}

tuple_keys!(A);
tuple_keys!(A B);
tuple_keys!(A B C);
tuple_keys!(A B C D);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check<K: CacheKey>(key: &K, written: &str) {
        let text = WrittenKey::of(key);
        assert_eq!(text.as_str(), written);
        assert_eq!(
            WrittenKey::parse::<K>(text.as_str().as_bytes()).as_ref(),
            Some(key),
            "{written}"
        );
    }

    #[test]
    fn keys_are_readable_and_come_back() {
        check(&42u64, "42");
        check(&i64::MIN, "-9223372036854775808");
        check(&"team:7 {x}".to_owned(), "team:7 {x}");
        check(&"100%\r\n\0".to_owned(), "100%25%0D%0A%00");
        check(&vec![b'a', 0xff, b'%'], "a%FF%25");
        check(&"größe".to_owned(), "größe");
        check(&Uuid::from_u128(7), "00000000-0000-0000-0000-000000000007");
        check(&("a:b".to_owned(), 7u8), "a%3Ab:7");
        check(&((1u8, String::new()), "x".to_owned()), "1::x");
        check(&(String::new(),), "");
    }

    #[test]
    fn different_keys_are_written_differently() {
        let a = WrittenKey::of(&("a:b".to_owned(), "c".to_owned()));
        let b = WrittenKey::of(&("a".to_owned(), "b:c".to_owned()));
        assert_ne!(a, b);
    }

    #[test]
    fn what_no_key_would_be_written_as_is_no_key() {
        for foreign in ["007", "+7", " 7", "7 ", "18446744073709551616", "x", ""] {
            assert_eq!(WrittenKey::parse::<u64>(foreign.as_bytes()), None, "{foreign:?}");
        }
        for foreign in ["a%", "a%4", "a%zz"] {
            assert_eq!(WrittenKey::parse::<String>(foreign.as_bytes()), None, "{foreign:?}");
        }
        assert_eq!(WrittenKey::parse::<(u8, u8)>(b"1"), None);
        assert_eq!(WrittenKey::parse::<(u8, u8)>(b"1:2:3"), None);
    }

    #[test]
    fn a_long_key_is_written_as_its_digest() {
        let key = WrittenKey::of(&"x".repeat(WRITTEN_MAX + 1));
        assert_eq!(key.as_str().len(), DIGEST_PREFIX.len() + 64);
        assert_eq!(key.full().len(), WRITTEN_MAX + 1);
        assert_eq!(WrittenKey::parse::<String>(key.as_str().as_bytes()), None);
        let twin = WrittenKey::of(&key.as_str().to_owned());
        assert_ne!(twin.as_str(), key.as_str(), "a key that spells a digest is another key");
    }

    /// Everything that must hold of any key.
    fn holds<K: CacheKey>(key: &K) -> Result<(), TestCaseError> {
        let written = WrittenKey::of(key);
        prop_assert!(
            !written.as_str().contains(|c: char| c.is_ascii_control()),
            "no key breaks a line or a terminal"
        );
        prop_assert!(written.as_str().len() <= WRITTEN_MAX);
        if written.full() == written.as_str() {
            let back = WrittenKey::parse::<K>(written.as_str().as_bytes());
            prop_assert_eq!(back.as_ref(), Some(key));
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn any_key_comes_back(
            text in any::<String>(),
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
            signed: i64,
            unsigned: u64,
            id: u128,
        ) {
            holds(&text)?;
            holds(&bytes)?;
            holds(&signed)?;
            holds(&unsigned)?;
            holds(&Uuid::from_u128(id))?;
            holds(&(text.clone(), unsigned))?;
            holds(&((signed, bytes), (Uuid::from_u128(id), text)))?;
        }

        #[test]
        fn any_two_keys_are_written_apart(a: (String, Vec<u8>), b: (String, Vec<u8>)) {
            prop_assert_eq!(a == b, WrittenKey::of(&a) == WrittenKey::of(&b));
            prop_assert_eq!(a.0 == b.0, WrittenKey::of(&a.0) == WrittenKey::of(&b.0));
        }

        // Few letters, so that neighbours that differ only in where a part ends are met.
        #[test]
        fn parts_do_not_run_into_each_other(a in "[a:%3A]{0,4}", b in "[a:%3A]{0,4}", c in "[a:%3A]{0,4}", d in "[a:%3A]{0,4}") {
            let (one, two) = ((a, b), (c, d));
            prop_assert_eq!(one == two, WrittenKey::of(&one) == WrittenKey::of(&two));
        }

        #[test]
        fn a_key_beyond_the_limit_is_its_digest(more in 1usize..100, fill in any::<char>()) {
            let key: String = std::iter::repeat_n(fill, WRITTEN_MAX + more).collect();
            let written = WrittenKey::of(&key);
            prop_assert!(written.as_str().starts_with(DIGEST_PREFIX));
            prop_assert!(written.full().len() >= key.len());
            holds(&key)?;
        }

        #[test]
        fn no_bytes_make_parsing_panic(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
            let _ = WrittenKey::parse::<u64>(&bytes);
            let _ = WrittenKey::parse::<String>(&bytes);
            let _ = WrittenKey::parse::<Vec<u8>>(&bytes);
            let _ = WrittenKey::parse::<(Uuid, (i8, String))>(&bytes);
        }
    }
}
