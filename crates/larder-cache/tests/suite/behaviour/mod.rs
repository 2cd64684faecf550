//! What a cache does, as its users see it: the same claims on every store.

mod reads;
mod topology;
