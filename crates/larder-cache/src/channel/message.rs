//! What a message on the channel says: JSON that a service in any language can write and read.
//!
//! | message | concerns |
//! |---|---|
//! | `{"type":"user","id":42}` | one key; text as a string, a composite key as an array of its parts |
//! | `{"type":"user","ids":[42,43]}` | several keys |
//! | `{"key":"user:42"}` | one key as it is written in the store |
//! | `{"pattern":"user:4*"}` | keys whose written form matches the glob |
//! | `{"type":"user","tag":"team:7"}` | values with this tag; without `type` in every cache on the channel |
//! | `{"type":"user","clear":true}` | the namespace; without `type` every cache on the channel |
//!
//! Exactly one of `id`, `ids`, `key`, `pattern`, `tag`, `clear`. What Larder sends also has `origin`, 32 hex digits that
//! name the sending cache, and `applied`, which says that the store has acknowledged it already. Other fields are left
//! alone.

use std::borrow::Cow;

use larder_base::{CacheKey, KeyPart, WrittenKey};
use serde::{Deserialize, Serialize};

use crate::settings::TAG_BYTES;

/// The longest message that is read or sent. Eight of the longest keys that are written out fit.
pub(crate) const MESSAGE_MAX: usize = 64 * 1024;

/// Integers beyond this are not exact in languages whose numbers are `f64`: they are sent as text.
const EXACT_MAX: u64 = 1 << 53;

/// A message, as JSON has it.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Wire {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ids: Option<Vec<Id>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clear: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    applied: Option<bool>,
}

/// A key: one part or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum Id {
    One(Part),
    Many(Vec<Part>),
}

/// A part of a key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum Part {
    Int(i64),
    Uint(u64),
    Text(String),
}

impl Part {
    fn text(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Int(n) => n.to_string().into_bytes().into(),
            Self::Uint(n) => n.to_string().into_bytes().into(),
            Self::Text(text) => text.as_bytes().into(),
        }
    }

    /// `None` for bytes that are no text, which JSON cannot carry.
    fn of(part: &KeyPart<'_>) -> Option<Self> {
        Some(match part {
            KeyPart::Int(n) if n.unsigned_abs() <= EXACT_MAX => Self::Int(*n),
            KeyPart::Int(n) => Self::Text(n.to_string()),
            KeyPart::Uint(n) if *n <= EXACT_MAX => Self::Uint(*n),
            KeyPart::Uint(n) => Self::Text(n.to_string()),
            KeyPart::Text(text) => Self::Text(text.to_string()),
            KeyPart::Bytes(bytes) => Self::Text(std::str::from_utf8(bytes).ok()?.to_owned()),
            KeyPart::Uuid(id) => Self::Text(id.to_string()),
        })
    }
}

impl Id {
    /// As a key of this type; `None` if it is none.
    pub(crate) fn to_key<K: CacheKey>(&self) -> Option<K> {
        let parts: Vec<Cow<'_, [u8]>> = match self {
            Self::One(part) => vec![part.text()],
            Self::Many(parts) => parts.iter().map(Part::text).collect(),
        };
        (parts.len() == K::PARTS).then(|| K::from_parts(&parts)).flatten()
    }

    fn of<K: CacheKey>(key: &K) -> Option<Self> {
        let mut parts = Some(Vec::with_capacity(K::PARTS));
        key.parts(&mut |part| match (Part::of(&part), &mut parts) {
            (Some(part), Some(all)) => all.push(part),
            _ => parts = None,
        });
        let mut parts = parts?;
        Some(if K::PARTS == 1 {
            Self::One(parts.pop()?)
        } else {
            Self::Many(parts)
        })
    }
}

/// What a message concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Ids(Vec<Id>),
    /// One key in its written form.
    Written(String),
    Pattern(String),
    Tag(String),
    All,
}

/// A message that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// `None`: every cache on the channel.
    pub(crate) namespace: Option<String>,
    pub(crate) what: What,
    pub(crate) origin: Option<String>,
    /// The store has acknowledged it already.
    pub(crate) applied: bool,
}

/// Why a message says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    Oversized,
    Malformed,
}

