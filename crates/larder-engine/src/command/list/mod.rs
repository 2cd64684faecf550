//! Lists: elements in order under one key.

mod blmove;
mod blmpop;
mod blpop;
mod lindex;
mod linsert;
mod llen;
mod lmove;
pub(super) mod lmpop;
mod lpos;
mod lrange;
mod lrem;
mod lset;
mod ltrim;
mod pop;
mod push;

use crate::command::CommandSpec;

pub(super) const COMMANDS: &[&CommandSpec] = &[
    &blmove::BLMOVE,
    &blmove::BRPOPLPUSH,
    &blmpop::BLMPOP,
    &blpop::BLPOP,
    &blpop::BRPOP,
    &lindex::LINDEX,
    &linsert::LINSERT,
    &llen::LLEN,
    &lmove::LMOVE,
    &lmove::RPOPLPUSH,
    &lmpop::LMPOP,
    &lpos::LPOS,
    &lrange::LRANGE,
    &lrem::LREM,
    &lset::LSET,
    &ltrim::LTRIM,
    &pop::LPOP,
    &pop::RPOP,
    &push::LPUSH,
    &push::LPUSHX,
    &push::RPUSH,
    &push::RPUSHX,
];

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn both_ends_push_and_pop() {
        Shell::new().check(
            r#"
            RPUSH l b c => (int) 2
            LPUSH l a => (int) 3
            RPUSHX none x => (int) 0
            LRANGE l 0 -1 => ["a" "b" "c"]
            LPOP l => "a"
            RPOP l 5 => ["c" "b"]
            LPOP l => nil
            LPOP l 1 => nil-array
            LPOP l x => ERR value is out of range, must be positive
            LLEN l => (int) 0
            "#,
        );
    }

    #[test]
    fn elements_are_found_replaced_and_removed() {
        Shell::new().check(
            r#"
            RPUSH l a b c a b c => (int) 6
            LPOS l b => (int) 1
            LPOS l b RANK -1 => (int) 4
            LPOS l b RANK -9223372036854775808 => (int) 4
            LPOS l b COUNT 0 => [(int) 1 (int) 4]
            LPOS l c MAXLEN 2 COUNT 0 => []
            LPOS l c RANK 0 => ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list
            LINSERT l BEFORE c x => (int) 7
            LINSERT l after nope x => (int) -1
            LSET l -1 z => OK
            LSET l 7 z => ERR index out of range
            LREM l -1 a => (int) 1
            LTRIM l 1 -2 => OK
            LRANGE l -100 100 => ["b" "x" "c" "b"]
            LINDEX l -2 => "c"
            LINDEX l 4 => nil
            "#,
        );
    }

    #[test]
    fn elements_move_between_lists() {
        Shell::new().check(
            r#"
            RPUSH l a b c => (int) 3
            RPOPLPUSH l l => "c"
            LMOVE l m LEFT RIGHT => "c"
            LMOVE none s LEFT RIGHT => nil
            LMPOP 2 none l RIGHT COUNT 9 => ["l" ["b" "a"]]
            LMPOP 2 none l LEFT => nil-array
            LMPOP 3 none l LEFT => ERR syntax error
            RPOPLPUSH m m => "c"
            LLEN m => (int) 1
            "#,
        );
    }
}
