//! `COMMAND LIST [FILTERBY MODULE module | ACLCAT category | PATTERN pattern]`: the names of commands.
//!
//! Reference: <https://redis.io/commands/command-list/>.

use super::COUNT;
use crate::{
    ErrorReply, Reply,
    command::{self, Args, Arity, CommandResult, CommandSpec, info::categories},
    ctx::Ctx,
    glob,
};

pub(super) const LIST: CommandSpec = CommandSpec {
    name: "COMMAND|LIST",
    summary: "Returns a list of command names",
    since: "7.0.0",
    complexity: "O(N) where N is the total number of Redis commands",
    arity: Arity::at_least(2),
    run: list,
    ..COUNT
};

fn list(_: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    if args.len() == 2 {
        let names = command::all().map(|spec| spec.name.to_ascii_lowercase());
        return Ok(Reply::bulks(names));
    }
    if args.len() != 5 || !args.is(2, "FILTERBY") {
        return Err(ErrorReply::SYNTAX);
    }
    let value = args.bytes(4);
    let wanted: Box<dyn Fn(&CommandSpec) -> bool> = if args.is(3, "PATTERN") {
        Box::new(|spec| glob::matches_any_case(value, spec.name.as_bytes()))
    } else if args.is(3, "ACLCAT") {
        let value = value.strip_prefix(b"@").unwrap_or(value).to_ascii_lowercase();
        Box::new(move |spec| categories(spec).iter().any(|name| name.as_bytes() == value))
    } else if args.is(3, "MODULE") {
        Box::new(|_| false)
    } else {
        return Err(ErrorReply::SYNTAX);
    };
    let names = command::all_with_subcommands()
        .filter(|spec| wanted(spec))
        .map(|spec| spec.name.to_ascii_lowercase());
    Ok(Reply::bulks(names))
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn names_are_filtered() {
        Shell::new().check(
            r#"
            COMMAND LIST FILTERBY PATTERN ech* => ["echo"]
            COMMAND LIST FILTERBY MODULE json => []
            COMMAND LIST FILTERBY ACLCAT nosuch => []
            COMMAND LIST FILTERBY x y => ERR syntax error
            COMMAND LIST foo => ERR syntax error
            "#,
        );
    }
}
