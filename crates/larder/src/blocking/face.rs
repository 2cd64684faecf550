//! What the blocking forms of the kit's tools have in common.

use std::fmt::Debug;

use super::Store;

/// The blocking form of a tool of the async face: what a builder makes.
pub trait Face: Sized {
    /// The tool.
    type Async: Debug;

    /// Its blocking form, on the runtime of `store`.
    fn of(tool: Self::Async, store: &Store) -> Self;
}

/// What `build` makes, on the runtime of `store`; without one it is refused as in the async face.
pub(super) fn build<F: Face, E>(store: Option<Store>, build: impl FnOnce() -> Result<F::Async, E>) -> Result<F, E> {
    let Some(store) = store else {
        return Err(build().expect_err("nothing is built without a store"));
    };
    let tool = store.runtime().inside(build)?;
    Ok(F::of(tool, &store))
}

/// The blocking form of a tool that lives on a store.
macro_rules! face {
    ($(#[$doc:meta])* $name:ident of $tool:path) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name {
            on: $crate::blocking::on::On<$tool>,
            store: $crate::blocking::Store,
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Debug::fmt(&*self.on, f)
            }
        }

        impl $name {
            /// The blocking face of `tool`, which was built on the async face of `store`.
            #[must_use]
            pub fn wrap(tool: $tool, store: &$crate::blocking::Store) -> Self {
                Self {
                    on: store.on.beside(tool),
                    store: store.clone(),
                }
            }

            /// The async face, for futures that [`Store::runtime`](crate::blocking::Store::runtime) runs.
            #[must_use]
            pub fn as_async(&self) -> &$tool {
                &self.on
            }

            /// The store that it lives on.
            #[must_use]
            pub const fn store(&self) -> &$crate::blocking::Store {
                &self.store
            }
        }

        impl $crate::blocking::face::Face for $name {
            type Async = $tool;

            fn of(tool: $tool, store: &$crate::blocking::Store) -> Self {
                Self::wrap(tool, store)
            }
        }
    };
}

/// Settings, as they are called and documented on the async builder; the first line says which that is.
macro_rules! settings {
    ($of:literal; $($name:ident($($arg:ident: $ty:ty),*);)*) => {$(
        #[doc = concat!("See [the async builder](crate::", $of, "::", stringify!($name), ").")]
        pub fn $name(mut self, $($arg: $ty),*) -> Self {
            self.builder = self.builder.$name($($arg),*);
            self
        }
    )*};
}

pub(super) use {face, settings};
