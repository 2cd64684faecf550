//! The kit tests itself: what a test relies on has to hold.

mod folders;
mod proxy;
mod servers;
mod topologies;
mod verify;
mod workers;
