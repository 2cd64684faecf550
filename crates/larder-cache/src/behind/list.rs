//! The list of dead letters: what people need to choose among them, and no values, which may be many times 8 MiB.

use larder_base::CacheKey;

use super::letters::{DeadLetter, LetterId, since_1970};
use crate::{
    Error,
    core::Core,
    script::{BehindLetters, LetterHead},
};

/// Bytes of keys and reasons in one list: some 50,000 letters of the usual length, and 1,700 of the longest.
pub(crate) const LIST_BYTES_MAX: usize = 16 << 20;

/// What one letter takes in memory beside its key and its reason.
const LETTER_BYTES: usize = size_of::<DeadLetter>();

/// Letters per request: the server reads each as a whole to leave its value out, and answers nobody else meanwhile.
const LETTERS_PER_CALL: usize = 16;

/// The oldest letters that have room.
#[derive(Default)]
struct List {
    letters: Vec<DeadLetter>,
    bytes: usize,
}

impl List {
    /// Keeps at most twice what it may in the end.
    fn add(&mut self, letter: DeadLetter, max: usize) {
        self.bytes += size_of_letter(&letter);
        self.letters.push(letter);
        if self.bytes > 2 * max {
            self.cut(max);
        }
    }

    /// Sorts, the oldest first, and drops those that have no room.
    fn cut(&mut self, max: usize) {
        self.letters.sort_unstable_by_key(|letter| (letter.died, letter.id));
        let mut bytes = 0;
        let fits = self.letters.iter().take_while(|letter| {
            bytes += size_of_letter(letter);
            bytes <= max
        });
        let fits = fits.count();
        self.letters.truncate(fits);
        self.bytes = self.letters.iter().map(size_of_letter).sum();
    }
}

fn size_of_letter(letter: &DeadLetter) -> usize {
    LETTER_BYTES + letter.key.len() + letter.why.len()
}

impl<K: CacheKey, V: Send + Sync + 'static> Core<K, V> {
    pub(crate) async fn list_dead_letters(&self) -> Result<Vec<DeadLetter>, Error> {
        let behind = self.behind_for("dead_letters")?;
        let mut list = List::default();
        for (partition, keys) in behind.keys.iter().enumerate() {
            let mut command = redis::cmd("HKEYS");
            command.arg(keys.x.as_ref());
            let mut store = self.store.clone();
            let ids: Vec<Vec<u8>> = command
                .query_async(&mut store)
                .await
                .map_err(|error| self.store_error("HKEYS", error.into()))?;
            for ids in ids.chunks(LETTERS_PER_CALL) {
                let x = &keys.x;
                for head in self.ask(&BehindLetters { x, ids }).await? {
                    if let Some(letter) = self.listed(partition, &head) {
                        list.add(letter, LIST_BYTES_MAX);
                    }
                }
            }
        }
        list.cut(LIST_BYTES_MAX);
        Ok(list.letters)
    }

    fn listed(&self, partition: usize, head: &LetterHead) -> Option<DeadLetter> {
        let field = std::str::from_utf8(&head.id).ok()?;
        let id: LetterId = format!("{partition}-{field}").parse().ok()?;
        Some(DeadLetter {
            id,
            key: self.label_of_field(&head.key),
            value: None,
            is_removal: head.is_removal,
            bytes: head.bytes,
            why: String::from_utf8_lossy(&head.why).into_owned(),
            died: since_1970(head.died_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn letter(died: u64, key_bytes: usize) -> DeadLetter {
        DeadLetter {
            id: format!("1-1-{died}").parse().expect("it is one"),
            key: "k".repeat(key_bytes),
            value: None,
            is_removal: false,
            bytes: 1,
            why: String::new(),
            died: Duration::from_secs(died),
        }
    }

    #[test]
    fn a_list_keeps_the_oldest_that_have_room_and_never_twice_as_much() {
        let max = 10 * (LETTER_BYTES + 100);
        let mut list = List::default();
        for died in (1..=1_000).rev() {
            list.add(letter(died, 100), max);
            assert!(list.bytes <= 2 * max + LETTER_BYTES + 100);
        }
        list.cut(max);
        let died: Vec<u64> = list.letters.iter().map(|letter| letter.died.as_secs()).collect();
        assert_eq!(died, (1..=10).collect::<Vec<_>>());
    }
}
