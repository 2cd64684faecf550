//! Settings from the environment, when asked for them.

use super::{StoreConfig, parse};
use crate::{Store, StoreError};

impl StoreConfig {
    /// Reads `REDIS_URL`; or, without it, `REDIS_HOST`, `REDIS_PORT`, `REDIS_USERNAME`, `REDIS_PASSWORD`, `REDIS_DB`, each
    /// with the default of the setting. Nothing else is read, and nothing unless this is called.
    ///
    /// # Errors
    /// [`StoreError::Config`] if neither `REDIS_URL` nor `REDIS_HOST` is set, or a value cannot be meant.
    pub fn from_env() -> Result<Self, StoreError> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(read: impl Fn(&str) -> Option<String>) -> Result<Self, StoreError> {
        let read = |name| read(name).filter(|value| !value.is_empty());
        if let Some(url) = read("REDIS_URL") {
            return Self::from_url(&url);
        }
        let host = read("REDIS_HOST")
            .ok_or_else(|| StoreError::config("neither `REDIS_URL` nor `REDIS_HOST` is set in the environment"))?;
        let mut config = Self::tcp(host, 6379);
        if let (super::Target::Tcp { port, .. }, Some(text)) = (&mut config.target, read("REDIS_PORT")) {
            *port = parse::number("REDIS_PORT", &text)?;
        }
        config.username = read("REDIS_USERNAME");
        config.password = read("REDIS_PASSWORD").map(super::Secret::new);
        if let Some(text) = read("REDIS_DB") {
            config.db = parse::number("REDIS_DB", &text)?;
        }
        config.validate()?;
        Ok(config)
    }
}

impl Store {
    /// Opens the store that the environment names: see [`StoreConfig::from_env`].
    ///
    /// # Errors
    /// As [`StoreConfig::from_env`] and [`Store::open`].
    pub async fn from_env() -> Result<Self, StoreError> {
        Self::connect(StoreConfig::from_env()?).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<String, String> {
        let read = |name: &str| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        StoreConfig::from_variables(read)
            .map(|config| config.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_url_comes_first() {
        let variables = [("REDIS_URL", "redis://a:1/2"), ("REDIS_HOST", "b")];
        assert_eq!(from(&variables).unwrap(), "redis://a:1/2");
    }

    #[test]
    fn parts_make_an_address() {
        let variables = [
            ("REDIS_HOST", "h"),
            ("REDIS_PORT", "7"),
            ("REDIS_USERNAME", "u"),
            ("REDIS_PASSWORD", "p"),
            ("REDIS_DB", "3"),
        ];
        assert_eq!(from(&variables).unwrap(), "redis://u:***@h:7/3");
        assert_eq!(
            from(&[("REDIS_HOST", "h"), ("REDIS_PORT", "")]).unwrap(),
            "redis://h:6379/0"
        );
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        assert!(from(&[]).unwrap_err().contains("REDIS_URL"));
        assert!(
            from(&[("REDIS_HOST", "h"), ("REDIS_PORT", "many")])
                .unwrap_err()
                .contains("REDIS_PORT")
        );
        assert!(
            from(&[("REDIS_HOST", "h"), ("REDIS_USERNAME", "u")])
                .unwrap_err()
                .contains("password")
        );
    }
}
