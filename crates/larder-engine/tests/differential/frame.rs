//! Replies as they are on the wire: every difference of type or byte shows.

use std::{
    fmt,
    io::{self, BufRead},
};

/// One reply. The first byte of its header is kept, so that a set is no array and `$-1` is no `*-1`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Frame {
    /// `+`, `-`, `:`, `,`, `#`, `(`, `_`: all in one line.
    Line(u8, Vec<u8>),
    /// `$`, `=`.
    Bulk(u8, Vec<u8>),
    /// `$-1`, `*-1`.
    Null(u8),
    /// `*`, `~`, `>`.
    List(u8, Vec<Frame>),
    /// `%`.
    Map(Vec<(Frame, Frame)>),
}

impl Frame {
    pub(crate) fn read(input: &mut impl BufRead) -> io::Result<Self> {
        let mut line = Vec::new();
        input.read_until(b'\n', &mut line)?;
        let Some([kind, rest @ ..]) = line.strip_suffix(b"\r\n") else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line has no end"));
        };
        Ok(match kind {
            b'$' | b'=' => match length(rest)? {
                None => Self::Null(*kind),
                Some(length) => Self::Bulk(*kind, bytes(input, length)?),
            },
            b'*' | b'~' | b'>' => match length(rest)? {
                None => Self::Null(*kind),
                Some(length) => Self::List(*kind, many(input, length)?),
            },
            b'%' => {
                let items = many(input, length(rest)?.unwrap_or(0) * 2)?;
                Self::Map(in_pairs(items))
            }
            b'+' | b'-' | b':' | b',' | b'#' | b'(' | b'_' => Self::Line(*kind, rest.to_vec()),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "no RESP value begins so")),
        })
    }

    pub(crate) fn is_error(&self) -> bool {
        matches!(self, Self::Line(b'-', _))
    }

    pub(crate) fn is_status(&self, text: &str) -> bool {
        matches!(self, Self::Line(b'+', line) if line == text.as_bytes())
    }

    /// The items of an array or set.
    pub(crate) fn items(&self) -> Option<&[Self]> {
        match self {
            Self::List(_, items) => Some(items),
            _ => None,
        }
    }

    /// The text of a bulk string, of a line.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Line(_, bytes) | Self::Bulk(_, bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(crate) fn int(&self) -> Option<i64> {
        match self {
            Self::Line(b':', digits) => std::str::from_utf8(digits).ok()?.parse().ok(),
            _ => None,
        }
    }

    /// Names and values, whether as a map, as a list of pairs or as a flat list.
    pub(crate) fn pairs(&self) -> Option<Vec<(Self, Self)>> {
        let items = match self {
            Self::Map(pairs) => return Some(pairs.clone()),
            Self::List(_, items) => items,
            _ => return None,
        };
        let nested: Option<Vec<_>> = items
            .iter()
            .map(|item| match item.items()? {
                [name, value] => Some((name.clone(), value.clone())),
                _ => None,
            })
            .collect();
        nested.or_else(|| (items.len() % 2 == 0).then(|| in_pairs(items.clone())))
    }

    /// What kind of reply it is, without what it says.
    pub(crate) fn kind(&self) -> u8 {
        match self {
            Self::Line(kind, _) | Self::Bulk(kind, _) | Self::Null(kind) | Self::List(kind, _) => *kind,
            Self::Map(_) => b'%',
        }
    }
}

fn in_pairs(items: Vec<Frame>) -> Vec<(Frame, Frame)> {
    let mut items = items.into_iter();
    std::iter::from_fn(|| Some((items.next()?, items.next()?))).collect()
}

/// A length; none for -1.
fn length(digits: &[u8]) -> io::Result<Option<usize>> {
    let digits = std::str::from_utf8(digits).map_err(io::Error::other)?;
    let length: i64 = digits.parse().map_err(io::Error::other)?;
    Ok(usize::try_from(length).ok())
}

fn bytes(input: &mut impl BufRead, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length + 2];
    input.read_exact(&mut bytes)?;
    bytes.truncate(length);
    Ok(bytes)
}

fn many(input: &mut impl BufRead, length: usize) -> io::Result<Vec<Frame>> {
    (0..length).map(|_| Frame::read(input)).collect()
}

impl fmt::Debug for Frame {
    /// In one line, strings cut.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_MAX: usize = 300;
        match self {
            Self::Line(kind, text) => write!(f, "{}{}", char::from(*kind), text.escape_ascii()),
            Self::Bulk(kind, bytes) => {
                let shown = &bytes[..bytes.len().min(SHOWN_MAX)];
                write!(f, "{}\"{}\"", char::from(*kind), shown.escape_ascii())
            }
            Self::Null(kind) => write!(f, "{}-1", char::from(*kind)),
            Self::List(kind, items) => {
                write!(f, "{}", char::from(*kind))?;
                f.debug_list().entries(items).finish()
            }
            Self::Map(pairs) => {
                write!(f, "%")?;
                f.debug_map()
                    .entries(pairs.iter().map(|(name, value)| (name, value)))
                    .finish()
            }
        }
    }
}
