//! `HRANDFIELD key [count [WITHVALUES]]`: a random field; up to `count` different ones; or exactly `-count` with
//! repetition when it is negative.
//!
//! Reference: <https://redis.io/commands/hrandfield/>. RESP3 pairs each field with its value; RESP2 lists flat.

use crate::{
    Reply, Resp,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec, random},
    ctx::Ctx,
    value::Hash,
};

pub(super) const HRANDFIELD: CommandSpec = CommandSpec {
    name: "HRANDFIELD",
    summary: "Returns one or more random fields from a hash",
    since: "6.2.0",
    complexity: "O(N) where N is the number of fields returned",
    group: Group::Hash,
    arity: Arity::at_least(2),
    flags: Flags::READONLY,
    keys: KeySpec::first(),
    subcommands: &[],
    run: hrandfield,
};

fn hrandfield(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let random = ctx.core.random.clone();
    let pick = random::Pick::parse(args, "WITHVALUES")?;
    let is_paired = ctx.resp() == Resp::V3;
    let hash = ctx.read::<Hash>(args.bytes(1))?;
    let Some(pick) = pick else {
        let field = hash.map(|hash| hash.at(random.below(hash.len() as u64) as usize).0);
        return Ok(Reply::bulk_or_null(field));
    };
    let Some(hash) = hash else {
        return Ok(Reply::Array(Vec::new()));
    };
    let picked = pick.positions(&random, hash.len()).into_iter().map(|i| hash.at(i));
    if !pick.with_values {
        return Ok(Reply::bulks(picked.map(|(field, _)| field)));
    }
    let pairs = picked.map(|(field, value)| [Reply::bulk(field), Reply::bulk(value)]);
    Ok(Reply::Array(if is_paired {
        pairs.map(|pair| Reply::Array(pair.into())).collect()
    } else {
        pairs.flatten().collect()
    }))
}
