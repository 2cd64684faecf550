//! How long a command may wait on purpose.

use std::time::Duration;

use redis::Cmd;

use super::{Name, words};

/// What a command does before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It answers at once.
    None,
    /// It may wait for so long, by its own words.
    Span(Duration),
    /// It may wait for ever.
    Forever,
}

impl Wait {
    /// Of `cmd`. A timeout that does not parse counts as none: the server refuses it at once.
    pub(crate) fn of(cmd: &Cmd) -> Self {
        let name = Name::of(cmd);
        match name.as_bytes() {
            b"BLPOP" | b"BRPOP" | b"BLMOVE" | b"BRPOPLPUSH" | b"BZPOPMIN" | b"BZPOPMAX" => {
                Self::seconds(words(cmd).last())
            }
            b"BLMPOP" | b"BZMPOP" => Self::seconds(words(cmd).nth(1)),
            b"WAIT" => Self::millis(words(cmd).nth(2)),
            b"WAITAOF" => Self::millis(words(cmd).nth(3)),
            b"XREAD" | b"XREADGROUP" => Self::block_option(cmd),
            _ => Self::None,
        }
    }

    /// Whether it may wait at all.
    pub(crate) fn may_wait(self) -> bool {
        self != Self::None
    }

    /// This wait and then that one, as in a pipeline.
    pub(crate) fn then(self, next: Self) -> Self {
        match (self, next) {
            (Self::Forever, _) | (_, Self::Forever) => Self::Forever,
            (Self::None, other) | (other, Self::None) => other,
            (Self::Span(first), Self::Span(second)) => Self::Span(first.saturating_add(second)),
        }
    }

    fn seconds(word: Option<&[u8]>) -> Self {
        Self::of_seconds(number(word))
    }

    fn millis(word: Option<&[u8]>) -> Self {
        Self::of_seconds(number(word).map(|millis| millis / 1e3))
    }

    fn of_seconds(seconds: Option<f64>) -> Self {
        match seconds.map(Duration::try_from_secs_f64) {
            Some(Ok(Duration::ZERO)) => Self::Forever,
            Some(Ok(span)) => Self::Span(span),
            Some(Err(_)) | None => Self::Span(Duration::ZERO),
        }
    }

    /// The `BLOCK millis` of a stream read, which comes before `STREAMS`.
    fn block_option(cmd: &Cmd) -> Self {
        let mut options = words(cmd)
            .skip(1)
            .take_while(|word| !word.eq_ignore_ascii_case(b"STREAMS"));
        if options.any(|word| word.eq_ignore_ascii_case(b"BLOCK")) {
            return Self::millis(options.next());
        }
        Self::None
    }
}

fn number(word: Option<&[u8]>) -> Option<f64> {
    std::str::from_utf8(word?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{super::tests::cmd, *};

    #[test]
    fn a_command_says_how_long_it_waits() {
        let wait = |line| Wait::of(&cmd(line));
        let span = |seconds| Wait::Span(Duration::from_secs_f64(seconds));
        assert_eq!(wait("BLPOP a b 1.5"), span(1.5));
        assert_eq!(wait("blpop a 0"), Wait::Forever);
        assert_eq!(wait("BLMPOP 2 1 a LEFT"), span(2.0));
        assert_eq!(wait("WAIT 1 500"), span(0.5));
        assert_eq!(wait("WAITAOF 1 0 250"), span(0.25));
        assert_eq!(wait("XREAD COUNT 1 BLOCK 100 STREAMS s $"), span(0.1));
        assert_eq!(wait("XREADGROUP GROUP g c BLOCK 0 STREAMS s >"), Wait::Forever);
        assert_eq!(wait("XREAD STREAMS BLOCK 0"), Wait::None);
        assert_eq!(wait("GET BLPOP"), Wait::None);
        assert_eq!(wait("BLPOP a never"), Wait::Span(Duration::ZERO));
    }
}
