//! Commands as the `redis` crate's blocking trait hands them over, in bytes, read back into commands.

use crate::redis::{self, Cmd, Pipeline, RedisError, RedisResult};

/// The one command in `bytes`.
pub(super) fn command(bytes: &[u8]) -> RedisResult<Cmd> {
    match <[Vec<Vec<u8>>; 1]>::try_from(words(bytes)?) {
        Ok([words]) => Ok(of_words(&words)),
        Err(_) => Err(malformed()),
    }
}

/// The pipeline in `bytes`; `MULTI` and `EXEC` round it where its answers are those of a transaction.
pub(super) fn pipeline(bytes: &[u8], offset: usize) -> RedisResult<Pipeline> {
    let mut commands = words(bytes)?;
    let mut pipeline = redis::pipe();
    if offset > 0 && commands.len() > offset {
        commands.truncate(offset);
        commands.remove(0);
        pipeline.atomic();
    }
    for words in &commands {
        pipeline.add_command(of_words(words));
    }
    Ok(pipeline)
}

fn of_words(words: &[Vec<u8>]) -> Cmd {
    let mut command = Cmd::new();
    for word in words {
        command.arg(word.as_slice());
    }
    command
}

/// Arrays of bulk strings, one after another. The crate's own parser reads ahead, and what it has read is lost with it.
fn words(mut bytes: &[u8]) -> RedisResult<Vec<Vec<Vec<u8>>>> {
    let mut commands = Vec::new();
    while !bytes.is_empty() {
        let count = number(&mut bytes, b'*')?;
        let words = (0..count).map(|_| word(&mut bytes));
        commands.push(words.collect::<RedisResult<_>>()?);
    }
    Ok(commands)
}

fn word(bytes: &mut &[u8]) -> RedisResult<Vec<u8>> {
    let length = number(bytes, b'$')?;
    let (word, rest) = bytes.split_at_checked(length).ok_or_else(malformed)?;
    *bytes = rest.strip_prefix(b"\r\n").ok_or_else(malformed)?;
    Ok(word.to_vec())
}

/// A line that begins with `kind` and goes on with a number.
fn number(bytes: &mut &[u8], kind: u8) -> RedisResult<usize> {
    let line = bytes.strip_prefix(&[kind]).ok_or_else(malformed)?;
    let end = line.windows(2).position(|two| two == b"\r\n").ok_or_else(malformed)?;
    *bytes = &line[end + 2..];
    let digits = std::str::from_utf8(&line[..end]).map_err(|_| malformed())?;
    digits.parse().map_err(|_| malformed())
}

fn malformed() -> RedisError {
    std::io::Error::new(std::io::ErrorKind::InvalidInput, "not the bytes of a Redis command").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_the_same_again() {
        let mut transaction = redis::pipe();
        transaction.atomic().set("k\r\n", b"\0\xff$3").get("k\r\n");
        let back = pipeline(&transaction.get_packed_pipeline(), 3).unwrap();
        assert_eq!(back.get_packed_pipeline(), transaction.get_packed_pipeline());

        let mut plain = redis::pipe();
        plain.set("a", "").get("a");
        let back = pipeline(&plain.get_packed_pipeline(), 0).unwrap();
        assert_eq!(back.get_packed_pipeline(), plain.get_packed_pipeline());

        let ping = redis::cmd("PING");
        assert_eq!(
            command(&ping.get_packed_command()).unwrap().get_packed_command(),
            ping.get_packed_command()
        );
        assert!(command(b"+OK\r\n").is_err());
        assert!(command(b"").is_err());
    }
}
