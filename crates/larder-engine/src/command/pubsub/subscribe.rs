//! `SUBSCRIBE channel ..`, `PSUBSCRIBE pattern ..`, `SSUBSCRIBE shardchannel ..`, and their opposites, which without
//! a name leave everything of their kind.
//!
//! Reference: <https://redis.io/commands/subscribe/>. Each name is confirmed by a push of its own.

use crate::{
    Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    pubsub::Kind,
};

pub(super) const SUBSCRIBE: CommandSpec = CommandSpec {
    name: "SUBSCRIBE",
    summary: "Listens for messages published to channels",
    since: "2.0.0",
    complexity: "O(N) where N is the number of channels to subscribe to",
    group: Group::PubSub,
    arity: Arity::at_least(2),
    flags: Flags::PUBSUB.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE),
    keys: KeySpec::None,
    subcommands: &[],
    run: |ctx, args| subscribe(ctx, args, Kind::Channel),
};

pub(super) const UNSUBSCRIBE: CommandSpec = CommandSpec {
    name: "UNSUBSCRIBE",
    summary: "Stops listening to messages posted to channels",
    complexity: "O(N) where N is the number of clients already subscribed to a channel",
    arity: Arity::at_least(1),
    run: |ctx, args| unsubscribe(ctx, args, Kind::Channel),
    ..SUBSCRIBE
};

pub(super) const PSUBSCRIBE: CommandSpec = CommandSpec {
    name: "PSUBSCRIBE",
    summary: "Listens for messages published to channels that match one or more patterns",
    complexity: "O(N) where N is the number of patterns the client is already subscribed to",
    run: |ctx, args| subscribe(ctx, args, Kind::Pattern),
    ..SUBSCRIBE
};

pub(super) const PUNSUBSCRIBE: CommandSpec = CommandSpec {
    name: "PUNSUBSCRIBE",
    summary: "Stops listening to messages published to channels that match one or more patterns",
    run: |ctx, args| unsubscribe(ctx, args, Kind::Pattern),
    ..UNSUBSCRIBE
};

pub(super) const SSUBSCRIBE: CommandSpec = CommandSpec {
    name: "SSUBSCRIBE",
    summary: "Listens for messages published to shard channels",
    since: "7.0.0",
    keys: KeySpec::all(),
    run: |ctx, args| subscribe(ctx, args, Kind::Shard),
    ..SUBSCRIBE
};

pub(super) const SUNSUBSCRIBE: CommandSpec = CommandSpec {
    name: "SUNSUBSCRIBE",
    summary: "Stops listening to messages posted to shard channels",
    since: "7.0.0",
    keys: KeySpec::all(),
    run: |ctx, args| unsubscribe(ctx, args, Kind::Shard),
    ..UNSUBSCRIBE
};

fn subscribe(ctx: &mut Ctx<'_>, args: &Args<'_>, kind: Kind) -> CommandResult {
    let id = ctx.client;
    let confirmed = args.rest(1).iter().map(|name| ctx.core.subscribe(id, kind, name));
    Ok(one_or_many(confirmed.collect()))
}

fn unsubscribe(ctx: &mut Ctx<'_>, args: &Args<'_>, kind: Kind) -> CommandResult {
    let id = ctx.client;
    if args.len() == 1 {
        return Ok(ctx.core.unsubscribe_all(id, kind));
    }
    let confirmed = args.rest(1).iter().map(|name| ctx.core.unsubscribe(id, kind, name));
    Ok(one_or_many(confirmed.collect()))
}

fn one_or_many(mut replies: Vec<Reply>) -> Reply {
    match replies.len() {
        1 => replies.remove(0),
        _ => Reply::Many(replies),
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Resp,
        testing::{Shell, check, run},
    };

    #[test]
    fn messages_reach_who_listens_and_nobody_else() {
        let shell = Shell::new();
        let (listener, pushes) = shell.listener();
        check(
            &listener,
            r#"
            SUBSCRIBE news => push["subscribe" "news" (int) 1]
            PSUBSCRIBE n* => push["psubscribe" "n*" (int) 2]
            SSUBSCRIBE news => push["ssubscribe" "news" (int) 1]
            "#,
        );
        shell.check(
            r#"
            PUBLISH news hello => (int) 2
            PUBLISH other hello => (int) 0
            SPUBLISH news shard => (int) 1
            PUBSUB NUMSUB news other => ["news" (int) 1 "other" (int) 0]
            PUBSUB NUMPAT => (int) 1
            PUBSUB CHANNELS => ["news"]
            PUBSUB CHANNELS x* => []
            PUBSUB SHARDCHANNELS => ["news"]
            PUBSUB SHARDNUMSUB news => ["news" (int) 1]
            "#,
        );
        assert_eq!(
            pushes.take(),
            [
                r#"push["message" "news" "hello"]"#,
                r#"push["pmessage" "n*" "news" "hello"]"#,
                r#"push["smessage" "news" "shard"]"#,
            ]
        );
        drop(listener);
        shell.check("PUBLISH news hello => (int) 0\n PUBSUB CHANNELS => []\n PUBSUB NUMPAT => (int) 0");
    }

    #[test]
    fn leaving_is_confirmed_name_by_name() {
        let shell = Shell::new();
        let (listener, _pushes) = shell.listener();
        check(&listener, r#"UNSUBSCRIBE => push["unsubscribe" nil (int) 0]"#);
        run(&listener, "SUBSCRIBE a b c");
        check(
            &listener,
            r#"
            UNSUBSCRIBE b => push["unsubscribe" "b" (int) 2]
            UNSUBSCRIBE nosuch => push["unsubscribe" "nosuch" (int) 2]
            SUNSUBSCRIBE => push["sunsubscribe" nil (int) 0]
            "#,
        );
        let crate::Reply::Many(left) = run(&listener, "UNSUBSCRIBE") else {
            panic!("one push for each");
        };
        assert_eq!(left.len(), 2);
    }

    #[test]
    fn a_subscriber_in_resp2_can_do_nothing_else() {
        let shell = Shell::new();
        shell.run("SUBSCRIBE c");
        shell.check(
            "GET k => ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
        );
        shell.session.turn().client().resp = Resp::V3;
        shell.check("GET k => nil");
    }

    #[test]
    fn changes_are_published_as_selected() {
        let shell = Shell::new();
        let (listener, pushes) = shell.listener();
        run(&listener, "PSUBSCRIBE __key*");
        shell.run("SET quiet 1");
        shell.session.turn().core().settings.notify = crate::notify::Selection::parse(b"KEx$").expect("known letters");
        shell.run("SET k 1 PX 10");
        shell.run("DEL quiet");
        shell.advance(10);
        shell.run("GET k");
        assert_eq!(
            pushes.take(),
            [
                r#"push["pmessage" "__key*" "__keyspace@0__:k" "set"]"#,
                r#"push["pmessage" "__key*" "__keyevent@0__:set" "k"]"#,
                r#"push["pmessage" "__key*" "__keyspace@0__:k" "expired"]"#,
                r#"push["pmessage" "__key*" "__keyevent@0__:expired" "k"]"#,
            ]
        );
    }
}
