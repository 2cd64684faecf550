//! Command lines with choices in them, and drawing one of the lines they stand for.
//!
//! `SET string value [NX|XX] {EX ttl}`: words in capitals or quotes stand for themselves, words in small letters for an
//! [argument](crate::words) drawn from a pool, `$word` for one that is drawn once for all steps of an action. `[a|b]` is
//! one of the alternatives or nothing, `(a|b)` one of them, `{a}` any number of repetitions, none included.

use std::collections::BTreeMap;

use larder_base::Random;

use crate::words;

/// The most repetitions of `{..}`.
const REPEATED_MAX: u64 = 3;

/// In so many of a hundred draws an optional part is there.
const OPTIONAL_PERCENT: u64 = 40;

#[derive(Clone, Debug)]
pub(crate) enum Syntax {
    Literal(String),
    Pool(String),
    Bound(String),
    OneOf(Vec<Vec<Syntax>>),
    Maybe(Vec<Vec<Syntax>>),
    Repeated(Vec<Syntax>),
}

/// What `$word` stands for in the action at hand.
pub(crate) type Bindings = BTreeMap<String, Vec<u8>>;

/// Reads one line.
pub(crate) fn parse(line: &str) -> Vec<Syntax> {
    let mut spaced = line.to_owned();
    for mark in ["[", "]", "(", ")", "{", "}", "|"] {
        spaced = spaced.replace(mark, &format!(" {mark} "));
    }
    let mut tokens = spaced.split_whitespace().peekable();
    let mut alternatives = parse_alternatives(&mut tokens, None);
    assert_eq!(alternatives.len(), 1, "a choice needs brackets: {line}");
    alternatives.remove(0)
}

fn parse_alternatives<'a>(tokens: &mut impl Iterator<Item = &'a str>, end: Option<&str>) -> Vec<Vec<Syntax>> {
    let mut alternatives = vec![Vec::new()];
    loop {
        let token = tokens.next();
        if token == end {
            return alternatives;
        }
        let part = match token.unwrap_or_else(|| panic!("{end:?} is missing")) {
            "|" => {
                alternatives.push(Vec::new());
                continue;
            }
            "[" => Syntax::Maybe(parse_alternatives(tokens, Some("]"))),
            "(" => Syntax::OneOf(parse_alternatives(tokens, Some(")"))),
            "{" => Syntax::Repeated(parse_alternatives(tokens, Some("}")).concat()),
            word if word.starts_with('$') => Syntax::Bound(word[1..].to_owned()),
            word if word.starts_with(|first: char| first.is_ascii_lowercase()) => Syntax::Pool(word.to_owned()),
            word => Syntax::Literal(word.trim_matches('\'').to_owned()),
        };
        alternatives.last_mut().expect("there is one at least").push(part);
    }
}

/// Draws arguments.
pub(crate) fn draw(syntax: &[Syntax], random: &Random, bound: &mut Bindings, out: &mut Vec<Vec<u8>>) {
    for part in syntax {
        match part {
            Syntax::Literal(word) => out.push(in_any_case(word, random)),
            Syntax::Pool(name) => match words::many(name, random) {
                Some(many) => out.extend(many),
                None => out.push(words::draw(name, random)),
            },
            Syntax::Bound(name) => {
                let word = bound.entry(name.clone()).or_insert_with(|| words::draw(name, random));
                out.push(word.clone());
            }
            Syntax::OneOf(alternatives) => draw(pick::<Vec<_>>(alternatives, random), random, bound, out),
            Syntax::Maybe(alternatives) if random.below(100) < OPTIONAL_PERCENT => {
                draw(pick::<Vec<_>>(alternatives, random), random, bound, out);
            }
            Syntax::Maybe(_) => {}
            Syntax::Repeated(inner) => {
                (0..random.below(REPEATED_MAX + 1)).for_each(|_| draw(inner, random, bound, out));
            }
        }
    }
}

/// One of these, each as likely.
pub(crate) fn pick<'a, T>(choices: &'a [T], random: &Random) -> &'a T {
    &choices[random.below(choices.len() as u64) as usize]
}

/// Commands and options do not depend on case; one in eight is written in small letters.
fn in_any_case(word: &str, random: &Random) -> Vec<u8> {
    if random.below(8) == 0 {
        word.to_ascii_lowercase().into()
    } else {
        word.into()
    }
}
