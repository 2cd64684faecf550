//! Sessions: what they promise, on every topology, beside what is written by hand; and each rule of their scripts left out.

mod fast;
mod fields;
mod fixation;
mod guessing;
pub(crate) mod lab;
mod life;
mod lost;
mod mutants;
mod stories;
mod users;
