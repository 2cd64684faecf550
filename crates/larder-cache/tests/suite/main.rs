//! The cache's tests, in one binary: each module is one subject.

mod behaviour;
mod behind;
mod faults;
mod mutants;
mod processes;
mod protocol;
mod races;
mod recovery;
mod simulation;
mod spawned;
