//! Ids: what the browser holds, what the store knows of it, and where a session stands.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use larder_base::Random;
use sha2::{Digest as _, Sha256};

/// How many random bytes an id has: 192 bits, of which 128 could not be guessed either.
const RANDOM: usize = 24;

/// How many partitions the sessions of a namespace have: a constant of the format, as a cache's (protocol 1.1).
pub(super) const PARTITIONS: u64 = 64;

/// The id of a session, as the cookie carries it: whoever has it, has the session.
///
/// 34 characters of `[A-Za-z0-9_-]`: the partition, then 192 random bits. The store knows its SHA-256 alone, so that neither
/// a dump nor `MONITOR` gives a session away. It is shown by [`reveal`](Self::reveal) and by nothing else.
///
/// ```
/// use larder_kit::session::SessionId;
///
/// let id: SessionId = "AAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ".parse().unwrap();
/// assert_eq!(format!("{id} {id:?}"), "(hidden) SessionId((hidden))");
/// assert_eq!(id.reveal(), "AAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ");
/// assert!("12345".parse::<SessionId>().is_err());
/// ```
#[derive(Clone)]
pub struct SessionId {
    text: String,
    partition: u8,
}

/// A text that is no id of a session. It does not show the text, which may be almost one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no id of a session, which has 34 characters of [A-Za-z0-9_-]")]
pub struct BadSessionId;

impl SessionId {
    /// A new one in `partition`.
    pub(super) fn draw(random: &Random, partition: u8) -> Self {
        let mut bytes = [0; 1 + RANDOM];
        random.fill(&mut bytes[1..]);
        bytes[0] = partition;
        Self {
            text: URL_SAFE_NO_PAD.encode(bytes),
            partition,
        }
    }

    /// The secret itself: for the cookie, and for nothing that is kept or logged.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    pub(super) const fn partition(&self) -> u8 {
        self.partition
    }

    /// What the store knows of it.
    pub(super) fn reference(&self) -> SessionRef {
        SessionRef(URL_SAFE_NO_PAD.encode(Sha256::digest(self.text.as_bytes())))
    }
}

impl FromStr for SessionId {
    type Err = BadSessionId;

    fn from_str(text: &str) -> Result<Self, BadSessionId> {
        let mut bytes = [0; 1 + RANDOM];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(length) if length == bytes.len() && u64::from(bytes[0]) < PARTITIONS => Ok(Self {
                text: text.to_owned(),
                partition: bytes[0],
            }),
            _ => Err(BadSessionId),
        }
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId((hidden))")
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Which session, without the power to use it: the SHA-256 of its id, as it stands in the store. It may be shown to its
/// user, who ends a session on another device by it ([`Sessions::end`](super::Sessions::end)).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionRef(pub(super) String);

impl SessionRef {
    /// That of this text, as [`as_str`](Self::as_str) gives it; `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        (length == bytes.len()).then(|| Self(text.to_owned()))
    }

    /// As text of 43 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_has_one_shape() {
        for partition in [0, 17, 63] {
            let id = SessionId::draw(&Random::system(), partition);
            assert_eq!(id.reveal().len(), 34);
            let back: SessionId = id.reveal().parse().unwrap();
            assert_eq!((back.partition(), back.reference()), (partition, id.reference()));
            assert_eq!(SessionRef::parse(id.reference().as_str()), Some(id.reference()));
        }
    }

    #[test]
    fn what_is_no_id_is_refused_and_not_shown() {
        let good = SessionId::draw(&Random::system(), 63).reveal().to_owned();
        let far = URL_SAFE_NO_PAD.encode([64; 25]);
        for bad in [
            "",
            "x",
            &good[1..],
            &format!("{good}A"),
            &good.replace(&good[9..10], "="),
            "é",
            &far,
        ] {
            let error = SessionId::from_str(bad).unwrap_err();
            assert!(
                bad.is_empty() || bad.len() < 3 || !error.to_string().contains(bad),
                "{bad}"
            );
        }
    }
}
