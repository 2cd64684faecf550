//! `CLIENT TRACKING`, `CLIENT CACHING`, `CLIENT TRACKINGINFO`, `CLIENT GETREDIR`: client-side caching, see
//! [`tracking`](crate::tracking).
//!
//! Reference: <https://redis.io/commands/client-tracking/>.

use crate::{
    ErrorReply, Reply,
    client::ClientId,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    tracking::{Gate, TrackingMode},
};

pub(super) const TRACKING: CommandSpec = CommandSpec {
    name: "CLIENT|TRACKING",
    summary: "Controls server-assisted client-side caching for the connection",
    since: "6.0.0",
    complexity: "O(1), some options add work for every prefix",
    group: Group::Connection,
    arity: Arity::at_least(3),
    flags: Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE),
    keys: KeySpec::None,
    subcommands: &[],
    run: tracking,
};

pub(super) const CACHING: CommandSpec = CommandSpec {
    name: "CLIENT|CACHING",
    summary: "Instructs the server whether to track the keys in the next request",
    complexity: "O(1)",
    arity: Arity::exactly(3),
    run: caching,
    ..TRACKING
};

pub(super) const TRACKINGINFO: CommandSpec = CommandSpec {
    name: "CLIENT|TRACKINGINFO",
    summary: "Returns information about server-assisted client-side caching for the connection",
    since: "6.2.0",
    complexity: "O(1)",
    arity: Arity::exactly(2),
    run: tracking_info,
    ..TRACKING
};

pub(super) const GETREDIR: CommandSpec = CommandSpec {
    name: "CLIENT|GETREDIR",
    summary: "Returns the client ID to which the connection's tracking notifications are redirected",
    complexity: "O(1)",
    arity: Arity::exactly(2),
    run: |ctx, _| Ok(Reply::Int(redirection(ctx.client().tracking.as_ref()))),
    ..TRACKING
};

/// What the arguments ask for.
#[derive(Default)]
struct Wanted<'a> {
    broadcast: bool,
    opt_in: bool,
    opt_out: bool,
    no_loop: bool,
    redirect: Option<ClientId>,
    prefixes: Vec<&'a [u8]>,
}

impl<'a> Wanted<'a> {
    fn parse(ctx: &Ctx<'_>, args: &Args<'a>) -> Result<Self, ErrorReply> {
        let mut wanted = Self::default();
        let mut i = 3;
        while i < args.len() {
            let more = i + 1 < args.len();
            if args.is(i, "REDIRECT") && more {
                i += 1;
                wanted.redirect = Some(wanted.redirection(ctx, args, i)?);
            } else if args.is(i, "PREFIX") && more {
                i += 1;
                wanted.prefixes.push(args.bytes(i));
            } else {
                *wanted.flag(args, i).ok_or(ErrorReply::SYNTAX)? = true;
            }
            i += 1;
        }
        Ok(wanted)
    }

    fn flag(&mut self, args: &Args<'_>, i: usize) -> Option<&mut bool> {
        match () {
            () if args.is(i, "BCAST") => Some(&mut self.broadcast),
            () if args.is(i, "OPTIN") => Some(&mut self.opt_in),
            () if args.is(i, "OPTOUT") => Some(&mut self.opt_out),
            () if args.is(i, "NOLOOP") => Some(&mut self.no_loop),
            () => None,
        }
    }

    fn redirection(&self, ctx: &Ctx<'_>, args: &Args<'_>, i: usize) -> Result<ClientId, ErrorReply> {
        if self.redirect.is_some() {
            let text = "ERR A client can only redirect to a single other client";
            return Err(ErrorReply::new(text));
        }
        let id = ClientId(args.int(i)? as u64);
        if ctx.core.clients.contains_key(&id) {
            Ok(id)
        } else {
            let text = "ERR The client ID you want redirect to does not exist";
            Err(ErrorReply::new(text))
        }
    }

