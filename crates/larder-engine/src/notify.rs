//! Telling everyone who watches a key that it changed: tracking clients, and subscribers of keyspace events.
//!
//! Reference: <https://redis.io/docs/latest/develop/use/keyspace-notifications/>. An event is published on
//! `__keyspace@<db>__:<key>` with the event as its message, and on `__keyevent@<db>__:<event>` with the key,
//! as far as `notify-keyspace-events` selects them; none by default.

use crate::{client::ClientId, core::Core};

/// The class of a keyspace event, as `notify-keyspace-events` selects it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Generic,
    String,
    List,
    Set,
    Hash,
    SortedSet,
    Stream,
    Expired,
    Evicted,
    /// A key that was not there before.
    New,
}

impl Class {
    /// Whether the event is of a type whose values can become empty.
    pub(crate) const fn is_of_collections(self) -> bool {
        matches!(self, Self::List | Self::Set | Self::Hash | Self::SortedSet)
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// The letters in the order in which `CONFIG GET` shows them, and the class that each selects. Modules and
/// key misses have letters and no events here.
const LETTERS: [(char, Option<Class>); 12] = [
    ('g', Some(Class::Generic)),
    ('$', Some(Class::String)),
    ('l', Some(Class::List)),
    ('s', Some(Class::Set)),
    ('h', Some(Class::Hash)),
    ('z', Some(Class::SortedSet)),
    ('x', Some(Class::Expired)),
    ('e', Some(Class::Evicted)),
    ('t', Some(Class::Stream)),
    ('d', None),
    ('n', Some(Class::New)),
    ('m', None),
];

/// `A` stands for the first so many: all but new keys and misses.
const LETTERS_IN_A: usize = 10;

/// Which events are published: the value of `notify-keyspace-events`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    by_key: bool,
    by_event: bool,
    /// One bit a letter of [`LETTERS`].
    letters: u32,
    /// One bit a class.
    classes: u32,
}

impl Selection {
    /// Reads the letters of `notify-keyspace-events`; `None` if one of them is unknown.
    pub(crate) fn parse(letters: &[u8]) -> Option<Self> {
        let mut selection = Self::default();
        for letter in letters {
            match char::from(*letter) {
                'K' => selection.by_key = true,
                'E' => selection.by_event = true,
                'A' => (0..LETTERS_IN_A).for_each(|i| selection.select(i)),
                letter => selection.select(LETTERS.iter().position(|(known, _)| *known == letter)?),
            }
        }
        Some(selection)
    }

    fn select(&mut self, letter: usize) {
        self.letters |= 1 << letter;
        self.classes |= LETTERS[letter].1.map_or(0, Class::bit);
    }

    /// As `CONFIG GET` shows it: `A` where it stands for everything selected, else the single letters.
    pub(crate) fn letters(self) -> String {
        const ALL: u32 = (1 << LETTERS_IN_A) - 1;
        const MISSES: u32 = 1 << (LETTERS.len() - 1);
        let mut shown = String::new();
        if self.letters & ALL == ALL {
            shown.push('A');
        } else {
            let single = (0..LETTERS.len() - 1).filter(|i| self.letters & (1 << i) != 0);
            shown.extend(single.map(|i| LETTERS[i].0));
        }
        shown.extend(self.by_key.then_some('K'));
        shown.extend(self.by_event.then_some('E'));
        shown.extend((self.letters & MISSES != 0).then_some('m'));
        shown
    }

    const fn wants(self, class: Class) -> bool {
        (self.by_key || self.by_event) && self.classes & class.bit() != 0
    }
}

impl Core {
    /// `key` of database `db` was changed by `by` (none: by time or by eviction).
    pub(crate) fn announce(&mut self, db: usize, key: &[u8], by: Option<ClientId>, class: Class, event: &'static str) {
        self.signal(db, key, by);
        self.note_for_waiters(db, key, class, event);
        self.event(db, key, class, event);
    }

    /// Tells those who decide by the key's state: transactions that watch it, clients that hold a copy.
    pub(crate) fn signal(&mut self, db: usize, key: &[u8], by: Option<ClientId>) {
        self.touch_watched(db, key);
        self.invalidate_tracked(key, by);
    }

    /// Tells the subscribers of keyspace events.
    pub(crate) fn event(&mut self, db: usize, key: &[u8], class: Class, event: &'static str) {
        let selection = self.settings.notify;
        if !selection.wants(class) {
            return;
        }
        if selection.by_key {
            let channel = [format!("__keyspace@{db}__:").as_bytes(), key].concat();
            self.publish(&channel, event.as_bytes());
        }
        if selection.by_event {
            self.publish(format!("__keyevent@{db}__:{event}").as_bytes(), key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_read_back_as_redis_shows_them() {
        for (given, shown) in [
            ("", ""),
            ("KEA", "AKE"),
            ("Kg$lshzxetd", "AK"),
            ("tK", "tK"),
            ("Ex", "xE"),
            ("xEg", "gxE"),
            ("KEAmn", "AKEm"),
            ("xdgmnE", "gxdnEm"),
        ] {
            let selection = Selection::parse(given.as_bytes()).expect("known letters");
            assert_eq!(selection.letters(), shown, "{given}");
        }
        assert_eq!(Selection::parse(b"KEq"), None);
    }
}
