//! What a command answers, before it is written in one of the two protocols.

use std::borrow::Cow;

use crate::ErrorReply;

/// The answer to a command: the union of what RESP2 and RESP3 can say.
///
/// The engine answers in RESP3's richer terms where Redis does so for a RESP3 client; a writer for RESP2
/// flattens maps and sets and prints doubles as bulk strings, exactly as Redis does.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// `+OK`.
    Ok,
    /// A simple string other than `OK`.
    Status(Cow<'static, str>),
    /// An error; its text begins with a code such as `ERR`.
    Error(ErrorReply),
    /// An integer.
    Int(i64),
    /// A byte string.
    Bulk(Vec<u8>),
    /// Nothing: `$-1` in RESP2.
    Null,
    /// No array: `*-1` in RESP2, as `EXEC` answers after a `WATCH` failed.
    NullArray,
    /// A list of replies.
    Array(Vec<Reply>),
    /// Pairs; a flat array in RESP2.
    Map(Vec<(Reply, Reply)>),
    /// A list without order; an array in RESP2.
    Set(Vec<Reply>),
    /// A number with a fraction; a bulk string in RESP2.
    Double(f64),
    /// A truth value; `:1` or `:0` in RESP2.
    Bool(bool),
    /// An integer of any length, as its decimal digits; a bulk string in RESP2.
    BigNumber(String),
    /// Text with a three-letter format such as `txt`; a bulk string in RESP2.
    Verbatim(&'static str, String),
    /// Something nobody asked for just now: an invalidation, a message. An array in RESP2.
    Push(Vec<Reply>),
    /// Several replies to one command, one after another, as `SUBSCRIBE a b` gives; none if empty.
    Many(Vec<Reply>),
}

impl Reply {
    /// A byte string.
    pub fn bulk(bytes: impl AsRef<[u8]>) -> Self {
        Self::Bulk(bytes.as_ref().to_vec())
    }

    /// A simple string.
    pub fn status(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Status(text.into())
    }

    /// A byte string, or null.
    pub fn bulk_or_null(bytes: Option<impl AsRef<[u8]>>) -> Self {
        bytes.map_or(Self::Null, Self::bulk)
    }

    /// An array of byte strings.
    pub fn bulks<B: AsRef<[u8]>>(items: impl IntoIterator<Item = B>) -> Self {
        Self::Array(items.into_iter().map(Self::bulk).collect())
    }

    /// A count. Lengths of things in memory always fit.
    #[must_use]
    pub fn count(n: usize) -> Self {
        Self::Int(n as i64)
    }

    /// Whether this is an error.
    #[must_use]
    pub const fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }
}

impl From<Result<Self, ErrorReply>> for Reply {
    fn from(result: Result<Self, ErrorReply>) -> Self {
        result.unwrap_or_else(Self::Error)
    }
}

impl From<bool> for Reply {
    /// As commands from before RESP3 say it: 1 or 0.
    fn from(yes: bool) -> Self {
        Self::Int(i64::from(yes))
    }
}
