//! A value of any service, read without its type, and never another than it was.
//!
//! JSON has numbers of any width, and who reads them without their type rounds those that fit no integer of 64 bits and no
//! floating point number. A value with such a number is refused when it is to be written.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};
use serde_json::{Value, value::RawValue};

/// A value, and whether a number in it would be rounded.
#[derive(Clone, Debug)]
pub(crate) struct Exact {
    value: Value,
    is_rounded: bool,
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self {
            value: serde_json::from_str(raw.get()).map_err(D::Error::custom)?,
            is_rounded: !numbers(raw.get()).all(is_kept),
        })
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_rounded {
            return Err(S::Error::custom(
                "a number in it is wider than what is read without its type, and would be rounded: let a process of the \
                 service flush it",
            ));
        }
        self.value.serialize(serializer)
    }
}

/// The numbers in valid JSON, as they are written: what lies between its strings and other signs and begins as one.
fn numbers(json: &str) -> impl Iterator<Item = &str> {
    let (mut is_text, mut is_escaped) = (false, false);
    json.split(move |c| {
        let was_text = is_text;
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => is_text = !is_text,
            _ => {}
        }
        was_text || !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')
    })
    .filter(|token| token.starts_with(|c: char| c == '-' || c.is_ascii_digit()))
}

/// Whether a number comes out as it is written.
fn is_kept(number: &str) -> bool {
    if !number.contains(['.', 'e', 'E']) {
        return number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok();
    }
    let kept = number.parse::<f64>().map(|kept| format!("{kept:e}"));
    kept.is_ok_and(|kept| digits(&kept) == digits(number))
}

/// The digits that make a number what it is, wherever its point stands.
fn digits(number: &str) -> String {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(json: &str) -> Result<String, String> {
        let exact: Exact = serde_json::from_str(json).expect("it is JSON");
        serde_json::to_string(&exact).map_err(|error| error.to_string())
    }

    #[test]
    fn what_any_type_of_64_bits_wrote_comes_out_as_it_was() {
        for json in [
            r#"{"a":18446744073709551615,"b":-9223372036854775808,"c":[0.1,-0.5,1e+300,5e-324,1.7976931348623157e+308]}"#,
            r#"{"a":0.0,"b":0,"c":"340282366920938463463374607431768211455","d":"\"1.2345678901234567890","e":null}"#,
            r#"{"1.2345678901234567890":{"":[]},"\\":1}"#,
            "42",
            r#""""#,
        ] {
            assert_eq!(written(json).as_deref(), Ok(json));
        }
        for float in [
            f64::MAX,
            f64::MIN_POSITIVE,
            f64::EPSILON,
            0.1 + 0.2,
            123_456_789.123_456_78,
            -0.0,
        ] {
            let json = serde_json::to_string(&[float]).expect("it is finite");
            assert_eq!(written(&json).as_deref(), Ok(&*json));
        }
        let single = serde_json::to_string(&[f32::MAX, 0.1, f32::MIN_POSITIVE]).expect("they are finite");
        assert!(written(&single).is_ok(), "{single}");
    }

    #[test]
    fn what_would_be_rounded_is_refused() {
        for json in [
            "340282366920938463463374607431768211455",
            "-9223372036854775809",
            r#"{"a":"\\","b":[18446744073709551616]}"#,
            "12345678901234567.89",
            "[0.12345678901234567890]",
        ] {
            let why = written(json).expect_err(json);
            assert!(why.contains("would be rounded"), "{why}");
        }
    }
}
