//! Which clients `CLIENT LIST` and `CLIENT KILL` mean.

use crate::{
    ErrorReply,
    client::{Client, ClientId},
    command::{Args, parse_int},
    ctx::Ctx,
};

/// The kinds of clients. There is no replication, so two of them have no members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientType {
    Normal,
    PubSub,
    Absent,
}

impl ClientType {
    pub(super) fn parse(name: &[u8]) -> Result<Self, ErrorReply> {
        match name.to_ascii_lowercase().as_slice() {
            b"normal" => Ok(Self::Normal),
            b"pubsub" => Ok(Self::PubSub),
            b"master" | b"replica" | b"slave" => Ok(Self::Absent),
            _ => {
                let name = String::from_utf8_lossy(name).replace(['\r', '\n'], " ");
                Err(ErrorReply::new(format!("ERR Unknown client type '{name}'")))
            }
        }
    }

    pub(super) fn includes(self, client: &Client) -> bool {
        match self {
            Self::Normal => !client.is_subscriber(),
            Self::PubSub => client.is_subscriber(),
            Self::Absent => false,
        }
    }
}

/// What a client must match to be killed: everything that is given.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter<'a> {
    pub(super) id: Option<ClientId>,
    pub(super) of: Option<ClientType>,
    pub(super) addr: Option<&'a [u8]>,
    pub(super) laddr: Option<&'a [u8]>,
    /// Seconds since it connected.
    pub(super) age_min: Option<u64>,
    pub(super) spare: Option<ClientId>,
}

impl<'a> Filter<'a> {
    /// Reads `option value` pairs from argument 2 on.
    pub(super) fn parse(ctx: &Ctx<'_>, args: &Args<'a>) -> Result<Self, ErrorReply> {
        let mut filter = Self {
            spare: Some(ctx.client),
            ..Self::default()
        };
        let mut at = 2;
        while at < args.len() {
            let value = args.get(at + 1).ok_or(ErrorReply::SYNTAX)?;
            filter.add(ctx, args, at, value)?;
            at += 2;
        }
        Ok(filter)
    }

    fn add(&mut self, ctx: &Ctx<'_>, args: &Args<'_>, at: usize, value: &'a [u8]) -> Result<(), ErrorReply> {
        if args.is(at, "ID") {
            self.id = Some(ClientId(positive(value, "client-id")?));
        } else if args.is(at, "TYPE") {
            self.of = Some(ClientType::parse(value)?);
        } else if args.is(at, "ADDR") {
            self.addr = Some(value);
        } else if args.is(at, "LADDR") {
            self.laddr = Some(value);
        } else if args.is(at, "MAXAGE") {
            self.age_min = Some(positive(value, "maxage")?);
        } else if args.is(at, "USER") {
            // Everybody is the default user.
            if value != super::super::auth::USER.as_bytes() {
                let user = String::from_utf8_lossy(value).replace(['\r', '\n'], " ");
                return Err(ErrorReply::new(format!("ERR No such user '{user}'")));
            }
        } else if args.is(at, "SKIPME") {
            self.spare = match value.to_ascii_lowercase().as_slice() {
                b"yes" => Some(ctx.client),
                b"no" => None,
                _ => return Err(ErrorReply::SYNTAX),
            };
        } else {
            return Err(ErrorReply::SYNTAX);
        }
        Ok(())
    }

    pub(super) fn includes(&self, client: &Client, now: u64) -> bool {
        self.id.is_none_or(|id| id == client.id)
            && self.of.is_none_or(|of| of.includes(client))
            && self.addr.is_none_or(|addr| addr == client.peer.addr.as_bytes())
            && self.laddr.is_none_or(|laddr| laddr == client.peer.laddr.as_bytes())
            && self
                .age_min
                .is_none_or(|age| now.saturating_sub(client.connected_at.as_secs()) >= age)
            && self.spare != Some(client.id)
    }
}

fn positive(value: &[u8], what: &str) -> Result<u64, ErrorReply> {
    parse_int(value)
        .and_then(|id| u64::try_from(id).ok())
        .filter(|id| *id > 0)
        .ok_or_else(|| ErrorReply::new(format!("ERR {what} should be greater than 0")))
}
