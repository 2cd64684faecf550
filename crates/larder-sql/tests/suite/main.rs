//! Tables of every database behind a cache: one suite, run on SQLite and on PostgreSQL.

mod away;
mod behind;
mod counts;
mod databases;
mod fenced;
mod hostile;
mod kills;
mod locks;
mod outbox;
mod pg_lock;
mod postgres;
mod queries;
mod reads;
mod sqlite;
mod statements;
mod trouble;
mod writes;
