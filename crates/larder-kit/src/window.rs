//! Windows of time by the server's clock: days, weeks, months, or any length.
//!
//! A script must be given its keys, and which window is open only the server knows. So the caller says for which window it
//! made them, and a script that finds that it is not open does nothing and answers with the server's time; the caller then
//! makes them anew. That costs a second round trip at the edge of a window, or where a clock is wrong, once.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicI64, Ordering::Relaxed},
    time::Duration,
};

use larder_base::Clock;
use larder_store::{ScriptCall, Store, StoreError};
use redis::Value;

use crate::reply;

/// Windows of time, which follow each other without a gap. The server's clock says which one is open; days begin at
/// midnight UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Window {
    /// Windows of this length, counted from 1970; a whole number of milliseconds, at most a hundred years.
    Every(Duration),
    /// A day of 24 hours.
    Day,
    /// Seven days, from Monday on.
    Week,
    /// A month of the calendar.
    Month,
}

/// One window: when it begins and ends, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: i64,
    pub(crate) until: i64,
}

const DAY: i64 = 86_400_000;

/// 1970 began on a Thursday: three days into a week.
const BEFORE_THURSDAY: i64 = 3;

const LONGEST: i64 = 100 * 366 * DAY;

impl Window {
    /// What is wrong with it, if something is.
    pub(crate) fn check(self) -> Result<(), String> {
        match self {
            Self::Every(length) if length.subsec_nanos() % 1_000_000 != 0 || length.is_zero() => Err(format!(
                "windows of {length:?} cannot be counted; say a whole number of milliseconds"
            )),
            Self::Every(length) if length.as_millis() > LONGEST as u128 => {
                Err(format!("windows of {length:?} are longer than a hundred years"))
            }
            _ => Ok(()),
        }
    }

    /// The window that is `ago` before the one in which `now` is.
    pub(crate) fn at(self, now: i64, ago: u32) -> Span {
        let ago = i64::from(ago);
        let even = |length: i64, first: i64| {
            let from = (now - first).div_euclid(length) * length + first - ago.saturating_mul(length);
            Span {
                from,
                until: from + length,
            }
        };
        match self {
            Self::Every(length) => even(length.as_millis() as i64, 0),
            Self::Day => even(DAY, 0),
            Self::Week => even(7 * DAY, -BEFORE_THURSDAY * DAY),
            Self::Month => {
                let (year, month, _) = civil(now.div_euclid(DAY));
                let month = year * 12 + i64::from(month) - 1 - ago;
                Span {
                    from: first_day(month) * DAY,
                    until: first_day(month + 1) * DAY,
                }
            }
        }
    }

    /// What the key of a window ends in: its first day, or its beginning in milliseconds.
    pub(crate) fn name(self, span: Span) -> String {
        let (year, month, day) = civil(span.from.div_euclid(DAY));
        let mut name = String::new();
        let written = match self {
            Self::Every(_) => write!(name, ":{}", span.from),
            Self::Day => write!(name, ":day-{year:04}-{month:02}-{day:02}"),
            Self::Week => write!(name, ":week-{year:04}-{month:02}-{day:02}"),
            Self::Month => write!(name, ":month-{year:04}-{month:02}"),
        };
        written.expect("writing to a string does not fail");
        name
    }
}

/// Year, month and day of a number of days since 1970 (H. Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u32, day as u32)
}

/// The day since 1970 on which a month begins, counted from January of the year 0.
fn first_day(month: i64) -> i64 {
    let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
    let year = year - i64::from(month <= 2);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted_month + 2) / 5;
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

/// How often a call is made anew because its window was over: once for a clock that is wrong, once for an edge of a window
/// that is met just then, and once more.
const TRIES: usize = 4;

/// What a window is on the server, as far as this process knows.
#[derive(Debug)]
pub(crate) struct Windows {
    window: Option<Window>,
    /// The server's clock less ours, in milliseconds, from when it last told.
    ahead: AtomicI64,
}

impl Windows {
    pub(crate) fn new(window: Option<Window>) -> Self {
        Self {
            window,
            ahead: AtomicI64::new(0),
        }
    }

    pub(crate) const fn window(&self) -> Option<Window> {
        self.window
    }

    /// Runs the call that `make` makes for the window that is open now, whose scripts begin as this module says: arguments
    /// 1 and 2 are the window, until = 0 for none, and they answer `{0, now}` if it is not open.
    pub(crate) async fn run(
        &self,
        store: &Store,
        make: impl Fn(Span) -> ScriptCall + Send,
    ) -> Result<Value, StoreError> {
        let mut script = "";
        for _ in 0..TRIES {
            let local = unix_ms(store.clock());
            let call = make(self.open(local));
            script = call.script().name();
            let reply = store.call(&call).await?;
            match reply::items(&reply, 1, script)? {
                [Value::Int(0), now] => self.ahead.store(reply::integer(now)? - local, Relaxed),
                _ => return Ok(reply),
            }
        }
        Err(reply::unexpected(script))
    }

    fn open(&self, local: i64) -> Span {
        match self.window {
            Some(window) => window.at(local + self.ahead.load(Relaxed), 0),
            None => Span { from: 0, until: 0 },
        }
    }
}

fn unix_ms(clock: &Clock) -> i64 {
    i64::try_from(clock.unix().as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-20 19:06:28 UTC, a Friday.
    const NOW: i64 = 1_795_201_588_000;

    fn name(window: Window, ago: u32) -> String {
        window.name(window.at(NOW, ago))
    }

    #[test]
    fn windows_are_those_of_the_calendar() {
        assert_eq!(name(Window::Day, 0), ":day-2026-11-20");
        assert_eq!(name(Window::Day, 20), ":day-2026-10-31");
        assert_eq!(name(Window::Week, 0), ":week-2026-11-16");
        assert_eq!(name(Window::Week, 1), ":week-2026-11-09");
        assert_eq!(name(Window::Month, 0), ":month-2026-11");
        assert_eq!(name(Window::Month, 11), ":month-2025-12");
        assert_eq!(name(Window::Every(Duration::from_secs(3_600)), 1), ":1795197600000");
    }

    #[test]
    fn windows_follow_each_other_and_hold_their_time() {
        for window in [
            Window::Day,
            Window::Week,
            Window::Month,
            Window::Every(Duration::from_millis(7)),
        ] {
            let open = window.at(NOW, 0);
            assert!((open.from..open.until).contains(&NOW), "{window:?}");
            for ago in 0..500 {
                let (one, before) = (window.at(NOW, ago), window.at(NOW, ago + 1));
                assert_eq!(one.from, before.until, "{window:?}, {ago} ago");
                assert_eq!(window.at(one.from, 0), one);
                assert_eq!(window.at(one.until - 1, 0), one);
            }
        }
    }

    #[test]
    fn a_day_is_found_from_its_date() {
        for days in -1_000..60_000 {
            let (year, month, day) = civil(days);
            assert_eq!(first_day(year * 12 + i64::from(month) - 1) + i64::from(day) - 1, days);
        }
    }

    #[test]
    fn a_window_has_a_length() {
        assert!(Window::Every(Duration::ZERO).check().is_err());
        assert!(Window::Every(Duration::from_micros(1_500)).check().is_err());
        assert!(Window::Every(Duration::MAX).check().is_err());
        assert!(Window::Every(Duration::from_millis(1)).check().is_ok());
    }
}
