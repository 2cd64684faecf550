//! Patterns with `*`, `?`, `[a-c]`, `[^x]` and `\`, as `KEYS`, `SCAN`, `PSUBSCRIBE` and `CONFIG GET` take them.
//!
//! The last `*` is the only one worth going back to: whatever an earlier one could swallow, the last can too. So
//! matching costs at most the product of both lengths, whatever the pattern; a recursive matcher needs
//! exponential time for `a*a*a*a*b`.

/// Whether the whole of `text` matches.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    walk(pattern, text, |byte| byte)
}

/// Whether the whole of `text` matches, letters in any case.
pub(crate) fn matches_any_case(pattern: &[u8], text: &[u8]) -> bool {
    walk(pattern, text, |byte| byte.to_ascii_lowercase())
}

fn walk(pattern: &[u8], text: &[u8], fold: impl Fn(u8) -> u8) -> bool {
    if text.is_empty() {
        // Redis never looks at the pattern then: even `*` does not match the empty string.
        return pattern.is_empty();
    }
    let (mut at, mut position) = (0, 0);
    // After the last star: where the pattern goes on, and the text that the star has not swallowed yet.
    let mut retry: Option<(usize, usize)> = None;
    while position < text.len() {
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            retry = Some((at, position));
            continue;
        }
        match one(&pattern[at..], text[position], &fold) {
            Some(used) => {
                at += used;
                position += 1;
            }
            None => {
                let Some((after_star, swallowed)) = retry else {
                    return false;
                };
                retry = Some((after_star, swallowed + 1));
                (at, position) = (after_star, swallowed + 1);
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// Matches one byte against the head of a pattern; how much of the pattern that took.
fn one(pattern: &[u8], byte: u8, fold: &impl Fn(u8) -> u8) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', rest @ ..] => class(rest, byte, fold).map(|used| used + 1),
        [b'\\', literal, ..] => (fold(*literal) == fold(byte)).then_some(2),
        [literal, ..] => (fold(*literal) == fold(byte)).then_some(1),
    }
}

/// Matches one byte against a class, after its `[`. A class without its `]` ends with the pattern.
fn class(pattern: &[u8], byte: u8, fold: &impl Fn(u8) -> u8) -> Option<usize> {
    let negated = pattern.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut found = false;
    let byte = fold(byte);
    loop {
        match &pattern[at..] {
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', literal, ..] => {
                found |= fold(*literal) == byte;
                at += 2;
            }
            [from, b'-', to, ..] => {
                let (low, high) = (fold(*from).min(fold(*to)), fold(*from).max(fold(*to)));
                found |= (low..=high).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                found |= fold(*literal) == byte;
                at += 1;
            }
        }
    }
    (found != negated).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_redis() {
        let cases: &[(&str, &str, bool)] = &[
            ("*", "anything", true),
            ("*", "", false),
            ("", "", true),
            ("", "a", false),
            ("a*", "a", true),
            ("a**", "a", true),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("h[]llo", "hllo", false),
            ("h[^]llo", "hxllo", true),
            ("h[a", "ha", true),
            (r"h[\]]", "h]", true),
            (r"a\*b", "a*b", true),
            (r"a\*b", "axb", false),
            (r"a\", r"a\", true),
            ("*a*b*c", "xxaxxbxxc", true),
            ("*a*b*c", "xxaxxcxxb", false),
            ("a?c*", "abc", true),
            ("*?", "a", true),
            ("[a-]", "-", false),
            ("[a-]", "^", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                *expected,
                "{pattern} on {text}"
            );
        }
    }

    #[test]
    fn case_is_folded_on_request_only() {
        assert!(matches_any_case(b"MAX[A-Z]*", b"maxmemory"));
        assert!(!matches(b"MAX*", b"maxmemory"));
    }

    /// A recursive matcher would need longer than the age of the universe.
    #[test]
    fn a_hostile_pattern_costs_no_more_than_the_product_of_the_lengths() {
        let pattern = b"a*".repeat(64).into_iter().chain(*b"b").collect::<Vec<_>>();
        assert!(!matches(&pattern, &b"a".repeat(4_096)));
    }
}
