//! Values of URL parameters: spans of time, sizes, numbers; and the nearest name to one that is unknown.

use std::{fmt::Display, str::FromStr, time::Duration};

use crate::StoreError;

/// A span with its unit: `500ms`, `3s`, `2m`, `1h`. A bare number is refused, for seconds and milliseconds are
/// equally likely to be meant.
pub(super) fn span(name: &str, text: &str) -> Result<Duration, StoreError> {
    let wrong = || {
        StoreError::config(format!(
            "`{name}={text}`: write a span with its unit, such as 500ms, 3s or 2m"
        ))
    };
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())
}

/// A size as `redis.conf` writes it: `1k` is 1000 bytes, `1kb` 1024, and so on for `m` and `g`.
pub(super) fn size(name: &str, text: &str) -> Result<usize, StoreError> {
    let wrong = || {
        StoreError::config(format!(
            "`{name}={text}`: write a size such as 100mb, 2gb or a number of bytes"
        ))
    };
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale: usize = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1_000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return Err(wrong()),
    };
    let number: usize = number.parse().map_err(|_| wrong())?;
    number.checked_mul(scale).ok_or_else(wrong)
}

/// A plain number.
pub(super) fn number<T: FromStr<Err: Display>>(name: &str, text: &str) -> Result<T, StoreError> {
    text.parse()
        .map_err(|error| StoreError::config(format!("`{name}={text}`: {error}")))
}

/// The known name that differs least from `name`.
pub(super) fn nearest<'a>(name: &str, known: &[&'a str]) -> &'a str {
    known
        .iter()
        .min_by_key(|candidate| distance(name, candidate))
        .copied()
        .unwrap_or_default()
}

/// How many letters have to be added, dropped or changed to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_need_their_unit() {
        assert_eq!(span("x", "500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(span("x", "1.5s").unwrap(), Duration::from_millis(1_500));
        assert_eq!(span("x", "2m").unwrap(), Duration::from_secs(120));
        for text in ["3", "", "s", "-1s", "3 s", "1.2.3s", "3d"] {
            assert!(
                span("read_timeout", text)
                    .unwrap_err()
                    .to_string()
                    .contains("read_timeout"),
                "{text}"
            );
        }
    }

    #[test]
    fn sizes_are_read_as_redis_reads_them() {
        assert_eq!(size("x", "100mb").unwrap(), 100 << 20);
        assert_eq!(size("x", "1k").unwrap(), 1_000);
        assert_eq!(size("x", "0").unwrap(), 0);
        assert!(size("x", "1tb").is_err() && size("x", "99999999999gb").is_err());
    }

    #[test]
    fn a_slip_finds_its_name() {
        assert_eq!(nearest("pool_sise", &["db", "pool_size", "pool_timeout"]), "pool_size");
        assert_eq!(
            nearest("readtimeout", &["write_timeout", "read_timeout"]),
            "read_timeout"
        );
    }
}
