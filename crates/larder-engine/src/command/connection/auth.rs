//! `AUTH [username] password`: lets the connection run commands.
//!
//! Reference: <https://redis.io/commands/auth/>. There is one user, `default`, whose password is `requirepass`.

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
};

pub(super) const AUTH: CommandSpec = CommandSpec {
    name: "AUTH",
    summary: "Authenticates the connection",
    since: "1.0.0",
    complexity: "O(N) where N is the number of passwords defined for the user",
    group: Group::Connection,
    arity: Arity::at_least(2),
    flags: Flags::NOSCRIPT
        .and(Flags::LOADING)
        .and(Flags::STALE)
        .and(Flags::FAST)
        .and(Flags::NO_AUTH),
    keys: KeySpec::None,
    subcommands: &[],
    run: auth,
};

/// The only user.
pub(super) const USER: &str = "default";

fn auth(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (user, password) = match args.rest(1) {
        [_] if ctx.core.settings.password.is_empty() => return Err(ErrorReply::NO_PASSWORD_SET),
        [password] => (USER.as_bytes(), *password),
        [user, password] => (*user, *password),
        _ => return Err(ErrorReply::SYNTAX),
    };
    authenticate(ctx, user, password)?;
    Ok(Reply::Ok)
}

/// Admits the client if the password is right; any is where none is set. A failure takes nothing away from a
/// client that was admitted before.
pub(super) fn authenticate(ctx: &mut Ctx<'_>, user: &[u8], password: &[u8]) -> Result<(), ErrorReply> {
    let expected = &ctx.core.settings.password;
    let is_right = expected.is_empty() || is_same(expected, password);
    if user != USER.as_bytes() || !is_right {
        return Err(ErrorReply::WRONG_PASSWORD);
    }
    ctx.client().authenticated = true;
    Ok(())
}

/// Compares in a time that depends on the length of `given` alone, so that how long it takes tells nothing of
/// how much of the password was right.
fn is_same(expected: &[u8], given: &[u8]) -> bool {
    let mut difference = expected.len() ^ given.len();
    for (i, byte) in given.iter().enumerate() {
        difference |= usize::from(expected[i % expected.len()] ^ byte);
    }
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Shell;

    #[test]
    fn passwords_are_the_same_or_not() {
        assert!(is_same(b"secret", b"secret"));
        for other in ["", "s", "secre", "secretx", "Secret", "secretsecret"] {
            assert!(!is_same(b"secret", other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn without_a_password_set_everybody_is_the_default_user() {
        Shell::new().check(
            r"
            AUTH x => ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?
            AUTH default x => OK
            AUTH other x => WRONGPASS invalid username-password pair or user is disabled.
            AUTH a b c => ERR syntax error
            ",
        );
    }

    #[test]
    fn a_stranger_may_only_introduce_itself() {
        let shell = Shell::new();
        let mut turn = shell.session.turn();
        turn.core().settings.password = b"secret".to_vec();
        turn.client().authenticated = false;
        drop(turn);
        shell.check(
            r"
            GET k => NOAUTH Authentication required.
            PING => NOAUTH Authentication required.
            AUTH wrong => WRONGPASS invalid username-password pair or user is disabled.
            GET k => NOAUTH Authentication required.
            AUTH secret => OK
            GET k => nil
            AUTH wrong => WRONGPASS invalid username-password pair or user is disabled.
            GET k => nil
            ",
        );
    }
}
