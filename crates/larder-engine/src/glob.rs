//! Glob patterns as `KEYS`, `SCAN MATCH`, `PSUBSCRIBE` and `CONFIG GET` read them: `*`, `?`, `[a-z]`, `[^a]`, `\x`.
//!
//! Matching backtracks to the last `*` only, so it costs at most pattern × text and never recurses: a pattern of
//! many stars, which any client may send, cannot stall the engine or overflow its stack.

/// Whether `pattern` matches all of `text`, byte by byte.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    run(pattern, text, |byte| byte)
}

/// The same without regard to the case of ASCII letters.
pub(crate) fn matches_any_case(pattern: &[u8], text: &[u8]) -> bool {
    run(pattern, text, |byte| byte.to_ascii_lowercase())
}

fn run(mut pattern: &[u8], mut text: &[u8], fold: impl Fn(u8) -> u8 + Copy) -> bool {
    // Where to go on if what follows the last star does not match: the star takes one byte more.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', rest @ ..] = pattern {
            retry = Some((rest, text));
            pattern = rest;
            continue;
        }
        let Some((byte, text_rest)) = text.split_first() else {
            return pattern.is_empty();
        };
        match step(pattern, *byte, fold) {
            Some(rest) => (pattern, text) = (rest, text_rest),
            None => {
                let Some((after_star, [_, shorter @ ..])) = retry else {
                    return false;
                };
                retry = Some((after_star, shorter));
                (pattern, text) = (after_star, shorter);
            }
        }
    }
}

/// What remains of the pattern if its first element matches `byte`.
fn step(pattern: &[u8], byte: u8, fold: impl Fn(u8) -> u8) -> Option<&[u8]> {
    let (matched, rest) = match pattern {
        [] => return None,
        [b'?', rest @ ..] => (true, rest),
        [b'[', rest @ ..] => class(rest, fold(byte), fold),
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => (fold(*literal) == fold(byte), rest),
    };
    matched.then_some(rest)
}

/// A class after its `[`. One that is never closed reaches to the pattern's end.
fn class(pattern: &[u8], byte: u8, fold: impl Fn(u8) -> u8) -> (bool, &[u8]) {
    let (negated, mut rest) = match pattern {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    let mut found = false;
    loop {
        rest = match rest {
            [] => return (found != negated, rest),
            [b']', rest @ ..] => return (found != negated, rest),
            [b'\\', literal, rest @ ..] => {
                found |= fold(*literal) == byte;
                rest
            }
            [from, b'-', to, rest @ ..] => {
                let (from, to) = (fold(*from), fold(*to));
                found |= (from.min(to)..=from.max(to)).contains(&byte);
                rest
            }
            [literal, rest @ ..] => {
                found |= fold(*literal) == byte;
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        for text in yes {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} ~ {text}");
        }
        for text in no {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} !~ {text}");
        }
    }

    #[test]
    fn stars_and_questions() {
        check("*", &["", "a", "abc"], &[]);
        check("a*c", &["ac", "abc", "abcc"], &["", "a", "acb"]);
        check("h?llo", &["hello", "hallo"], &["hllo", "heello"]);
        check("*user:*:42*", &["user:7:42", "xuser:::42x"], &["user:42"]);
        check("a**b", &["ab", "axb"], &["a"]);
        check("", &[""], &["a"]);
    }

    #[test]
    fn classes() {
        check("h[ae]llo", &["hello", "hallo"], &["hillo", "h[llo"]);
        check("h[^e]llo", &["hallo"], &["hello"]);
        check("[a-c]", &["a", "b", "c"], &["d", "-"]);
        check("[c-a]", &["b"], &["d"]);
        check("[\\]]", &["]"], &["\\"]);
        check("[ab", &["a", "b"], &["c"]);
        check("[]", &[], &["", "]"]);
    }

    #[test]
    fn escapes_and_case() {
        check("a\\*", &["a*"], &["ab"]);
        check("a\\", &["a\\"], &["a"]);
        assert!(matches_any_case(b"H[A-C]llo*", b"hbLLOx"));
        assert!(!matches(b"H*", b"hello"));
    }

    #[test]
    fn many_stars_cost_pattern_times_text() {
        let pattern = "a*".repeat(2_000) + "b";
        let text = "a".repeat(20_000);
        assert!(!matches(pattern.as_bytes(), text.as_bytes()));
    }
}
