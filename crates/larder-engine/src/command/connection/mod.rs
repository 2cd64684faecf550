//! Commands on the connection itself.

mod acl;
mod auth;
mod client;
mod commands;
mod echo;
mod hello;
mod ping;
mod quit;
mod reset;
mod tracking;

use crate::command::CommandSpec;

pub(super) const COMMANDS: &[&CommandSpec] = &[
    &acl::ACL,
    &auth::AUTH,
    &client::CLIENT,
    &commands::COMMAND,
    &echo::ECHO,
    &hello::HELLO,
    &ping::PING,
    &quit::QUIT,
    &reset::RESET,
];
