//! Several limits in one script: it is made of the scripts of the kinds, as they are.

use std::sync::LazyLock;

use larder_store::{Script, ScriptCall};

use super::{KINDS, limits::Named};
use crate::altered;

static TOGETHER: LazyLock<Script> = LazyLock::new(|| {
    let kinds = KINDS.iter().map(|kind| {
        format!(
            "kinds['{}'] = function(redis, KEYS, ARGV)\n{}\nend\n",
            kind.name,
            kind.script.source(true)
        )
    });
    let text = format!(
        "local kinds = {{}}\n{}{}",
        kinds.collect::<String>(),
        include_str!("together.lua")
    );
    // Once in a process: a script's text lives as long as it does.
    Script::new("limit_together", text.leak())
});

/// What a call is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Charge, if all limits allow it.
    Check,
    /// Change nothing.
    Peek,
}

/// The keys of `limits` under `stem`, and with them the request's where there is one.
fn keys(stem: &str, limits: &[Named], request: Option<&str>) -> Vec<String> {
    let key = |named: &Named| format!("{stem}:{}", named.name);
    let of_request = |named: &Named| request.map(|id| format!("{stem}:{}:r:{id}", named.name));
    limits
        .iter()
        .flat_map(|named| [Some(key(named)), of_request(named)])
        .flatten()
        .collect()
}

/// The call that asks all `limits`: the script of the kind where one is checked, else the one for several.
pub(super) fn call(mode: Mode, stem: &str, limits: &[Named], cost: u64, request: Option<&str>) -> ScriptCall {
    let keys = keys(stem, limits, request);
    if let ([Named { limit, .. }], Mode::Check) = (limits, mode) {
        let call = keys.iter().fold(altered::call(&limit.kind.script), ScriptCall::key);
        return numbers(call, [limit.args[0], limit.args[1], cost]);
    }
    let call = keys.iter().fold(altered::call(&TOGETHER), ScriptCall::key);
    let call = call.arg(if mode == Mode::Check { "check" } else { "peek" });
    let call = numbers(call, [cost, 1 + u64::from(request.is_some())]);
    limits.iter().fold(call, |call, Named { limit, .. }| {
        numbers(call.arg(limit.kind.name), limit.args)
    })
}

fn numbers<const N: usize>(call: ScriptCall, numbers: [u64; N]) -> ScriptCall {
    let exact = |number: u64| i64::try_from(number).expect("limits are checked to be far below 2^63");
    numbers.into_iter().fold(call, |call, number| call.int(exact(number)))
}
