//! The kit tests itself: what a test relies on has to hold.

mod faults;
mod servers;
mod topologies;
