//! Sessions: what they promise, on every topology, beside what is written by hand; and each rule of their scripts left out.

mod fields;
mod fixation;
mod guessing;
mod lab;
mod life;
mod lost;
mod mutants;
mod slots;
mod stories;
mod users;
