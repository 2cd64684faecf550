//! The `larder` command as a user meets it: exit codes, hints, text and JSON, foreign tables, a live store, Ctrl-C.

mod behind;
mod bench;
mod demo;
mod exec;
mod health;
mod interrupt;
mod invalidate;
mod keys;
mod run;
mod serve;
mod shell;
mod sql;
mod tables;
mod usage;
mod verify;
mod verify_writes;
