//! `SCAN cursor [MATCH p] [COUNT n] [TYPE t]`, `KEYS pattern`, `RANDOMKEY`, `DBSIZE`: finding keys.
//!
//! Reference: <https://redis.io/commands/scan/>. The cursor is the number of positions not visited yet, see
//! [`db`](crate::db): every key that is there throughout is seen at least once.

use crate::{
    Reply,
    command::{
        Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec,
        scan::{Scan, page},
    },
    ctx::Ctx,
    db::Key,
    glob,
};

pub(super) const SCAN: CommandSpec = CommandSpec {
    name: "SCAN",
    summary: "Iterates over the key names in the database",
    since: "2.8.0",
    complexity: "O(1) for every call; O(N) for a complete iteration",
    group: Group::Generic,
    arity: Arity::at_least(2),
    flags: Flags::READONLY,
    keys: KeySpec::None,
    subcommands: &[],
    run: scan,
};

pub(super) const KEYS: CommandSpec = CommandSpec {
    name: "KEYS",
    summary: "Returns all key names that match a pattern",
    since: "1.0.0",
    complexity: "O(N) with N being the number of keys in the database",
    arity: Arity::exactly(2),
    run: keys,
    ..SCAN
};

pub(super) const RANDOMKEY: CommandSpec = CommandSpec {
    name: "RANDOMKEY",
    summary: "Returns a random key name from the database",
    since: "1.0.0",
    complexity: "O(1)",
    arity: Arity::exactly(1),
    run: random_key,
    ..SCAN
};

fn scan(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let scan = Scan::parse(args, 1, true)?;
    let (positions, next) = scan.positions(ctx.db().len());
    let db = &*ctx.db();
    let visited: Vec<Key> = positions
        .filter_map(|position| db.at(position))
        .filter(|(key, entry)| {
            let kind = scan
                .kind
                .is_none_or(|kind| kind.eq_ignore_ascii_case(entry.value.type_name().as_bytes()));
            kind && scan.accepts(key)
        })
        .map(|(key, _)| key.clone())
        .collect();
    // Looking at a key lets it expire, which moves positions: so only after the walk.
    let found = visited.iter().filter(|key| ctx.exists(key));
    let found = found.map(Reply::bulk).collect();
    Ok(page(next, found))
}

fn keys(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (pattern, now) = (args.bytes(1), ctx.now());
    let alive = ctx.db().iter().filter(|(_, entry)| !entry.is_expired(now));
    let found = alive.filter(|(key, _)| pattern == b"*" || glob::matches(pattern, key));
    Ok(Reply::bulks(found.map(|(key, _)| key)))
}

fn random_key(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    loop {
        let len = ctx.db().len() as u64;
        let position = ctx.core.random.below(len) as usize;
        let Some((key, _)) = ctx.db().at(position) else {
            return Ok(Reply::Null);
        };
        // An expired key goes when looked at, so every turn but the last removes one.
        let key = key.clone();
        if ctx.exists(&key) {
            return Ok(Reply::bulk(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::{Reply, testing::Shell};

    fn page(shell: &Shell, line: &str) -> (u64, Vec<String>) {
        let Reply::Array(parts) = shell.run(line) else {
            panic!("SCAN answers with two parts")
        };
        let (Reply::Bulk(cursor), Reply::Array(keys)) = (&parts[0], &parts[1]) else {
            panic!("a cursor and keys")
        };
        let text = |reply: &Reply| crate::testing::print(reply).trim_matches('"').to_owned();
        let cursor = String::from_utf8_lossy(cursor).parse().unwrap();
        (cursor, keys.iter().map(text).collect())
    }

    #[test]
    fn a_scan_sees_every_key_that_stays_while_others_come_and_go() {
        let shell = Shell::new();
        for i in 0..100 {
            shell.run(&format!("SET stays:{i} 1"));
            shell.run(&format!("SET goes:{i} 1"));
        }
        let (mut cursor, mut seen, mut turn) = (0, BTreeSet::new(), 0);
        loop {
            let (next, keys) = page(&shell, &format!("SCAN {cursor} COUNT 7"));
            seen.extend(keys);
            shell.run(&format!("DEL goes:{}", (turn * 37) % 100));
            shell.run(&format!("DEL goes:{turn}"));
            shell.run(&format!("SET new:{turn} 1"));
            turn += 1;
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        assert!((0..100).all(|i| seen.contains(&format!("stays:{i}"))));
    }

    #[test]
    fn filters_select_by_pattern_and_type() {
        let shell = Shell::new();
        shell.check("MSET a1 1 a2 2 b1 3 => OK\n HSET ah f v => (int) 1");
        assert_eq!(
            page(&shell, "SCAN 0 MATCH a* TYPE string COUNT 100"),
            (0, vec!["a2".into(), "a1".into()])
        );
        assert_eq!(page(&shell, "SCAN 0 TYPE HASH"), (0, vec!["ah".into()]));
        assert_eq!(page(&shell, "SCAN 0 TYPE nonsense"), (0, vec![]));
        shell.check(
            r"
            SCAN x => ERR invalid cursor
            SCAN 0 COUNT 0 => ERR syntax error
            SCAN 0 COUNT x => ERR value is not an integer or out of range
            SCAN 0 MATCH => ERR syntax error
            SCAN 0 NOPE 1 => ERR syntax error
            ",
        );
    }

    #[test]
    fn expired_keys_are_not_found() {
        let shell = Shell::new();
        shell.check("SET k v PX 10 => OK\n SET l v => OK");
        shell.advance(10);
        shell.check("KEYS * => [\"l\"]\n SCAN 0 => [\"0\" [\"l\"]]\n DBSIZE => (int) 1\n RANDOMKEY => \"l\"\n DEL l => (int) 1\n RANDOMKEY => nil");
    }

    #[test]
    fn a_random_key_is_any_key() {
        let shell = Shell::new();
        shell.run("MSET a 1 b 1 c 1");
        let drawn: BTreeSet<_> = (0..100).map(|_| shell.print("RANDOMKEY")).collect();
        assert_eq!(drawn.len(), 3);
    }
}
