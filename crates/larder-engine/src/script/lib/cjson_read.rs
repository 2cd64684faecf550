//! `cjson.decode`: a reader of JSON that pushes what it reads, with the error texts of the library Redis has.
//!
//! Like that one it takes more than JSON: `0x1f`, `inf` and `nan` are numbers.

use super::cjson::DEPTH_MAX;
use crate::script::{
    native::{Call, Raise},
    stack::Stack,
};

pub(super) fn decode(call: &mut Call<'_>) -> Result<usize, Raise> {
    if call.args() != 1 {
        return Err(Raise::Argument(1, "expected 1 argument".into()));
    }
    // A copy: pushing tables and taking them apart needs the stack.
    let text = call.bytes(1)?.to_vec();
    if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
        return Err(Raise::text("JSON parser does not support UTF-16 or UTF-32"));
    }
    let mut reader = Reader {
        text: &text,
        at: 0,
        depth: 0,
    };
    let token = reader.token();
    reader.value(call.stack, token)?;
    let end = reader.token();
    match end.kind {
        Kind::End => Ok(1),
        _ => Err(end.instead_of("the end")),
    }
}

/// The pieces of JSON.
enum Kind {
    ObjectBegin,
    ObjectEnd,
    ListBegin,
    ListEnd,
    Text(Vec<u8>),
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

struct Token {
    kind: Kind,
    /// Where it begins; for an error, where the reader gave up.
    at: usize,
}

impl Token {
    fn instead_of(&self, expected: &str) -> Raise {
        let found = match &self.kind {
            Kind::ObjectBegin => "T_OBJ_BEGIN",
            Kind::ObjectEnd => "T_OBJ_END",
            Kind::ListBegin => "T_ARR_BEGIN",
            Kind::ListEnd => "T_ARR_END",
            Kind::Text(_) => "T_STRING",
            Kind::Number(_) => "T_NUMBER",
            Kind::Boolean(_) => "T_BOOLEAN",
            Kind::Null => "T_NULL",
            Kind::Colon => "T_COLON",
            Kind::Comma => "T_COMMA",
            Kind::End => "T_END",
            Kind::Error(text) => text,
        };
        Raise::text(format!(
            "Expected {expected} but found {found} at character {}",
            self.at + 1
        ))
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    depth: u32,
}

impl Reader<'_> {
    /// Pushes the value that begins with this token.
    fn value(&mut self, stack: &mut Stack, token: Token) -> Result<(), Raise> {
        match token.kind {
            Kind::Text(text) => stack.push_bytes(&text),
            Kind::Number(number) => stack.push_number(number),
            Kind::Boolean(value) => stack.push_boolean(value),
            Kind::Null => stack.push_pointer(std::ptr::null_mut()),
            Kind::ObjectBegin => self.object(stack)?,
            Kind::ListBegin => self.list(stack)?,
            _ => return Err(token.instead_of("value")),
        }
        Ok(())
    }

    fn descend(&mut self, stack: &Stack) -> Result<(), Raise> {
        self.depth += 1;
        if self.depth > DEPTH_MAX || !stack.room(3) {
            return Err(Raise::text(format!(
                "Found too many nested data structures ({}) at character {}",
                self.depth, self.at
            )));
        }
        stack.push_table(0, 0);
        Ok(())
    }

