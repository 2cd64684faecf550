//! Text of others (keys, values, what a database said) as a terminal may show it, and figures as people read them.

use std::time::Duration;

/// `text` without what would move a cursor, hide letters or turn their order round: such characters are written as escapes.
pub(crate) fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // As they are, though Rust would escape them.
            '"' | '\'' | '\\' => safe.push(c),
            c => safe.extend(c.escape_debug()),
        }
    }
    safe
}

/// A number of bytes in the unit that needs few digits.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 3] = ["KiB", "MiB", "GiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut scaled = bytes as f64 / 1024.0;
    let mut unit = 0;
    while scaled >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    format!("{scaled:.1} {}", UNITS[unit])
}

/// The memory of a store and its bound, of which nothing is said where nobody answered.
pub(crate) fn memory(used: Option<u64>, max: Option<u64>) -> String {
    match (used, max) {
        (None, _) => "unknown".to_owned(),
        (Some(used), None) => format!("{}, no bound", bytes(used)),
        (Some(used), Some(max)) => format!("{} of {}", bytes(used), bytes(max)),
    }
}

/// A moment, as the time since 1970-01-01 UTC, to the second: `2026-11-20 15:34:30Z`.
pub(crate) fn utc(since_epoch: Duration) -> String {
    const DAY: u64 = 86_400;
    let (days, second) = (since_epoch.as_secs() / DAY, since_epoch.as_secs() % DAY);
    let (year, month, day) = date(days);
    let (hours, minutes, seconds) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hours:02}:{minutes:02}:{seconds:02}Z")
}

/// Year, month and day, so many days after 1970-01-01, in the Gregorian calendar.
fn date(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097; // days of 400 years, after which the calendar repeats
    // Years that begin in March: the leap day is their last.
    let since_march_0 = days + 719_468;
    let (era, day) = (since_march_0 / ERA, since_march_0 % ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / (ERA - 1)) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_steers_a_terminal() {
        assert_eq!(safe("it's \"größe\" 雪 \\"), "it's \"größe\" 雪 \\");
        for hostile in [
            "\u{1b}[2J",
            "\r\n",
            "\0",
            "\u{9b}31m",
            "\u{202e}txt",
            "\u{200b}",
            "\u{7f}",
        ] {
            let shown = safe(hostile);
            let is_plain = |c: char| !c.is_control() && !matches!(c, '\u{200b}' | '\u{202e}');
            assert!(shown.starts_with('\\') && shown.chars().all(is_plain), "{shown}");
        }
    }

    #[test]
    fn memory_of_a_store_that_did_not_answer_has_no_bound_either() {
        assert_eq!(memory(None, None), "unknown");
        assert_eq!(memory(Some(1536), None), "1.5 KiB, no bound");
        assert_eq!(memory(Some(1536), Some(2 << 20)), "1.5 KiB of 2.0 MiB");
    }

    #[test]
    fn moments_are_days_of_the_calendar() {
        let at = |seconds| utc(Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01 00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28 23:59:59Z");
        assert_eq!(at(951_782_400), "2000-02-29 00:00:00Z");
        assert_eq!(at(1_795_188_870), "2026-11-20 15:34:30Z");
        assert_eq!(at(4_107_542_400), "2100-03-01 00:00:00Z");
    }

    #[test]
    fn sizes_have_few_digits() {
        assert_eq!(
            [bytes(0), bytes(1023), bytes(1536), bytes(5 << 30), bytes(1 << 50)],
            ["0 B", "1023 B", "1.5 KiB", "5.0 GiB", "1048576.0 GiB"]
        );
    }
}