impl Message {
    /// Reads what somebody published, whoever that was.
    pub(crate) fn read(payload: &[u8]) -> Result<Self, Unreadable> {
        if payload.len() > MESSAGE_MAX {
            return Err(Unreadable::Oversized);
        }
        let wire: Wire = serde_json::from_slice(payload).map_err(|_| Unreadable::Malformed)?;
        let (origin, applied) = (wire.origin.clone(), wire.applied == Some(true));
        let (namespace, what) = wire.what().ok_or(Unreadable::Malformed)?;
        Ok(Self {
            namespace,
            what,
            origin,
            applied,
        })
    }
}

impl Wire {
    fn what(self) -> Option<(Option<String>, What)> {
        let Self {
            namespace,
            id,
            ids,
            key,
            pattern,
            tag,
            clear,
            ..
        } = self;
        Some(match (id, ids, key, pattern, tag, clear) {
            (Some(id), None, None, None, None, None) => (Some(namespace?), What::Ids(vec![id])),
            (None, Some(ids), None, None, None, None) => (Some(namespace?), What::Ids(ids)),
            (None, None, Some(key), None, None, None) => {
                let (namespace, rest) = named(namespace, &key)?;
                (Some(namespace), What::Written(rest))
            }
            (None, None, None, Some(pattern), None, None) => {
                let (namespace, rest) = named(namespace, &pattern)?;
                (Some(namespace), What::Pattern(rest))
            }
            (None, None, None, None, Some(tag), None) => {
                let fits = (1..=TAG_BYTES).contains(&tag.len());
                fits.then_some((namespace, What::Tag(tag)))?
            }
            (None, None, None, None, None, Some(true)) => (namespace, What::All),
            _ => return None,
        })
    }
}

/// `user:42` as the namespace and the rest; a `type` beside it has to be the same.
fn named(namespace: Option<String>, whole: &str) -> Option<(String, String)> {
    let (named, rest) = whole.split_once(':')?;
    let agrees = namespace.is_none_or(|namespace| namespace == named);
    (agrees && !rest.is_empty()).then(|| (named.to_owned(), rest.to_owned()))
}