    fn object(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        self.descend(stack)?;
        let mut token = self.token();
        if matches!(token.kind, Kind::ObjectEnd) {
            self.depth -= 1;
            return Ok(());
        }
        loop {
            let Kind::Text(key) = &token.kind else {
                return Err(token.instead_of("object key string"));
            };
            stack.push_bytes(key);
            token = self.token();
            if !matches!(token.kind, Kind::Colon) {
                return Err(token.instead_of("colon"));
            }
            token = self.token();
            self.value(stack, token)?;
            stack.raw_set(-3);
            token = self.token();
            match token.kind {
                Kind::ObjectEnd => break,
                Kind::Comma => token = self.token(),
                _ => return Err(token.instead_of("comma or object end")),
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn list(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        self.descend(stack)?;
        let mut token = self.token();
        if matches!(token.kind, Kind::ListEnd) {
            self.depth -= 1;
            return Ok(());
        }
        for i in 1.. {
            self.value(stack, token)?;
            stack.raw_set_item(-2, i);
            token = self.token();
            match token.kind {
                Kind::ListEnd => break,
                Kind::Comma => token = self.token(),
                _ => return Err(token.instead_of("comma or array end")),
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn token(&mut self) -> Token {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        let begin = self.at;
        let kind = match self.text.get(self.at) {
            None => Kind::End,
            Some(b'"') => self.quoted(),
            Some(byte) => match punctuation(*byte) {
                Some(kind) => {
                    self.at += 1;
                    kind
                }
                None => self.word(),
            },
        };
        let at = if matches!(kind, Kind::Error(_)) { self.at } else { begin };
        Token { kind, at }
    }

    /// A number, `true`, `false`, `null`, `inf`, `nan`.
    fn word(&mut self) -> Kind {
        let rest = &self.text[self.at..];
        let starts = |word: &[u8]| rest.starts_with(word);
        let (kind, len) = if starts(b"true") {
            (Kind::Boolean(true), 4)
        } else if starts(b"false") {
            (Kind::Boolean(false), 5)
        } else if starts(b"null") {
            (Kind::Null, 4)
        } else if let Some((number, len)) = leading_number(rest) {
            (Kind::Number(number), len)
        } else if matches!(rest[0], b'-' | b'0'..=b'9') {
            (Kind::Error("invalid number"), 0)
        } else {
            (Kind::Error("invalid token"), 0)
        };
        self.at += len;
        kind
    }

    /// A string: the reader is at its first quote.
    fn quoted(&mut self) -> Kind {
        let mut out = Vec::new();
        self.at += 1;
        loop {
            match self.text.get(self.at) {
                None => return Kind::Error("unexpected end of string"),
                Some(b'"') => break,
                Some(b'\\') => {
                    if let Err(text) = self.escape(&mut out) {
                        return Kind::Error(text);
                    }
                }
                Some(byte) => {
                    out.push(*byte);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        Kind::Text(out)
    }

    /// An escape: the reader is at its backslash.
    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), &'static str> {
        let byte = match self.text.get(self.at + 1) {
            Some(b'u') => return self.unicode_escape(out),
            Some(b'b') => 0x08,
            Some(b't') => b'\t',
            Some(b'n') => b'\n',
            Some(b'f') => 0x0c,
            Some(b'r') => b'\r',
            Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
            _ => return Err("invalid escape code"),
        };
        out.push(byte);
        self.at += 2;
        Ok(())
    }

    /// `\uXXXX`, or two of them for what is beyond the first plane.
    fn unicode_escape(&mut self, out: &mut Vec<u8>) -> Result<(), &'static str> {
        const BAD: &str = "invalid unicode escape code";
        let first = self.code_unit(self.at).ok_or(BAD)?;
        let (code, len) = match first {
            0xd800..0xdc00 => {
                let second = self
                    .code_unit(self.at + 6)
                    .filter(|unit| (0xdc00..0xe000).contains(unit));
                let second = second.ok_or(BAD)?;
                (0x10000 + ((first & 0x3ff) << 10 | second & 0x3ff), 12)
            }
            _ => (first, 6),
        };
        let character = char::from_u32(code).ok_or(BAD)?;
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        self.at += len;
        Ok(())
    }

    fn code_unit(&self, at: usize) -> Option<u32> {
        let escape = self.text.get(at..at + 6)?;
        let digits = escape.strip_prefix(b"\\u")?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }
}

const fn punctuation(byte: u8) -> Option<Kind> {
    Some(match byte {
        b'{' => Kind::ObjectBegin,
        b'}' => Kind::ObjectEnd,
        b'[' => Kind::ListBegin,
        b']' => Kind::ListEnd,
        b':' => Kind::Colon,
        b',' => Kind::Comma,
        _ => return None,
    })
}

/// The longest number that `text` begins with, as `strtod` takes it, and its length.
fn leading_number(text: &[u8]) -> Option<(f64, usize)> {
    let signed = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let negative = text.first() == Some(&b'-');
    let rest = &text[signed..];
    let (number, len) = hexadecimal(rest).or_else(|| named(rest)).or_else(|| decimal(rest))?;
    Some((if negative { -number } else { number }, len + signed))
}

fn hexadecimal(text: &[u8]) -> Option<(f64, usize)> {
    let digits = text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X"))?;
    let len = digits.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let value = digits[..len].iter().fold(0.0, |value, byte| {
        value * 16.0 + f64::from(char::from(*byte).to_digit(16).unwrap_or_default())
    });
    (len > 0).then_some((value, len + 2))
}

fn named(text: &[u8]) -> Option<(f64, usize)> {
    [("infinity", f64::INFINITY), ("inf", f64::INFINITY), ("nan", f64::NAN)]
        .into_iter()
        .find(|(name, _)| {
            text.get(..name.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
        })
        .map(|(name, value)| (value, name.len()))
}

fn decimal(text: &[u8]) -> Option<(f64, usize)> {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(0);
    let mut len = whole;
    let mut fraction = 0;
    if text.get(len) == Some(&b'.') {
        fraction = digits(len + 1);
        len += 1 + fraction;
    }
    if whole + fraction == 0 {
        return None;
    }
    if matches!(text.get(len), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(len + 1), Some(b'-' | b'+')));
        let exponent = text.get(len + 1 + sign..).map_or(0, |_| digits(len + 1 + sign));
        if exponent > 0 {
            len += 1 + sign + exponent;
        }
    }
    let number = std::str::from_utf8(&text[..len]).ok()?.parse().ok()?;
    Some((number, len))
}
