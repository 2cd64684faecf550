//! `EVAL script numkeys key.. arg..` and its kin `EVALSHA`, `EVAL_RO`, `EVALSHA_RO`: run a script.
//!
//! Reference: <https://redis.io/commands/eval/>. What scripts may do is told in [`crate::script`].

use crate::{
    ErrorReply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    script::{self, Named},
};

pub(super) const EVAL: CommandSpec = CommandSpec {
    name: "EVAL",
    summary: "Executes a server-side Lua script",
    since: "2.6.0",
    complexity: "Depends on the script that is executed",
    group: Group::Scripting,
    arity: Arity::at_least(3),
    flags: Flags::NOSCRIPT.and(Flags::STALE).and(Flags::MOVABLEKEYS),
    keys: KeySpec::Counted { count: 2 },
    subcommands: &[],
    run: |ctx, args| eval(ctx, Named::Text(args.bytes(1)), args, false),
};

pub(super) const EVALSHA: CommandSpec = CommandSpec {
    name: "EVALSHA",
    summary: "Executes a server-side Lua script by SHA1 digest",
    run: |ctx, args| eval(ctx, Named::Sha(args.bytes(1)), args, false),
    ..EVAL
};

pub(super) const EVAL_RO: CommandSpec = CommandSpec {
    name: "EVAL_RO",
    summary: "Executes a read-only server-side Lua script",
    since: "7.0.0",
    flags: EVAL.flags.and(Flags::READONLY),
    run: |ctx, args| eval(ctx, Named::Text(args.bytes(1)), args, true),
    ..EVAL
};

pub(super) const EVALSHA_RO: CommandSpec = CommandSpec {
    name: "EVALSHA_RO",
    summary: "Executes a read-only server-side Lua script by SHA1 digest",
    run: |ctx, args| eval(ctx, Named::Sha(args.bytes(1)), args, true),
    ..EVAL_RO
};

fn eval(ctx: &mut Ctx<'_>, named: Named<'_>, args: &Args<'_>, read_only: bool) -> CommandResult {
    let count = args.int(2)?;
    let rest = args.rest(3);
    let count = usize::try_from(count).map_err(|_| ErrorReply::NEGATIVE_KEY_COUNT)?;
    let (keys, rest) = rest.split_at_checked(count).ok_or(ErrorReply::TOO_FEW_KEYS)?;
    script::run(ctx, named, keys, rest, read_only)
}

#[cfg(test)]
mod tests {
    use crate::{Reply, testing::Shell};

    #[test]
    fn a_script_reads_its_keys_and_arguments_and_calls_commands() {
        let shell = Shell::new();
        shell.check(
            r#"
            EVAL "return {KEYS[1], ARGV[1], #KEYS, #ARGV}" 1 k a b => ["k" "a" (int) 1 (int) 2]
            "#,
        );
        let reply =
            shell.run(r#"EVAL "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])" 1 k value"#);
        assert_eq!(reply, Reply::bulk("value"));
    }

    #[test]
    fn a_script_is_known_by_its_digest_once_it_ran() {
        let shell = Shell::new();
        let sha = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
        assert!(shell.run(&format!("EVALSHA {sha} 0")).is_error());
        shell.run(r#"EVAL "return 1" 0"#);
        assert_eq!(shell.run(&format!("EVALSHA {} 0", sha.to_uppercase())), Reply::Int(1));
        shell.run("SCRIPT FLUSH");
        assert!(shell.run(&format!("EVALSHA {sha} 0")).is_error());
    }
}
