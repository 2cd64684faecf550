//! Hashes: fields with values under one key.

mod hdel;
mod hexists;
mod hget;
mod hgetall;
mod hincrby;
mod hincrbyfloat;
mod hlen;
mod hmget;
mod hrandfield;
mod hset;
mod hsetnx;
mod hstrlen;

use crate::command::CommandSpec;

pub(super) const COMMANDS: &[&CommandSpec] = &[
    &hdel::HDEL,
    &hexists::HEXISTS,
    &hget::HGET,
    &hgetall::HGETALL,
    &hgetall::HKEYS,
    &hgetall::HVALS,
    &hincrby::HINCRBY,
    &hincrbyfloat::HINCRBYFLOAT,
    &hlen::HLEN,
    &hmget::HMGET,
    &hrandfield::HRANDFIELD,
    &hset::HSET,
    &hset::HMSET,
    &hsetnx::HSETNX,
    &hstrlen::HSTRLEN,
];

#[cfg(test)]
mod tests {
    use crate::{Engine, Reply};

    #[test]
    fn fields_are_set_read_counted_and_removed() {
        let session = Engine::new().connect();
        let run = |line: &str| session.execute(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>());
        assert_eq!(run("HSET h a 1 b 2 a 3"), Reply::Int(2));
        assert_eq!(run("HGET h a"), Reply::bulk("3"));
        assert_eq!(run("HINCRBY h a -5"), Reply::Int(-2));
        assert_eq!(run("HDEL h a b c"), Reply::Int(2));
        assert_eq!(run("HLEN h"), Reply::Int(0));
        assert_eq!(run("HGET h a"), Reply::Null);
    }
}
