//! What a service writes behind its cache, flushed and tended by `larder worker` and `larder dlq`: on redis-server and
//! `larder serve`, into SQLite and PostgreSQL.

mod desk;
mod dlq;
mod outage;
mod refused;
mod trouble;
mod worker;
