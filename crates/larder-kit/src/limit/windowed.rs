//! What limits of so many permits per window have in common: how they are made.

/// The constructors of a rule with the fields `limit` and `window`, and the [`Limit`](super::Limit) that it is: of the kind
/// `KIND` beside it.
macro_rules! windowed {
    ($rule:ident) => {
        impl $rule {
            /// `limit` permits per `window`, which is a whole number of milliseconds.
            #[must_use]
            pub const fn per(limit: u64, window: Duration) -> Self {
                Self { limit, window }
            }

            /// `limit` permits per second.
            #[must_use]
            pub const fn per_second(limit: u64) -> Self {
                Self::per(limit, Duration::from_secs(1))
            }

            /// `limit` permits per minute.
            #[must_use]
            pub const fn per_minute(limit: u64) -> Self {
                Self::per(limit, Duration::from_secs(60))
            }

            /// `limit` permits per hour.
            #[must_use]
            pub const fn per_hour(limit: u64) -> Self {
                Self::per(limit, Duration::from_secs(3_600))
            }

            /// `limit` permits per day of 24 hours.
            #[must_use]
            pub const fn per_day(limit: u64) -> Self {
                Self::per(limit, Duration::from_secs(86_400))
            }
        }

        impl TryFrom<$rule> for $crate::limit::Limit {
            type Error = $crate::limit::LimitError;

            fn try_from(rule: $rule) -> Result<Self, Self::Error> {
                window::limit(&KIND, rule.limit, rule.window)
            }
        }
    };
}
pub(super) use windowed;
