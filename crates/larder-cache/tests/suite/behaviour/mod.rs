//! What a cache does, as its users see it: the same claims on every store.

mod plain;
mod reads;
mod topology;
