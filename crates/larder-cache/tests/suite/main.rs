//! The cache's tests, in one binary: each module is one subject.

mod model;
mod protocol;
