//! What a server answered, as plain data, whichever protocol or engine it came from.

use larder_engine::Reply;

/// An answer without the differences between the protocols: maps are flat lists, statuses are bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Nothing, whether as a string or as a list.
    Nil,
    /// An integer, or a truth value as 1 or 0.
    Int(i64),
    /// A string of either kind; doubles and big numbers as their digits.
    Bytes(Vec<u8>),
    /// An error, text as the server wrote it.
    Error(String),
    /// An array, set, map (keys and values alternating) or push.
    List(Vec<Answer>),
}

impl Answer {
    /// The items of a list.
    ///
    /// # Panics
    /// If it is not a list.
    #[must_use]
    #[track_caller]
    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            other => panic!("{other:?} is not a list"),
        }
    }

    /// The bytes of a string.
    ///
    /// # Panics
    /// If it is not a string.
    #[must_use]
    #[track_caller]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            other => panic!("{other:?} is not a string"),
        }
    }

    /// A string as text; what is not UTF-8 is replaced.
    ///
    /// # Panics
    /// If it is not a string.
    #[must_use]
    #[track_caller]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// An integer, also one sent as decimal text.
    ///
    /// # Panics
    /// If it is neither.
    #[must_use]
    #[track_caller]
    pub fn int(&self) -> i64 {
        match self {
            Self::Int(number) => *number,
            other => other
                .text()
                .parse()
                .unwrap_or_else(|_| panic!("{other:?} is not a number")),
        }
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        let list = |items: Vec<Reply>| Self::List(items.into_iter().map(Self::from).collect());
        match reply {
            Reply::Ok => Self::Bytes(b"OK".to_vec()),
            Reply::Status(text) => Self::Bytes(text.as_bytes().to_vec()),
            Reply::Error(error) => Self::Error(error.to_string()),
            Reply::Int(number) => Self::Int(number),
            Reply::Bulk(bytes) => Self::Bytes(bytes),
            Reply::Null | Reply::NullArray => Self::Nil,
            Reply::Array(items) | Reply::Set(items) | Reply::Push(items) | Reply::Many(items) => list(items),
            Reply::Map(pairs) => list(pairs.into_iter().flat_map(|(key, value)| [key, value]).collect()),
            Reply::Double(number) => Self::Bytes(number.to_string().into_bytes()),
            Reply::Bool(yes) => Self::Int(i64::from(yes)),
            Reply::BigNumber(digits) => Self::Bytes(digits.into_bytes()),
            Reply::Verbatim(_, text) => Self::Bytes(text.into_bytes()),
        }
    }
}
