//! The `larder` command as a user meets it: exit codes, hints, text and JSON, foreign tables, Ctrl-C.

mod bench;
mod demo;
mod interrupt;
mod run;
mod tables;
mod usage;
