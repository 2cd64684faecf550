//! The data types: one file each.

mod hash;
pub(crate) mod hyperloglog;
mod list;
mod order;
mod set;
mod sorted_set;
mod stream;
mod string;

pub(crate) use hash::Hash;
pub(crate) use list::{End, List};
pub(crate) use order::{Item, Order};
pub(crate) use set::Set;
pub(crate) use sorted_set::SortedSet;
pub(crate) use stream::{
    ConsumerName, Group as ConsumerGroup, Keep, NewId, Pending, Stream, StreamEntry, StreamId, Trim,
};
pub(crate) use string::Text;

use crate::ErrorReply;

/// The bytes of a field, a member, an element: never changed in place, so without room to grow.
pub(crate) type Bytes = Box<[u8]>;

/// What a key holds. Collections are boxed: most keys are strings, and pay for the largest variant.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    String(Text),
    Hash(Box<Hash>),
    List(Box<List>),
    Set(Box<Set>),
    SortedSet(Box<SortedSet>),
    Stream(Box<Stream>),
}

/// One data type, as the keyspace sees it.
pub(crate) trait Kind: Sized {
    /// The value of this type in `value`, if it is of this type.
    fn of(value: &Value) -> Option<&Self>;
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    fn into_value(self) -> Value;
}

impl Value {
    /// The name that `TYPE` answers with.
    pub(crate) const fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
            Self::Hash(_) => "hash",
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::SortedSet(_) => "zset",
            Self::Stream(_) => "stream",
        }
    }

    /// The name that `OBJECT ENCODING` answers with: what Redis 7.0 would hold this value as.
    pub(crate) fn encoding(&self) -> &'static str {
        match self {
            Self::String(text) => text.encoding(),
            Self::Hash(hash) => hash.encoding(),
            Self::List(list) => list.encoding(),
            Self::Set(set) => set.encoding(),
            Self::SortedSet(set) => set.encoding(),
            Self::Stream(stream) => stream.encoding(),
        }
    }

    /// Bytes held in memory, in O(1): collections keep count as they change.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::String(text) => text.weight(),
            Self::Hash(hash) => size_of::<Hash>() + hash.weight(),
            Self::List(list) => size_of::<List>() + list.weight(),
            Self::Set(set) => size_of::<Set>() + set.weight(),
            Self::SortedSet(set) => size_of::<SortedSet>() + set.weight(),
            Self::Stream(stream) => size_of::<Stream>() + stream.weight(),
        }
    }

    /// Whether nothing is left in it: an empty collection is no key. An empty string or stream is one.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::String(_) | Self::Stream(_) => false,
            Self::Hash(hash) => hash.is_empty(),
            Self::List(list) => list.is_empty(),
            Self::Set(set) => set.is_empty(),
            Self::SortedSet(set) => set.is_empty(),
        }
    }

    pub(crate) fn get<T: Kind>(&self) -> Result<&T, ErrorReply> {
        T::of(self).ok_or(ErrorReply::WRONG_TYPE)
    }

    pub(crate) fn get_mut<T: Kind>(&mut self) -> Result<&mut T, ErrorReply> {
        T::of_mut(self).ok_or(ErrorReply::WRONG_TYPE)
    }
}

/// Implements [`Kind`] for a type that one variant of [`Value`] holds.
macro_rules! kind {
    ($type:ty, $variant:ident) => {
        impl $crate::value::Kind for $type {
            fn of(value: &$crate::value::Value) -> Option<&Self> {
                if let $crate::value::Value::$variant(inner) = value {
                    Some(inner)
                } else {
                    None
                }
            }
            fn of_mut(value: &mut $crate::value::Value) -> Option<&mut Self> {
                if let $crate::value::Value::$variant(inner) = value {
                    Some(inner)
                } else {
                    None
                }
            }
            fn into_value(self) -> $crate::value::Value {
                $crate::value::Value::$variant(self.into())
            }
        }
    };
}
pub(crate) use kind;
