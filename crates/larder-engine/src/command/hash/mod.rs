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
mod hscan;
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
    &hscan::HSCAN,
    &hset::HSET,
    &hset::HMSET,
    &hsetnx::HSETNX,
    &hstrlen::HSTRLEN,
];

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn fields_are_set_read_counted_and_removed() {
        Shell::new().check(
            r#"
            HSET h a 1 b 2 a 3 => (int) 2
            HSET h a => ERR wrong number of arguments for 'hset' command
            HMSET h c 4 => OK
            HMSET h c 4 d => ERR wrong number of arguments for 'hmset' command
            HSETNX h c 5 => (int) 0
            HMGET h a c none => ["3" "4" nil]
            HGETALL h => {"a": "3", "b": "2", "c": "4"}
            HKEYS h => ["a" "b" "c"]
            HVALS h => ["3" "2" "4"]
            HSTRLEN h a => (int) 1
            HEXISTS h none => (int) 0
            HDEL h a b c d => (int) 3
            HLEN h => (int) 0
            EXISTS h => (int) 0
            HGET h a => nil
            "#,
        );
    }

    #[test]
    fn fields_count() {
        Shell::new().check(
            r#"
            HINCRBY h n -5 => (int) -5
            HINCRBY h n 9223372036854775807 => (int) 9223372036854775802
            HINCRBY h n 6 => ERR increment or decrement would overflow
            HINCRBYFLOAT h f 0.1 => "0.1"
            HINCRBYFLOAT h f 0.2 => "0.3"
            HINCRBYFLOAT h f inf => ERR value is NaN or Infinity
            HSET h t text => (int) 1
            HINCRBY h t 1 => ERR hash value is not an integer
            HINCRBYFLOAT h t 1 => ERR hash value is not a float
            HINCRBY none n x => ERR value is not an integer or out of range
            EXISTS none => (int) 0
            "#,
        );
    }

    #[test]
    fn random_fields_and_scans() {
        let shell = Shell::new();
        shell.check(
            r#"
            HSET h a 1 => (int) 1
            HRANDFIELD h => "a"
            HRANDFIELD h -2 WITHVALUES => ["a" "1" "a" "1"]
            HRANDFIELD h 5 => ["a"]
            HRANDFIELD h 5 VALUES => ERR syntax error
            HRANDFIELD none 5 => []
            HSCAN h 0 => ["0" ["a" "1"]]
            HSCAN h 0 MATCH b* => ["0" []]
            HSCAN h x => ERR invalid cursor
            HSCAN none 0 NONSENSE => ["0" []]
            HSET h b 2 c 3 => (int) 2
            HSCAN h 0 COUNT 2 => ["1" ["c" "3" "b" "2"]]
            HSCAN h 1 => ["0" ["a" "1"]]
            "#,
        );
    }
}
