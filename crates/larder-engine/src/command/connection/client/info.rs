//! `CLIENT INFO`, `CLIENT LIST [TYPE type] [ID id ...]`: the connections, a line each.
//!
//! Reference: <https://redis.io/commands/client-list/>. Fields about buffers that are not kept apart here are 0.

use super::{filter::ClientType, id::ID};
use crate::{
    ErrorReply, Reply, Resp,
    client::{Client, ClientId},
    command::{Args, Arity, CommandResult, CommandSpec, Flags, parse_int},
    ctx::Ctx,
    pubsub::Kind,
    tracking::TrackingMode,
};

pub(super) const INFO: CommandSpec = CommandSpec {
    name: "CLIENT|INFO",
    summary: "Returns information about the connection",
    since: "6.2.0",
    run: info,
    ..ID
};

pub(super) const LIST: CommandSpec = CommandSpec {
    name: "CLIENT|LIST",
    summary: "Lists open connections",
    since: "2.4.0",
    complexity: "O(N) where N is the number of client connections",
    arity: Arity::at_least(2),
    flags: ID.flags.and(Flags::ADMIN),
    run: list,
    ..ID
};

fn info(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    let now = ctx.time().as_secs();
    Ok(Reply::Verbatim("txt", describe(ctx.client(), now)))
}

fn list(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let wanted: Wanted = match args.rest(2) {
        [] => Wanted::All,
        [option, name] if option.eq_ignore_ascii_case(b"TYPE") => Wanted::Type(ClientType::parse(name)?),
        [option, ids @ ..] if option.eq_ignore_ascii_case(b"ID") && !ids.is_empty() => Wanted::Ids(parse_ids(ids)?),
        _ => return Err(ErrorReply::SYNTAX),
    };
    let now = ctx.time().as_secs();
    let clients = ctx.core.clients.values().filter(|client| wanted.includes(client));
    Ok(Reply::Verbatim(
        "txt",
        clients.map(|client| describe(client, now)).collect(),
    ))
}

enum Wanted {
    All,
    Type(ClientType),
    Ids(Vec<ClientId>),
}

impl Wanted {
    fn includes(&self, client: &Client) -> bool {
        match self {
            Self::All => true,
            Self::Type(of) => of.includes(client),
            Self::Ids(ids) => ids.contains(&client.id),
        }
    }
}

fn parse_ids(ids: &[&[u8]]) -> Result<Vec<ClientId>, ErrorReply> {
    let id = |bytes: &&[u8]| parse_int(bytes).and_then(|id| u64::try_from(id).ok()).map(ClientId);
    ids.iter()
        .map(|bytes| id(bytes).ok_or_else(|| ErrorReply::new("ERR Invalid client ID")))
        .collect()
}

/// One line about a client, its end included.
fn describe(client: &Client, now: u64) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let subscribed = |kind| client.subscriptions.of(kind).len();
    let queued = client.transaction.queue.as_ref();
    let resp = match client.resp {
        Resp::V2 => 2,
        Resp::V3 => 3,
    };
    let fields = [
        ("id", client.id.0.to_string()),
        ("addr", client.peer.addr.clone()),
        ("laddr", client.peer.laddr.clone()),
        ("fd", "-1".into()),
        ("name", text(&client.name)),
        ("age", now.saturating_sub(client.connected_at.as_secs()).to_string()),
        ("idle", now.saturating_sub(client.active_at.as_secs()).to_string()),
        ("flags", flags(client)),
        ("db", client.db.to_string()),
        ("sub", subscribed(Kind::Channel).to_string()),
        ("psub", subscribed(Kind::Pattern).to_string()),
        ("ssub", subscribed(Kind::Shard).to_string()),
        (
            "multi",
            queued.map_or(-1, |queue| queue.commands.len() as i64).to_string(),
        ),
        ("qbuf", "0".into()),
        ("qbuf-free", "0".into()),
        ("argv-mem", "0".into()),
        ("multi-mem", "0".into()),
        ("rbs", "0".into()),
        ("rbp", "0".into()),
        ("obl", "0".into()),
        ("oll", "0".into()),
        ("omem", "0".into()),
        ("tot-mem", "0".into()),
        ("events", "r".into()),
        ("cmd", client.last_command.unwrap_or("NULL").to_ascii_lowercase()),
        ("user", super::super::auth::USER.into()),
        (
            "redir",
            super::super::tracking::redirection(client.tracking.as_ref()).to_string(),
        ),
        ("resp", resp.to_string()),
        ("lib-name", text(&client.library.0)),
        ("lib-ver", text(&client.library.1)),
    ];
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    fields.join(" ") + "\n"
}

/// What is special about the client, a letter each; `N` for nothing.
fn flags(client: &Client) -> String {
    let tracking = client.tracking.as_ref();
    let letters = [
        (client.is_subscriber(), 'P'),
        (client.transaction.queue.is_some(), 'x'),
        (client.wait.is_waiting(), 'b'),
        (tracking.is_some(), 't'),
        (tracking.is_some_and(|mode| mode.redirect_broken), 'R'),
        (tracking.is_some_and(TrackingMode::is_broadcast), 'B'),
        (client.closing, 'c'),
        (client.peer.addr.starts_with('/'), 'U'),
        (client.no_evict, 'e'),
        (client.no_touch, 'T'),
    ];
    let set: String = letters
        .iter()
        .filter(|(set, _)| *set)
        .map(|(_, letter)| letter)
        .collect();
    if set.is_empty() { "N".into() } else { set }
}

#[cfg(test)]
mod tests {
    use crate::{Reply, testing::Shell};

    fn lines(reply: Reply) -> Vec<String> {
        let Reply::Verbatim("txt", text) = reply else {
            panic!("not a text: {reply:?}");
        };
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn clients_are_listed_by_type_and_by_id() {
        let shell = Shell::new();
        let (subscriber, _pushes) = shell.listener();
        crate::testing::run(&subscriber, "SUBSCRIBE c");
        shell.run("CLIENT SETNAME me");
        let me = shell.session.id().0;
        assert_eq!(lines(shell.run("CLIENT LIST")).len(), 2);
        let info = lines(shell.run("CLIENT INFO"));
        assert!(info[0].starts_with(&format!("id={me} ")), "{info:?}");
        assert!(
            info[0].contains(" name=me ") && info[0].contains(" cmd=client|info "),
            "{info:?}"
        );
        let listening = lines(shell.run("CLIENT LIST TYPE pubsub"));
        assert!(
            listening[0].contains(" flags=P ") && listening[0].contains(" sub=1 "),
            "{listening:?}"
        );
        assert_eq!(listening.len(), 1);
        assert_eq!(lines(shell.run(&format!("CLIENT LIST ID {me} 999"))).len(), 1);
        shell.check(
            r"
            CLIENT LIST TYPE x => ERR Unknown client type 'x'
            CLIENT LIST ID x => ERR Invalid client ID
            CLIENT LIST foo => ERR syntax error
            ",
        );
    }
}
