//! Every step that decides anything, as one Lua script each, beside the Rust that packs its arguments and reads its
//! reply. The scripts' own headers name keys, arguments with units and replies.

mod begin;
mod end;
mod extend;
mod fill;
mod get;
mod heal;
mod incr;
mod inv;
mod invtag;
mod lease;
mod mark_stale;
mod pack;
mod put;
mod reply;
mod revalidate;
mod rotate;
mod wback;
mod wbclaim;
mod wbcount;
mod wbdead;
mod wbdraw;
mod wbepoch;
mod wblag;
mod wbletters;
mod wbput;

pub(crate) use begin::Begin;
pub(crate) use end::{Close, EndPut};
pub(crate) use extend::Extend;
pub(crate) use fill::{Fill, Filled, Rejection};
pub(crate) use get::{Get, Got, Lease, Mode};
pub(crate) use heal::Heal;
pub(crate) use incr::Incr;
pub(crate) use inv::{Invalidate, Invalidated};
pub(crate) use invtag::InvalidateTags;
pub(crate) use lease::{Release, Renew};
pub(crate) use mark_stale::MarkStale;
pub(crate) use pack::{EntryKeys, Logged, NewValue};
pub(crate) use put::{Put, PutReply};
pub(crate) use reply::BadReply;
pub(crate) use revalidate::{Revalidate, Revalidated};
pub(crate) use rotate::{Rotate, RotateTags};
pub(crate) use wback::BehindAck;
pub(crate) use wbclaim::BehindClaim;
pub(crate) use wbcount::{BehindCount, BehindCountReply};
pub(crate) use wbdead::BehindDead;
pub(crate) use wbdraw::{BehindDraw, MapName};
pub(crate) use wbepoch::{BehindEpoch, Installed};
pub(crate) use wblag::BehindLag;
pub(crate) use wbletters::{BehindLetters, LetterHead};
pub(crate) use wbput::{BehindPut, BehindPutReply, OnlyIf};

use larder_store::ScriptCall;
use redis::Value;

/// 128 random bits, new for every attempt: the client acts only on the token whose reply it saw.
pub(crate) type Token = [u8; 16];

/// "None" where a script takes a token that may be absent.
pub(crate) const NO_TOKEN: Token = [0; 16];

/// One script with its arguments, and how its reply reads.
pub(crate) trait Step {
    /// The reply, parsed.
    type Reply;

    /// The request.
    fn call(&self) -> ScriptCall;

    /// Reads the reply.
    fn parse(value: Value) -> Result<Self::Reply, BadReply>;

    /// The server's clock in the reply, in ms, if it carries one.
    fn now(reply: &Self::Reply) -> Option<f64> {
        let _ = reply;
        None
    }
}