    /// Refuses what contradicts itself or the mode that is on.
    fn check(&self, known: Option<&TrackingMode>) -> Result<(), ErrorReply> {
        let refuse = |text: &'static str| Err(ErrorReply::new(text));
        let gate = known.map_or(Gate::Every, |mode| mode.gate);
        if !self.broadcast && !self.prefixes.is_empty() {
            return refuse("ERR PREFIX option requires BCAST mode to be enabled");
        }
        if known.is_some_and(|mode| mode.is_broadcast() != self.broadcast) {
            return refuse(
                "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.",
            );
        }
        if self.broadcast && (self.opt_in || self.opt_out) {
            return refuse("ERR OPTIN and OPTOUT are not compatible with BCAST");
        }
        if self.opt_in && self.opt_out {
            return refuse("ERR You can't specify both OPTIN mode and OPTOUT mode");
        }
        if self.opt_in && gate == Gate::OptOut || self.opt_out && gate == Gate::OptIn {
            return refuse(
                "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode.",
            );
        }
        self.check_prefixes(known)
    }

    /// A key under two prefixes of one client would be announced twice.
    fn check_prefixes(&self, known: Option<&TrackingMode>) -> Result<(), ErrorReply> {
        let overlap = |a: &[u8], b: &[u8]| a.starts_with(b) || b.starts_with(a);
        for (i, prefix) in self.prefixes.iter().enumerate() {
            let mut existing = known.iter().flat_map(|mode| &mode.prefixes);
            if let Some(other) = existing.find(|other| overlap(prefix, other)) {
                return Err(overlapping(prefix, "an existing", other));
            }
            if let Some(other) = self.prefixes[i + 1..].iter().find(|other| overlap(prefix, other)) {
                return Err(overlapping(prefix, "another provided", other));
            }
        }
        Ok(())
    }

    fn gate(&self) -> Gate {
        match (self.opt_in, self.opt_out) {
            (true, _) => Gate::OptIn,
            (_, true) => Gate::OptOut,
            _ => Gate::Every,
        }
    }
}

fn overlapping(prefix: &[u8], which: &str, other: &[u8]) -> ErrorReply {
    let (prefix, other) = (String::from_utf8_lossy(prefix), String::from_utf8_lossy(other));
    ErrorReply::new(format!(
        "ERR Prefix '{prefix}' overlaps with {which} prefix '{other}'. Prefixes for a single client must not overlap."
    ))
}

fn tracking(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let wanted = Wanted::parse(ctx, args)?;
    if args.is(2, "ON") {
        enable(ctx, &wanted)?;
    } else if args.is(2, "OFF") {
        ctx.core.stop_tracking(ctx.client);
    } else {
        return Err(ErrorReply::SYNTAX);
    }
    Ok(Reply::Ok)
}

fn enable(ctx: &mut Ctx<'_>, wanted: &Wanted<'_>) -> Result<(), ErrorReply> {
    let id = ctx.client;
    let known = ctx.client().tracking.clone();
    wanted.check(known.as_ref())?;
    let mut prefixes = known.map(|mode| mode.prefixes).unwrap_or_default();
    if wanted.broadcast {
        prefixes.extend(wanted.prefixes.iter().map(|prefix| prefix.to_vec()));
        if wanted.prefixes.is_empty() {
            prefixes.insert(Vec::new());
        }
    }
    for prefix in &prefixes {
        ctx.core.tracking.listen(id, prefix);
    }
    ctx.core.tracking.enable();
    ctx.client().tracking = Some(TrackingMode {
        no_loop: wanted.no_loop,
        gate: wanted.gate(),
        caching: false,
        redirect: wanted.redirect,
        redirect_broken: false,
        prefixes,
    });
    Ok(())
}

fn caching(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let Some(mode) = &mut ctx.client().tracking else {
        return Err(ErrorReply::new(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        ));
    };
    let (gate, refusal) = if args.is(2, "YES") {
        let text = "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.";
        (Gate::OptIn, text)
    } else if args.is(2, "NO") {
        let text = "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.";
        (Gate::OptOut, text)
    } else {
        return Err(ErrorReply::SYNTAX);
    };
    if mode.gate != gate {
        return Err(ErrorReply::new(refusal));
    }
    mode.caching = true;
    Ok(Reply::Ok)
}

