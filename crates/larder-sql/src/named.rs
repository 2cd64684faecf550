//! SQL with named variables, as people write it: `WHERE id = :id`.

/// SQL whose variables are `$1`, `$2`, ..., and their names in that order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) sql: String,
    pub(crate) names: Vec<String>,
}

impl Named {
    /// Reads `sql`. What stands in quotes or comments is left alone, and so is a cast, `::text`.
    pub(crate) fn parse(sql: &str) -> Self {
        let mut named = Self {
            sql: String::with_capacity(sql.len()),
            names: Vec::new(),
        };
        let mut rest = sql.trim().trim_end_matches(';').trim_end();
        while !rest.is_empty() {
            let length = quoted_length(rest);
            if length > 0 {
                named.sql.push_str(&rest[..length]);
                rest = &rest[length..];
                continue;
            }
            if let Some(cast) = rest.strip_prefix("::") {
                named.sql.push_str("::");
                rest = cast;
                continue;
            }
            let name = rest.strip_prefix(':').map_or("", name_at);
            if name.is_empty() {
                let first = rest.chars().next().map_or(1, char::len_utf8);
                named.sql.push_str(&rest[..first]);
                rest = &rest[first..];
                continue;
            }
            let place = named.place(name);
            named.sql.push_str(&format!("${place}"));
            rest = &rest[1 + name.len()..];
        }
        named
    }

    /// The number of the variable `name`, from 1: one name is one variable, wherever it stands.
    fn place(&mut self, name: &str) -> usize {
        if let Some(at) = self.names.iter().position(|known| known == name) {
            return at + 1;
        }
        self.names.push(name.to_owned());
        self.names.len()
    }
}

/// The name that `text` begins with.
fn name_at(text: &str) -> &str {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    if !text.starts_with(|first: char| first.is_alphabetic() || first == '_') {
        return "";
    }
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    &text[..end]
}

/// How many bytes of a string, a quoted name, a comment or a dollar-quoted string `text` begins with; 0 for none. One
/// that does not end goes on to the end: the database says so better.
fn quoted_length(text: &str) -> usize {
    let until = |open: usize, close: &str| {
        text[open..]
            .find(close)
            .map_or(text.len(), |at| open + at + close.len())
    };
    match text.as_bytes() {
        // A doubled quote inside is the end of one string and the beginning of the next.
        [b'\'', ..] => until(1, "'"),
        [b'"', ..] => until(1, "\""),
        [b'-', b'-', ..] => until(2, "\n"),
        [b'/', b'*', ..] => until(2, "*/"),
        [b'E' | b'e', b'\'', ..] => escaped_length(text),
        [b'$', ..] => {
            let tag = name_at(&text[1..]).len();
            match text.as_bytes().get(1 + tag) {
                Some(b'$') => until(2 + tag, &text[..2 + tag]),
                _ => 0,
            }
        }
        [first, ..] if first.is_ascii_alphanumeric() || *first == b'_' => {
            // A whole word, so that the e of `like'x'` does not begin an escaped string.
            text.find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(text.len())
        }
        _ => 0,
    }
}

/// The length of `E'it\'s'`.
fn escaped_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(2) {
        match byte {
            b'\'' if !is_escaped => return at + 1,
            b'\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(sql: &str) -> (String, Vec<String>) {
        let named = Named::parse(sql);
        (named.sql, named.names)
    }

    #[test]
    fn names_become_numbers_in_the_order_of_their_first_use() {
        let (sql, names) = parsed("SELECT :b, :a, :b::int8, x::text FROM t WHERE größe = :größe_2 ;\n");
        assert_eq!(sql, "SELECT $1, $2, $1::int8, x::text FROM t WHERE größe = $3");
        assert_eq!(names, ["b", "a", "größe_2"]);
    }

    #[test]
    fn quotes_and_comments_are_left_alone() {
        let kept = [
            "SELECT ':a', 'it''s :a', \":a\", \"x\"\":a\"",
            "SELECT 1 -- :a\n, 2 /* :a ' */",
            r"SELECT E'it\'s :a', e'\\'",
            "SELECT $$ :a ' $$, $tag$ :a $$ $tag$",
            "SELECT a[1:2], '12:30', 1 : 2",
            "SELECT ':a never ends",
        ];
        for sql in kept {
            assert_eq!(parsed(sql), (sql.to_owned(), vec![]), "{sql}");
        }
        assert_eq!(parsed("SELECT 'é'||:a||E'\\':a'||:b").0, "SELECT 'é'||$1||E'\\':a'||$2");
        assert_eq!(parsed("WHERE name LIKE':a' AND b=:b").1, ["b"]);
    }
}
