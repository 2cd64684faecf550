//! `CLIENT SETNAME name`, `CLIENT GETNAME`, `CLIENT SETINFO LIB-NAME|LIB-VER value`: what a connection calls itself.
//!
//! Reference: <https://redis.io/commands/client-setname/>, <https://redis.io/commands/client-setinfo/>.

use super::id::ID;
use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec},
    ctx::Ctx,
};

pub(super) const SETNAME: CommandSpec = CommandSpec {
    name: "CLIENT|SETNAME",
    summary: "Sets the connection name",
    since: "2.6.9",
    arity: Arity::exactly(3),
    run: set_name,
    ..ID
};

pub(super) const GETNAME: CommandSpec = CommandSpec {
    name: "CLIENT|GETNAME",
    summary: "Returns the name of the connection",
    since: "2.6.9",
    run: name,
    ..ID
};

pub(super) const SETINFO: CommandSpec = CommandSpec {
    name: "CLIENT|SETINFO",
    summary: "Sets information specific to the client or connection",
    since: "7.2.0",
    arity: Arity::exactly(4),
    run: set_info,
    ..ID
};

/// A name must not break the lines of `CLIENT LIST`.
pub(in crate::command::connection) fn check_name(name: &[u8]) -> Result<(), ErrorReply> {
    if is_plain(name) {
        Ok(())
    } else {
        Err(ErrorReply::new(
            "ERR Client names cannot contain spaces, newlines or special characters.",
        ))
    }
}

fn is_plain(text: &[u8]) -> bool {
    text.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

fn set_name(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    check_name(args.bytes(2))?;
    ctx.client().name = args.bytes(2).to_vec();
    Ok(Reply::Ok)
}

fn name(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    let name = &ctx.client().name;
    Ok(if name.is_empty() {
        Reply::Null
    } else {
        Reply::bulk(name)
    })
}

fn set_info(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let value = args.bytes(3);
    let library = &mut ctx.client().library;
    let (field, name) = if args.is(2, "LIB-NAME") {
        (&mut library.0, "lib-name")
    } else if args.is(2, "LIB-VER") {
        (&mut library.1, "lib-ver")
    } else {
        let option = String::from_utf8_lossy(args.bytes(2)).replace(['\r', '\n'], " ");
        return Err(ErrorReply::new(format!("ERR Unrecognized option '{option}'")));
    };
    if !is_plain(value) {
        return Err(ErrorReply::new(format!(
            "ERR {name} cannot contain spaces, newlines or special characters."
        )));
    }
    *field = value.to_vec();
    Ok(Reply::Ok)
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn names_are_plain() {
        Shell::new().check(
            r#"
            CLIENT GETNAME => nil
            CLIENT SETNAME me => OK
            CLIENT GETNAME => "me"
            CLIENT SETNAME "a b" => ERR Client names cannot contain spaces, newlines or special characters.
            CLIENT SETNAME "" => OK
            CLIENT GETNAME => nil
            CLIENT SETINFO LIB-NAME driver => OK
            CLIENT SETINFO lib-ver "1 2" => ERR lib-ver cannot contain spaces, newlines or special characters.
            CLIENT SETINFO foo bar => ERR Unrecognized option 'foo'
            "#,
        );
    }
}