pub(super) fn redirection(mode: Option<&TrackingMode>) -> i64 {
    const NOT_TRACKING: i64 = -1;
    const TO_ITSELF: i64 = 0;
    mode.map_or(NOT_TRACKING, |mode| mode.redirect.map_or(TO_ITSELF, |id| id.0 as i64))
}

fn tracking_info(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    let mode = ctx.client().tracking.as_ref();
    let flags = mode.map_or_else(|| vec!["off"], flags);
    let prefixes = mode.iter().flat_map(|mode| &mode.prefixes);
    Ok(Reply::Map(vec![
        (
            Reply::bulk("flags"),
            Reply::Set(flags.into_iter().map(Reply::bulk).collect()),
        ),
        (Reply::bulk("redirect"), Reply::Int(redirection(mode))),
        (Reply::bulk("prefixes"), Reply::bulks(prefixes)),
    ]))
}

fn flags(mode: &TrackingMode) -> Vec<&'static str> {
    let mut flags = vec!["on"];
    let mut add = |name, set: bool| {
        if set {
            flags.push(name);
        }
    };
    add("bcast", mode.is_broadcast());
    add("optin", mode.gate == Gate::OptIn);
    add("caching-yes", mode.gate == Gate::OptIn && mode.caching);
    add("optout", mode.gate == Gate::OptOut);
    add("caching-no", mode.gate == Gate::OptOut && mode.caching);
    add("noloop", mode.no_loop);
    add("broken_redirect", mode.redirect_broken);
    flags
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn contradictions_are_refused_with_the_words_of_redis() {
        Shell::new().check(
            r"
            CLIENT CACHING YES => ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled
            CLIENT TRACKING MAYBE => ERR syntax error
            CLIENT TRACKING ON FOO => ERR syntax error
            CLIENT TRACKING ON PREFIX a => ERR PREFIX option requires BCAST mode to be enabled
            CLIENT TRACKING ON BCAST OPTIN => ERR OPTIN and OPTOUT are not compatible with BCAST
            CLIENT TRACKING ON OPTIN OPTOUT => ERR You can't specify both OPTIN mode and OPTOUT mode
            CLIENT TRACKING ON REDIRECT 999 => ERR The client ID you want redirect to does not exist
            CLIENT TRACKING ON REDIRECT x => ERR value is not an integer or out of range
            CLIENT TRACKING ON BCAST PREFIX x PREFIX xy => ERR Prefix 'x' overlaps with another provided prefix 'xy'. Prefixes for a single client must not overlap.
            CLIENT TRACKING ON BCAST PREFIX a => OK
            CLIENT TRACKING ON BCAST PREFIX ab => ERR Prefix 'ab' overlaps with an existing prefix 'a'. Prefixes for a single client must not overlap.
            CLIENT TRACKING ON => ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.
            CLIENT TRACKING OFF => OK
            CLIENT TRACKING ON OPTIN => OK
            CLIENT CACHING NO => ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.
            CLIENT CACHING x => ERR syntax error
            CLIENT TRACKING ON OPTOUT => ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode.
            ",
        );
    }

    #[test]
    fn the_mode_is_told() {
        Shell::new().check(
            r#"
            CLIENT GETREDIR => (int) -1
            CLIENT TRACKINGINFO => {"flags": {"off"}, "redirect": (int) -1, "prefixes": []}
            CLIENT TRACKING ON NOLOOP => OK
            CLIENT TRACKINGINFO => {"flags": {"on" "noloop"}, "redirect": (int) 0, "prefixes": []}
            CLIENT TRACKING OFF => OK
            CLIENT TRACKING ON BCAST PREFIX b PREFIX a => OK
            CLIENT TRACKINGINFO => {"flags": {"on" "bcast"}, "redirect": (int) 0, "prefixes": ["a" "b"]}
            CLIENT TRACKING OFF => OK
            CLIENT TRACKING ON OPTIN => OK
            CLIENT CACHING YES => OK
            CLIENT TRACKINGINFO => {"flags": {"on" "optin" "caching-yes"}, "redirect": (int) 0, "prefixes": []}
            GET k => nil
            CLIENT TRACKINGINFO => {"flags": {"on" "optin"}, "redirect": (int) 0, "prefixes": []}
            "#,
        );
    }
}