/// A change to announce.
#[derive(Debug)]
pub(crate) enum Change<'a, K> {
    Keys(&'a [K]),
    Tags(&'a [String]),
    Matching(&'a str),
    All,
}

// Derived, it would ask for `K: Copy`.
impl<K> Clone for Change<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Change<'_, K> {}

/// Ids per message: what is announced together is read in one go, and stays far below the longest message for short keys.
const IDS_MAX: usize = 100;

/// Writes `change` as messages.
pub(crate) fn write<K: CacheKey>(namespace: &str, change: Change<'_, K>, origin: &str, applied: bool) -> Vec<String> {
    let message = |fill: &dyn Fn(&mut Wire)| {
        let mut wire = Wire {
            namespace: Some(namespace.to_owned()),
            origin: Some(origin.to_owned()),
            applied: applied.then_some(true),
            ..Wire::default()
        };
        fill(&mut wire);
        serde_json::to_string(&wire).expect("text and integers are always JSON")
    };
    match change {
        Change::Keys([key]) => vec![match Id::of(key) {
            Some(id) => message(&|wire| wire.id = Some(id.clone())),
            None => message(&|wire| wire.key = Some(written(namespace, key))),
        }],
        Change::Keys(keys) => keys
            .chunks(IDS_MAX)
            .flat_map(|keys| match keys.iter().map(Id::of).collect::<Option<Vec<Id>>>() {
                Some(ids) => vec![message(&|wire| wire.ids = Some(ids.clone()))],
                None => keys
                    .iter()
                    .map(|key| message(&|wire| wire.key = Some(written(namespace, key))))
                    .collect(),
            })
            .collect(),
        Change::Tags(tags) => tags
            .iter()
            .map(|tag| message(&|wire| wire.tag = Some(tag.clone())))
            .collect(),
        Change::Matching(pattern) => vec![message(&|wire| wire.pattern = Some(format!("{namespace}:{pattern}")))],
        Change::All => vec![message(&|wire| wire.clear = Some(true))],
    }
}

fn written<K: CacheKey>(namespace: &str, key: &K) -> String {
    format!("{namespace}:{}", WrittenKey::of(key).as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<What, Unreadable> {
        Message::read(text.as_bytes()).map(|message| message.what)
    }

    fn ids(what: &What) -> &[Id] {
        match what {
            What::Ids(ids) => ids,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_form_is_read() {
        let what = read(r#"{"type":"user","id":42,"more":{"is":"ignored"}}"#).unwrap();
        assert_eq!(ids(&what)[0].to_key::<u64>(), Some(42));
        let what = read(r#"{"type":"user","id":"42"}"#).unwrap();
        assert_eq!(ids(&what)[0].to_key::<u64>(), Some(42));
        assert_eq!(ids(&what)[0].to_key::<String>(), Some("42".to_owned()));
        let what = read(r#"{"type":"user","id":["eu:1",7]}"#).unwrap();
        assert_eq!(ids(&what)[0].to_key::<(String, u32)>(), Some(("eu:1".to_owned(), 7)));
        assert_eq!(ids(&what)[0].to_key::<u64>(), None);
        assert_eq!(ids(&read(r#"{"type":"user","ids":[1,-2]}"#).unwrap()).len(), 2);
        assert_eq!(read(r#"{"key":"user:eu%3A1:7"}"#), Ok(What::Written("eu%3A1:7".into())));
        assert_eq!(read(r#"{"pattern":"user:4*"}"#), Ok(What::Pattern("4*".into())));
        assert_eq!(read(r#"{"tag":"team:7"}"#), Ok(What::Tag("team:7".into())));
        assert_eq!(read(r#"{"type":"user","clear":true}"#), Ok(What::All));
        let message = Message::read(br#"{"clear":true,"origin":"ab","applied":true}"#).unwrap();
        assert_eq!((message.namespace, message.applied), (None, true));
    }

    #[test]
    fn whatever_else_comes_is_malformed() {
        let long_tag = format!(r#"{{"tag":"{}"}}"#, "x".repeat(256));
        let deep = "[".repeat(10_000);
        for bad in [
            "",
            "null",
            "[]",
            "42",
            "\"user:42\"",
            "{",
            "{}",
            "\u{0}",
            "user:42",
            &deep,
            &long_tag,
            r#"{"id":42}"#,
            r#"{"type":"user"}"#,
            r#"{"type":"user","id":4.5}"#,
            r#"{"type":"user","id":null}"#,
            r#"{"type":"user","id":{"a":1}}"#,
            r#"{"type":"user","id":true}"#,
            r#"{"type":"user","id":[[1]]}"#,
            r#"{"type":7,"id":42}"#,
            r#"{"type":"user","id":42,"id":43}"#,
            r#"{"type":"user","id":42,"tag":"x"}"#,
            r#"{"key":"user"}"#,
            r#"{"key":"user:"}"#,
            r#"{"key":42}"#,
            r#"{"type":"order","key":"user:42"}"#,
            r#"{"pattern":"*"}"#,
            r#"{"tag":""}"#,
            r#"{"clear":false}"#,
            r#"{"clear":"true"}"#,
        ] {
            assert_eq!(read(bad), Err(Unreadable::Malformed), "{bad:.60}");
        }
        assert_eq!(Message::read(&[0xff; 10]), Err(Unreadable::Malformed));
        assert_eq!(Message::read(&vec![b' '; MESSAGE_MAX + 1]), Err(Unreadable::Oversized));
    }

    #[test]
    fn what_is_announced_is_read_back() {
        fn back<K: CacheKey>(key: K) {
            let text = write("n", Change::Keys(std::slice::from_ref(&key)), "ab", true).remove(0);
            let message = Message::read(text.as_bytes()).unwrap();
            assert_eq!(message.namespace.as_deref(), Some("n"));
            let read = match &message.what {
                What::Ids(ids) => ids[0].to_key::<K>(),
                What::Written(written) => WrittenKey::parse::<K>(written.as_bytes()),
                other => panic!("{other:?}"),
            };
            assert_eq!(read, Some(key), "{text}");
        }
        back(42u64);
        back(u64::MAX);
        back(-7i64);
        back("a:b%c\n\"ü".to_owned());
        back(("eu:1".to_owned(), 7u32));
        back(vec![0xffu8, 0x00]);
        let keys: Vec<u64> = (0..250).collect();
        assert_eq!(write("n", Change::Keys(&keys), "ab", false).len(), 3);
        let text = write::<u64>("user", Change::Matching("4*"), "ab", true).remove(0);
        assert_eq!(read(&text), Ok(What::Pattern("4*".into())));
        let exact = write("user", Change::Keys(&[42u64]), "ab", false).remove(0);
        assert_eq!(exact, r#"{"type":"user","id":42,"origin":"ab"}"#);
    }
}
