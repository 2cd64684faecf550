//! `ACL WHOAMI | LIST | USERS | CAT [category] | HELP`: what there is to say about one user who may do everything.
//!
//! Reference: <https://redis.io/commands/acl/>. Users are not built yet: `requirepass` is the one password.

use super::auth::USER;
use crate::{
    ErrorReply, Reply,
    command::{
        self, Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec, container, help, info::CATEGORIES,
    },
    ctx::Ctx,
};

pub(super) const ACL: CommandSpec = CommandSpec {
    name: "ACL",
    summary: "A container for Access List Control commands",
    since: "6.0.0",
    complexity: "Depends on subcommand",
    group: Group::Server,
    arity: Arity::at_least(2),
    flags: Flags::NONE,
    keys: KeySpec::None,
    subcommands: &[&CAT, &HELP, &LIST, &USERS, &WHOAMI],
    run: container,
};

const WHOAMI: CommandSpec = CommandSpec {
    name: "ACL|WHOAMI",
    summary: "Returns the authenticated username of the current connection",
    since: "6.0.0",
    group: Group::Server,
    keys: KeySpec::None,
    complexity: "O(1)",
    arity: Arity::exactly(2),
    flags: Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE),
    subcommands: &[],
    run: |_, _| Ok(Reply::bulk(USER)),
};

const LIST: CommandSpec = CommandSpec {
    name: "ACL|LIST",
    summary: "Dumps the effective rules in ACL file format",
    complexity: "O(N). Where N is the number of configured users",
    flags: WHOAMI.flags.and(Flags::ADMIN),
    run: list,
    ..WHOAMI
};

const USERS: CommandSpec = CommandSpec {
    name: "ACL|USERS",
    summary: "Lists all ACL users",
    run: |_, _| Ok(Reply::bulks([USER])),
    ..LIST
};

const CAT: CommandSpec = CommandSpec {
    name: "ACL|CAT",
    summary: "Lists the ACL categories, or the commands inside a category",
    complexity: "O(1) since the categories and commands are a fixed set",
    arity: Arity::at_least(2),
    run: cat,
    ..WHOAMI
};

const HELP: CommandSpec = CommandSpec {
    name: "ACL|HELP",
    summary: "Returns helpful text about the different subcommands",
    flags: Flags::LOADING.and(Flags::STALE),
    run: |_, _| Ok(help("ACL", HELP_LINES)),
    ..WHOAMI
};

const HELP_LINES: &[&str] = &[
    "CAT [<category>]",
    "    List all commands that belong to <category>, or all command categories",
    "    when no category is specified.",
    "LIST",
    "    Show users details in config file format.",
    "USERS",
    "    List all the registered usernames.",
    "WHOAMI",
    "    Return the current connection username.",
];

fn list(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    let password = &ctx.core.settings.password;
    let rule = if password.is_empty() { "nopass" } else { "#<hidden>" };
    Ok(Reply::bulks([format!("user {USER} on {rule} ~* &* +@all")]))
}

fn cat(_: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let Some(category) = args.get(2) else {
        return Ok(Reply::bulks(CATEGORIES));
    };
    let category = String::from_utf8_lossy(category);
    if !CATEGORIES.iter().any(|known| known.eq_ignore_ascii_case(&category)) {
        return Err(ErrorReply::new(
            format!("ERR Unknown category '{category}'").replace(['\r', '\n'], " "),
        ));
    }
    let category = category.to_ascii_lowercase();
    let names = command::all_with_subcommands()
        .filter(|spec| command::info::categories(spec).contains(&category.as_str()))
        .map(|spec| spec.name.to_ascii_lowercase());
    Ok(Reply::bulks(names))
}
