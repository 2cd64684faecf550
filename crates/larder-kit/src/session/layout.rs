//! Where sessions stand: `session:{<namespace>:<p>}:s:<ref>`, and beside them the list of their user,
//! `session:{<namespace>:<p>}:u:<user>`.
//!
//! All keys of a user's sessions share a partition, hence a slot, so that one script can check and change them together; the
//! id says which partition. An anonymous session is in any.

use larder_base::{CacheKey, Random, WrittenKey};
use xxhash_rust::xxh3::xxh3_64;

use super::id::{PARTITIONS, SessionId, SessionRef};
use crate::names::Namespace;

/// The keys of one namespace.
#[derive(Debug)]
pub(super) struct Layout {
    stems: Vec<String>,
}

/// A user, as keys name him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) written: String,
    pub(super) partition: u8,
}

impl User {
    pub(super) fn of<K: CacheKey>(key: &K) -> Self {
        let written = WrittenKey::of(key).as_str().to_owned();
        let partition = (xxh3_64(written.as_bytes()) % PARTITIONS) as u8;
        Self { written, partition }
    }
}

impl Layout {
    pub(super) fn new(namespace: &Namespace) -> Self {
        let stems = (0..PARTITIONS).map(|p| namespace.stem("session", &p)).collect();
        Self { stems }
    }

    pub(super) fn anywhere(random: &Random) -> u8 {
        random.below(PARTITIONS) as u8
    }

    pub(super) fn session(&self, id: &SessionId) -> String {
        self.sessions(id.partition()) + &id.reference().0
    }

    pub(super) fn session_of(&self, user: &User, reference: &SessionRef) -> String {
        self.sessions(user.partition) + &reference.0
    }

    pub(super) fn user(&self, user: &User) -> String {
        self.users(user.partition) + &user.written
    }

    /// What the keys of the sessions of a partition begin with.
    pub(super) fn sessions(&self, partition: u8) -> String {
        format!("{}:s:", self.stems[usize::from(partition)])
    }

    /// What the keys of the users of a partition begin with.
    pub(super) fn users(&self, partition: u8) -> String {
        format!("{}:u:", self.stems[usize::from(partition)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_of_a_user_share_one_hash_tag() {
        let layout = Layout::new(&Namespace::new("web").unwrap());
        let user = User::of(&"}{".to_owned());
        let id = SessionId::draw(&Random::system(), user.partition);
        let tag = format!("session:{{web:{}}}:", user.partition);
        assert_eq!(layout.user(&user), format!("{tag}u:}}{{"));
        assert_eq!(layout.session(&id), layout.session_of(&user, &id.reference()));
        assert!(layout.session(&id).starts_with(&format!("{tag}s:")));
        assert!(!layout.session(&id).contains(id.reveal()));
    }
}
