//! The family through a session.

use crate::testing::Shell;

#[test]
fn options_decide_what_zadd_changes() {
    Shell::new().check(
        r#"
        ZADD z 1 a 2 b => (int) 2
        ZADD z CH 3 a 2 b 4 c => (int) 2
        ZADD z NX 9 a 1 d => (int) 1
        ZADD z XX CH 5 a 5 e => (int) 1
        ZADD z GT CH 4 a 9 b => (int) 1
        ZADD z LT INCR -1 a => (double) 4
        ZADD z GT INCR -1 a => nil
        ZINCRBY z 2.5 a => (double) 6.5
        ZADD none XX 1 a => (int) 0
        EXISTS none => (int) 0
        ZADD z NX XX 1 a => ERR XX and NX options at the same time are not compatible
        ZADD z GT LT 1 a => ERR GT, LT, and/or NX options at the same time are not compatible
        ZADD z INCR 1 a 2 b => ERR INCR option supports a single increment-element pair
        ZADD z 1 a 2 => ERR syntax error
        ZADD z x a => ERR value is not a valid float
        ZADD z inf i => (int) 1
        ZINCRBY z -inf i => ERR resulting score is not a number (NaN)
        "#,
    );
}

#[test]
fn members_have_scores_and_ranks() {
    Shell::new().check(
        r#"
        ZADD z 1 a 2 b 2 c => (int) 3
        ZSCORE z b => (double) 2
        ZMSCORE z a none => [(double) 1 nil]
        ZRANK z c => (int) 2
        ZREVRANK z c => (int) 0
        ZRANK z none => nil
        ZREM z a none => (int) 1
        ZCARD z => (int) 2
        ZRANGE z 0 -1 => ["b" "c"]
        ZREM z b c => (int) 2
        EXISTS z => (int) 0
        "#,
    );
}

#[test]
fn ranges_by_rank_score_and_name() {
    Shell::new().check(
        r#"
        ZADD z 1 a 2 b 3 c 4 d => (int) 4
        ZRANGE z 1 2 WITHSCORES => ["b" (double) 2 "c" (double) 3]
        ZRANGE z 0 1 REV => ["d" "c"]
        ZREVRANGE z -2 -1 => ["b" "a"]
        ZRANGE z (1 +inf BYSCORE LIMIT 1 1 => ["c"]
        ZRANGEBYSCORE z -inf (3 => ["a" "b"]
        ZREVRANGEBYSCORE z +inf 2 LIMIT 1 -1 => ["c" "b"]
        ZREVRANGEBYSCORE z 4 1 LIMIT -1 2 => []
        ZRANGEBYSCORE z x 1 => ERR min or max is not a float
        ZRANGE z 0 1 LIMIT 0 1 => ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX
        ZRANGE z - + BYLEX WITHSCORES => ERR syntax error, WITHSCORES not supported in combination with BYLEX
        ZRANGEBYLEX z a b => ERR min or max not valid string range item
        ZADD l 0 a 0 b 0 c => (int) 3
        ZRANGEBYLEX l - [b => ["a" "b"]
        ZREVRANGEBYLEX l + (a => ["c" "b"]
        ZLEXCOUNT l (a + => (int) 2
        ZCOUNT z 2 3 => (int) 2
        ZRANGESTORE s z 1 2 => (int) 2
        ZRANGE s 0 -1 WITHSCORES => ["b" (double) 2 "c" (double) 3]
        ZRANGESTORE s z 9 9 => (int) 0
        EXISTS s => (int) 0
        ZREMRANGEBYLEX l - [a => (int) 1
        ZREMRANGEBYRANK z 0 0 => (int) 1
        ZREMRANGEBYSCORE z (2 3 => (int) 1
        ZRANGE z 0 -1 => ["b" "d"]
        "#,
    );
}

#[test]
fn members_are_popped_from_both_sides() {
    Shell::new().check(
        r#"
        ZADD z 1 a 2 b 3 c 4 d => (int) 4
        ZPOPMIN z => ["a" (double) 1]
        ZPOPMAX z 2 => ["d" (double) 4 "c" (double) 3]
        ZPOPMIN z 0 => []
        ZMPOP 2 none z MAX COUNT 5 => ["z" [["b" (double) 2]]]
        ZMPOP 1 z MAX => nil-array
        ZPOPMIN z => []
        SET s x => OK
        ZPOPMIN s 0 => WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn sorted_sets_are_combined() {
    Shell::new().check(
        r#"
        ZADD a 1 x 2 y => (int) 2
        ZADD b 10 y 20 z => (int) 2
        SADD s y => (int) 1
        ZUNION 2 a b WITHSCORES => ["x" (double) 1 "y" (double) 12 "z" (double) 20]
        ZUNION 2 a b WEIGHTS 2 -1 AGGREGATE MIN WITHSCORES => ["z" (double) -20 "y" (double) -10 "x" (double) 2]
        ZINTER 3 a b s WITHSCORES => ["y" (double) 13]
        ZDIFF 2 a b WITHSCORES => ["x" (double) 1]
        ZINTERCARD 2 a b LIMIT 1 => (int) 1
        ZUNIONSTORE a 2 a none => (int) 2
        ZINTERSTORE d 2 a none => (int) 0
        EXISTS d => (int) 0
        ZUNION 0 a => ERR at least 1 input key is needed for 'zunion' command
        ZUNIONSTORE d 3 a b => ERR syntax error
        ZUNION 2 a b WEIGHTS 1 x => ERR weight value is not a float
        ZDIFF 2 a b WEIGHTS 1 1 => ERR syntax error
        "#,
    );
}

#[test]
fn random_members_and_scans() {
    Shell::new().check(
        r#"
        ZADD z 1.5 a => (int) 1
        ZRANDMEMBER z => "a"
        ZRANDMEMBER z -2 WITHSCORES => ["a" (double) 1.5 "a" (double) 1.5]
        ZRANDMEMBER none 2 => []
        ZSCAN z 0 => ["0" ["a" "1.5"]]
        ZADD z 1e17 b 0.1 c => (int) 2
        ZSCAN z 0 MATCH [bc] => ["0" ["c" "0.10000000000000001" "b" "100000000000000000"]]
        "#,
    );
}
