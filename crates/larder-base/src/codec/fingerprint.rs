//! A digest of a type's shape, found by deserialising it from nothing.
//!
//! `Deserialize` asks for what it expects: a struct with these fields, an enum with these variants. A
//! deserialiser that notes the questions and answers with defaults sees the type's shape without an instance
//! and without a derive of its own. The digest changes when a field is added, removed, renamed or changes its
//! kind; two types that deserialise alike have the same. Where a type's own code refuses a default (a date
//! that cannot be empty), the walk ends there: what was noted until then is digested, always the same.

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor, value::Error,
};
use xxhash_rust::xxh3::xxh3_64;

/// How deep nested types are followed; deeper, and in a type that contains itself, options and lists are empty.
const DEPTH_MAX: usize = 8;

/// How many questions are noted at most: a type that nests itself several times over must not take long.
const NOTES_MAX: usize = 10_000;

/// A digest of the shape of `V`.
#[must_use]
pub fn fingerprint<V: DeserializeOwned>() -> u16 {
    let mut notes = Notes::default();
    // An error ends the walk early, at the same place every time.
    let _ = V::deserialize(Probe {
        notes: &mut notes,
        depth: 0,
    });
    xxh3_64(notes.text.as_bytes()) as u16
}

#[derive(Default)]
struct Notes {
    text: String,
    count: usize,
}

struct Probe<'n> {
    notes: &'n mut Notes,
    depth: usize,
}

impl Probe<'_> {
    fn note(&mut self, what: &str) -> Result<(), Error> {
        self.notes.count += 1;
        if self.notes.count > NOTES_MAX {
            return Err(Error::custom("the type is too large to walk"));
        }
        self.notes.text.push_str(what);
        self.notes.text.push(';');
        Ok(())
    }

    fn deeper(&mut self) -> Probe<'_> {
        Probe {
            notes: self.notes,
            depth: self.depth + 1,
        }
    }

    fn is_deep(&self) -> bool {
        self.depth >= DEPTH_MAX
    }
}

macro_rules! scalars {
    ($($method:ident $visit:ident $default:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
            self.note(stringify!($visit))?;
            visitor.$visit($default)
        }
    )*};
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    scalars! {
        deserialize_bool visit_bool false;
        deserialize_i8 visit_i8 0;
        deserialize_i16 visit_i16 0;
        deserialize_i32 visit_i32 0;
        deserialize_i64 visit_i64 0;
        deserialize_i128 visit_i128 0;
        deserialize_u8 visit_u8 0;
        deserialize_u16 visit_u16 0;
        deserialize_u32 visit_u32 0;
        deserialize_u64 visit_u64 0;
        deserialize_u128 visit_u128 0;
        deserialize_f32 visit_f32 0.0;
        deserialize_f64 visit_f64 0.0;
        deserialize_char visit_char 'a';
        deserialize_str visit_str "";
        deserialize_string visit_string String::new();
        deserialize_bytes visit_bytes &[];
        deserialize_byte_buf visit_byte_buf Vec::new();
    }

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        self.note("any")?;
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str("")
    }

    fn deserialize_unit<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        self.note("unit")?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        self.note("option")?;
        if self.is_deep() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self.deeper())
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        self.note("seq")?;
        let left = usize::from(!self.is_deep());
        visitor.visit_seq(Items {
            probe: self.deeper(),
            left,
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(mut self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.note(&format!("tuple {len}"))?;
        visitor.visit_seq(Items {
            probe: self.deeper(),
            left: len,
        })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        self.note("map")?;
        let left = usize::from(!self.is_deep());
        visitor.visit_map(Items {
            probe: self.deeper(),
            left,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.note("struct")?;
        if self.is_deep() {
            return Err(Error::custom("nested too deep"));
        }
        visitor.visit_map(Fields {
            probe: self.deeper(),
            fields,
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.note(&format!("enum {}", variants.join(",")))?;
        let first = variants
            .first()
            .ok_or_else(|| Error::custom("an enum without variants"))?;
        visitor.visit_enum(First {
            probe: self.deeper(),
            variant: first,
        })
    }
}

/// The items of a list or tuple, or the pairs of a map.
struct Items<'n> {
    probe: Probe<'n>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(self.probe.deeper()).map(Some)
    }
}

impl<'de> MapAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.probe.deeper())
    }
}

/// The fields of a struct, one after another.
struct Fields<'n> {
    probe: Probe<'n>,
    fields: &'static [&'static str],
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((field, rest)) = self.fields.split_first() else {
            return Ok(None);
        };
        self.fields = rest;
        self.probe.note(field)?;
        seed.deserialize(field.into_deserializer()).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.probe.deeper())
    }
}

/// The first variant of an enum.
struct First<'n> {
    probe: Probe<'n>,
    variant: &'static str,
}

impl<'de, 'n> EnumAccess<'de> for First<'n> {
    type Error = Error;
    type Variant = Probe<'n>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Probe<'n>), Error> {
        let name = seed.deserialize(self.variant.into_deserializer())?;
        Ok((name, self.probe))
    }
}

impl<'de> VariantAccess<'de> for Probe<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(mut self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.deeper())
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.deserialize_struct("", fields, visitor)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[allow(dead_code, reason = "only the shapes matter")]
    mod v1 {
        use super::Deserialize;
        #[derive(Deserialize)]
        pub(super) struct User {
            pub(super) id: u64,
            pub(super) name: String,
            pub(super) team: Option<Team>,
        }
        #[derive(Deserialize)]
        pub(super) struct Team {
            pub(super) title: String,
        }
    }

    #[allow(dead_code, reason = "only the shapes matter")]
    mod v2 {
        use super::Deserialize;
        #[derive(Deserialize)]
        pub(super) struct User {
            pub(super) id: u64,
            pub(super) name: String,
            pub(super) team: Option<Team>,
        }
        #[derive(Deserialize)]
        pub(super) struct Team {
            pub(super) title: String,
            pub(super) members: Vec<u64>,
        }
    }

    #[allow(dead_code, reason = "only the shape matters")]
    #[derive(Deserialize)]
    struct Tree {
        left: Option<Box<Tree>>,
        right: Option<Box<Tree>>,
        rest: Vec<Tree>,
    }

    #[test]
    fn a_field_added_in_a_nested_type_changes_the_digest() {
        assert_eq!(fingerprint::<v1::User>(), fingerprint::<v1::User>());
        assert_ne!(fingerprint::<v1::User>(), fingerprint::<v2::User>());
        assert_ne!(fingerprint::<u64>(), fingerprint::<String>());
    }

    #[test]
    fn a_type_that_contains_itself_is_walked_in_bounded_steps() {
        assert_eq!(fingerprint::<Tree>(), fingerprint::<Tree>());
    }
}
