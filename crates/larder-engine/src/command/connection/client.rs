//! `CLIENT`: what a connection says and asks about itself and others.
//!
//! Reference: <https://redis.io/commands/client/>.

mod filter;
mod id;
mod info;
mod kill;
pub(super) mod name;
mod no_evict;
mod reply;
mod unblock;

use super::tracking::{CACHING, GETREDIR, TRACKING, TRACKINGINFO};
use crate::command::{Arity, CommandSpec, Flags, Group, KeySpec, container, help};

pub(super) const CLIENT: CommandSpec = CommandSpec {
    name: "CLIENT",
    summary: "A container for client connection commands",
    since: "2.4.0",
    complexity: "Depends on subcommand",
    group: Group::Connection,
    arity: Arity::at_least(2),
    flags: Flags::NONE,
    keys: KeySpec::None,
    subcommands: &[
        &CACHING,
        &name::GETNAME,
        &GETREDIR,
        &HELP,
        &id::ID,
        &info::INFO,
        &kill::KILL,
        &info::LIST,
        &no_evict::NO_EVICT,
        &no_evict::NO_TOUCH,
        &reply::REPLY,
        &name::SETINFO,
        &name::SETNAME,
        &TRACKING,
        &TRACKINGINFO,
        &unblock::UNBLOCK,
    ],
    run: container,
};

const HELP: CommandSpec = CommandSpec {
    name: "CLIENT|HELP",
    summary: "Returns helpful text about the different subcommands",
    flags: Flags::LOADING.and(Flags::STALE),
    run: |_, _| Ok(help("CLIENT", HELP_LINES)),
    ..id::ID
};

const HELP_LINES: &[&str] = &[
    "CACHING (YES|NO)",
    "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
    "GETREDIR",
    "    Return the client ID we are redirecting to when tracking is enabled.",
    "GETNAME",
    "    Return the name of the current connection.",
    "ID",
    "    Return the ID of the current connection.",
    "INFO",
    "    Return information about the current client connection.",
    "KILL <ip:port>",
    "    Kill connection made from <ip:port>.",
    "KILL <option> <value> [<option> <value> [...]]",
    "    Kill connections. Options are ID, TYPE, USER, ADDR, LADDR, MAXAGE, SKIPME (default: yes).",
    "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB) | ID <id> [...]]",
    "    Return information about client connections.",
    "NO-EVICT (ON|OFF)",
    "    Protect current client connection from eviction.",
    "NO-TOUCH (ON|OFF)",
    "    Will not touch LRU/LFU stats when this mode is on.",
    "REPLY (ON|OFF|SKIP)",
    "    Control the replies sent to the current connection.",
    "SETINFO (LIB-NAME|LIB-VER) <value>",
    "    Say which client library this is.",
    "SETNAME <name>",
    "    Assign the name <name> to the current connection.",
    "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
    "         [OPTIN] [OPTOUT] [NOLOOP]",
    "    Control server assisted client side caching.",
    "TRACKINGINFO",
    "    Report tracking status for the current connection.",
    "UNBLOCK <clientid> [TIMEOUT|ERROR]",
    "    Unblock the specified blocked client.",
];
