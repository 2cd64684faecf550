//! HyperLogLogs: how many different elements there were, in a string of some kilobytes.

mod pfadd;
mod pfcount;
mod pfmerge;

use crate::{
    ErrorReply,
    command::CommandSpec,
    ctx::Ctx,
    value::{Text, hyperloglog},
};

pub(super) const COMMANDS: &[&CommandSpec] = &[&pfadd::PFADD, &pfcount::PFCOUNT, &pfmerge::PFMERGE];

/// The HyperLogLog at a key; none if the key is absent.
fn read<'a>(ctx: &'a mut Ctx<'_>, key: &[u8]) -> Result<Option<&'a [u8]>, ErrorReply> {
    let Some(text) = ctx.read::<Text>(key)? else {
        return Ok(None);
    };
    if text.as_int().is_none() && hyperloglog::is_one(text.bytes()) {
        Ok(Some(text.bytes()))
    } else {
        Err(ErrorReply::NO_HYPERLOGLOG)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn elements_are_counted_once() {
        Shell::new().check(
            r#"
            PFADD h a b c => (int) 1
            PFADD h a => (int) 0
            PFCOUNT h => (int) 3
            PFADD g c d => (int) 1
            PFCOUNT h g none => (int) 4
            PFMERGE all h g => OK
            PFCOUNT all => (int) 4
            STRLEN all => (int) 30
            PFADD new => (int) 1
            PFADD new => (int) 0
            PFCOUNT new => (int) 0
            SET s x => OK
            PFADD s a => WRONGTYPE Key is not a valid HyperLogLog string value.
            PFCOUNT h s => WRONGTYPE Key is not a valid HyperLogLog string value.
            SET s "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x00" => OK
            PFCOUNT s => INVALIDOBJ Corrupted HLL object detected
            "#,
        );
    }

    #[test]
    fn many_elements_are_counted_to_a_percent() {
        let shell = Shell::new();
        for i in 0..20_000 {
            shell.run(&format!("PFADD h element:{i}"));
        }
        let crate::Reply::Int(count) = shell.run("PFCOUNT h") else {
            panic!("PFCOUNT answers with a number");
        };
        assert!((19_500..=20_500).contains(&count), "{count}");
        shell.check("STRLEN h => (int) 12304");
    }
}
