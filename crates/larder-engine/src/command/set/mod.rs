//! Sets: members without order under one key.

mod algebra;
mod sadd;
mod scard;
pub(super) mod sintercard;
mod sismember;
mod smove;
mod spop;
mod srandmember;
mod srem;
mod sscan;

use crate::command::CommandSpec;

pub(super) const COMMANDS: &[&CommandSpec] = &[
    &algebra::SDIFF,
    &algebra::SDIFFSTORE,
    &algebra::SINTER,
    &algebra::SINTERSTORE,
    &algebra::SMEMBERS,
    &algebra::SUNION,
    &algebra::SUNIONSTORE,
    &sadd::SADD,
    &scard::SCARD,
    &sintercard::SINTERCARD,
    &sismember::SISMEMBER,
    &sismember::SMISMEMBER,
    &smove::SMOVE,
    &spop::SPOP,
    &srandmember::SRANDMEMBER,
    &srem::SREM,
    &sscan::SSCAN,
];

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn members_come_and_go() {
        Shell::new().check(
            r#"
            SADD s a b a => (int) 2
            SREM s a c => (int) 1
            SMISMEMBER s a b => [(int) 0 (int) 1]
            SMOVE s t b => (int) 1
            EXISTS s => (int) 0
            SMEMBERS t => {"b"}
            SMOVE t t b => (int) 1
            SPOP t 0 => {}
            SPOP t => "b"
            SPOP t => nil
            SPOP t -1 => ERR value is out of range, must be positive
            "#,
        );
    }

    #[test]
    fn sets_are_combined() {
        Shell::new().check(
            r#"
            SADD a 1 2 3 => (int) 3
            SADD b 2 3 4 => (int) 3
            SINTER a b => {"2" "3"}
            SINTER a b none => {}
            SUNION a none b => {"1" "2" "3" "4"}
            SDIFF a b => {"1"}
            SDIFF none b => {}
            SINTERCARD 2 a b LIMIT 1 => (int) 1
            SINTERCARD 3 a b => ERR Number of keys can't be greater than number of args
            SUNIONSTORE a a b => (int) 4
            SCARD a => (int) 4
            SDIFFSTORE a b b => (int) 0
            EXISTS a => (int) 0
            "#,
        );
    }

    #[test]
    fn random_members_are_members() {
        let shell = Shell::new();
        shell.run("SADD s a b c");
        let drawn: std::collections::BTreeSet<_> = (0..100).map(|_| shell.print("SRANDMEMBER s")).collect();
        assert_eq!(drawn.len(), 3);
        shell.check("SRANDMEMBER none 3 => []\n SRANDMEMBER none => nil\n SRANDMEMBER s 0 => []");
    }
}
