//! `HELLO [protover [AUTH username password] [SETNAME clientname]]`: chooses the protocol, and may authenticate and
//! name the connection on the way.
//!
//! Reference: <https://redis.io/commands/hello/>. If any part is refused, the protocol stays as it was.

use super::{
    auth::{AUTH, authenticate},
    client::name::check_name,
};
use crate::{
    ErrorReply, Reply, Resp,
    command::{Args, Arity, CommandResult, CommandSpec, VERSION, parse_int},
    ctx::Ctx,
};

pub(super) const HELLO: CommandSpec = CommandSpec {
    name: "HELLO",
    summary: "Handshakes with the server",
    since: "6.0.0",
    complexity: "O(1)",
    arity: Arity::at_least(1),
    run: hello,
    ..AUTH
};

/// What the arguments ask for.
#[derive(Default)]
struct Greeting<'a> {
    resp: Option<Resp>,
    login: Option<(&'a [u8], &'a [u8])>,
    name: Option<&'a [u8]>,
}

fn hello(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let greeting = parse(args)?;
    if let Some((user, password)) = greeting.login {
        authenticate(ctx, user, password)?;
    }
    let client = ctx.client();
    if !client.authenticated {
        return Err(ErrorReply::HELLO_FIRST);
    }
    if let Some(name) = greeting.name {
        client.name = name.to_vec();
    }
    client.resp = greeting.resp.unwrap_or(client.resp);
    Ok(introduction(client.resp, client.id.0))
}

fn parse<'a>(args: &Args<'a>) -> Result<Greeting<'a>, ErrorReply> {
    let mut greeting = Greeting::default();
    let Some(version) = args.get(1) else {
        return Ok(greeting);
    };
    greeting.resp = Some(match parse_int(version) {
        None => {
            return Err(ErrorReply::new(
                "ERR Protocol version is not an integer or out of range",
            ));
        }
        Some(2) => Resp::V2,
        Some(3) => Resp::V3,
        Some(_) => return Err(ErrorReply::new("NOPROTO unsupported protocol version")),
    });
    let mut at = 2;
    while at < args.len() {
        if let (true, Some(user), Some(password)) = (args.is(at, "AUTH"), args.get(at + 1), args.get(at + 2)) {
            greeting.login = Some((user, password));
            at += 3;
        } else if let (true, Some(name)) = (args.is(at, "SETNAME"), args.get(at + 1)) {
            check_name(name)?;
            greeting.name = Some(name);
            at += 2;
        } else {
            return Err(ErrorReply::hello_option(args.bytes(at)));
        }
    }
    Ok(greeting)
}

fn introduction(resp: Resp, id: u64) -> Reply {
    let proto = match resp {
        Resp::V2 => 2,
        Resp::V3 => 3,
    };
    let fields = [
        ("server", Reply::bulk("redis")),
        ("version", Reply::bulk(VERSION)),
        ("proto", Reply::Int(proto)),
        ("id", Reply::Int(id as i64)),
        ("mode", Reply::bulk("standalone")),
        ("role", Reply::bulk("master")),
        ("modules", Reply::Array(Vec::new())),
    ];
    Reply::Map(fields.map(|(name, value)| (Reply::bulk(name), value)).into())
}

#[cfg(test)]
mod tests {
    use crate::{Reply, Resp, testing::Shell};

    #[test]
    fn a_greeting_chooses_the_protocol() {
        let shell = Shell::new();
        let Reply::Map(fields) = shell.run("HELLO 3 SETNAME me") else {
            panic!("HELLO answers with a map");
        };
        assert_eq!(fields[2], (Reply::bulk("proto"), Reply::Int(3)));
        assert_eq!(shell.session.turn().client().resp, Resp::V3);
        shell.check(r#"CLIENT GETNAME => "me""#);
        shell.run("HELLO 2");
        assert_eq!(shell.session.turn().client().resp, Resp::V2);
    }

    #[test]
    fn a_refused_greeting_changes_nothing() {
        let shell = Shell::new();
        shell.check(
            r"
            HELLO x => ERR Protocol version is not an integer or out of range
            HELLO 4 => NOPROTO unsupported protocol version
            HELLO 3 AUTH a => ERR Syntax error in HELLO option 'AUTH'
            HELLO 3 foo => ERR Syntax error in HELLO option 'foo'
            HELLO 3 AUTH nobody x => WRONGPASS invalid username-password pair or user is disabled.
            ",
        );
        assert_eq!(shell.session.turn().client().resp, Resp::V2);
        shell.session.turn().client().authenticated = false;
        assert!(shell.print("HELLO 3").starts_with("NOAUTH HELLO must be called"));
    }
}
