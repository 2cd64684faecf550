//! larder-sql
