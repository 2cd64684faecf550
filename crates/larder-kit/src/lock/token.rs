//! What shows that a lease is one's own.

use std::{fmt, str::FromStr};

use larder_base::Random;

/// 128 random bits, drawn for each attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token([u8; 16]);

impl Token {
    /// That of no attempt.
    pub(super) const NONE: Self = Self([0; 16]);

    pub(crate) fn draw(random: &Random) -> Self {
        Self(random.bytes())
    }

    pub(crate) const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// What shows that a lock is held, to be handed to another process, which [adopts](super::StoreLock::adopt) it.
///
/// Whoever has it can take the lock over: it is a secret, which `Debug` does not show. It is good for one adoption, and only as
/// long as the lock lasts: for the `ttl` since it was last renewed.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use larder_kit::lock::{Lock, OwnerToken, StoreLock};
///
/// let store = larder_store::Store::open("embedded:").await?;
/// let uploads = StoreLock::builder("uploads").store(&store).build()?;
/// let guard = uploads.acquire(&42).await?;
/// let text = guard.into_token().expect("the lock of a store has a token").reveal();
///
/// // In another process, which was given the text:
/// let token: OwnerToken = text.parse()?;
/// let guard = uploads.adopt(&42, token).await?;
/// guard.release().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct OwnerToken(Token);

impl OwnerToken {
    pub(super) const fn new(token: Token) -> Self {
        Self(token)
    }

    pub(super) const fn token(&self) -> Token {
        self.0
    }

    /// The token as text, 32 hexadecimal digits, for a message or a job's arguments. [`str::parse`] reads it.
    #[must_use]
    pub fn reveal(&self) -> String {
        self.0.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for OwnerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnerToken(..)")
    }
}

/// A text that is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a lock's token is 32 hexadecimal digits, as `OwnerToken::reveal` writes them")]
pub struct BadToken;

impl FromStr for OwnerToken {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let is_token = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| is_token);
        number.map(|number| Self(Token(number.to_be_bytes()))).ok_or(BadToken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_the_way_as_text_and_does_not_show() {
        let token = OwnerToken(Token::draw(&Random::seeded(7)));
        let text = token.reveal();
        assert_eq!(text.parse::<OwnerToken>().as_ref(), Ok(&token));
        assert_eq!(format!("{token:?}"), "OwnerToken(..)");
        for bad in ["", "12", &text[1..], &format!("+{}", &text[1..]), &format!("{text}0")] {
            assert_eq!(bad.parse::<OwnerToken>(), Err(BadToken), "{bad}");
        }
    }
}
