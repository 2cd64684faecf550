//! `maxmemory`: which keys go when the databases hold more than they may.
//!
//! Reference: <https://redis.io/docs/latest/develop/reference/eviction/>. Exact LRU would need a list through all
//! keys; like Redis the engine looks at a few random keys for each one it evicts and keeps the best
//! candidates seen so far in a small pool, which comes close to exact at a fraction of the cost.

use std::{fmt, str::FromStr};

use crate::{
    core::Core,
    db::{Db, Entry, Key},
    notify::Class,
};

/// What is evicted when `maxmemory` is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EvictionPolicy {
    /// Nothing: commands that may take memory are refused.
    #[default]
    NoEviction,
    /// The key that was not used for longest.
    AllKeysLru,
    /// The key that is used most rarely.
    AllKeysLfu,
    /// Any key.
    AllKeysRandom,
    /// Among the keys with a deadline, the one that was not used for longest.
    VolatileLru,
    /// Among the keys with a deadline, the one that is used most rarely.
    VolatileLfu,
    /// Any key with a deadline.
    VolatileRandom,
    /// The key whose deadline comes first.
    VolatileTtl,
}

impl EvictionPolicy {
    /// All policies by the names that Redis gives them, in the order of its error text.
    pub(crate) const NAMES: [(&'static str, Self); 8] = [
        ("volatile-lru", Self::VolatileLru),
        ("volatile-lfu", Self::VolatileLfu),
        ("volatile-random", Self::VolatileRandom),
        ("volatile-ttl", Self::VolatileTtl),
        ("allkeys-lru", Self::AllKeysLru),
        ("allkeys-lfu", Self::AllKeysLfu),
        ("allkeys-random", Self::AllKeysRandom),
        ("noeviction", Self::NoEviction),
    ];

    /// Whether the policy decides by how often keys are used; only then is that counted.
    pub(crate) const fn is_lfu(self) -> bool {
        matches!(self, Self::AllKeysLfu | Self::VolatileLfu)
    }

    const fn is_volatile(self) -> bool {
        matches!(
            self,
            Self::VolatileLru | Self::VolatileLfu | Self::VolatileRandom | Self::VolatileTtl
        )
    }

    const fn is_random(self) -> bool {
        matches!(self, Self::AllKeysRandom | Self::VolatileRandom)
    }

    /// How readily an entry is evicted: the highest goes first.
    fn score(self, entry: &Entry, now: u64) -> u64 {
        match self {
            Self::VolatileTtl => u64::MAX - entry.expires_at.unwrap_or(u64::MAX),
            Self::AllKeysLfu | Self::VolatileLfu => u64::from(u8::MAX - entry.frequency(now)),
            _ => now.saturating_sub(entry.used_at),
        }
    }
}

impl fmt::Display for EvictionPolicy {
    /// As `maxmemory-policy` names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Self::NAMES.iter().find(|(_, policy)| policy == self);
        f.write_str(known.expect("every policy has a name").0)
    }
}

/// A policy's name was not understood; it tells those that are.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "no eviction policy is called `{0}`; use noeviction or {{allkeys,volatile}}-{{lru,lfu,random}} or volatile-ttl"
)]
pub struct UnknownPolicy(String);

impl FromStr for EvictionPolicy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, policy)| *policy)
            .ok_or_else(|| UnknownPolicy(name.to_owned()))
    }
}

/// The best candidates for eviction that were seen and not yet evicted, the best last.
#[derive(Debug, Default)]
pub(crate) struct Pool(Vec<Candidate>);

#[derive(Debug)]
struct Candidate {
    score: u64,
    db: usize,
    key: Key,
}

impl Pool {
    /// As many as Redis keeps: a larger pool grows stale, as keys in it are used again.
    const MAX: usize = 16;

    fn offer(&mut self, candidate: Candidate) {
        let known = self
            .0
            .iter()
            .any(|other| other.db == candidate.db && other.key == candidate.key);
        let full = self.0.len() == Self::MAX;
        if known || full && candidate.score <= self.0[0].score {
            return;
        }
        if full {
            self.0.remove(0);
        }
        let position = self.0.partition_point(|other| other.score <= candidate.score);
        self.0.insert(position, candidate);
    }
}

impl Core {
    /// Evicts until the databases hold no more than `maxmemory`, and remembers whether that was possible.
    pub(crate) fn make_room(&mut self, now: u64) {
        /// A lowered `maxmemory` may have millions of keys to evict: they go a batch with each command, so that none
        /// waits for long. Redis bounds the same by time.
        const EVICTIONS_MAX: usize = 1_000;
        let max = self.settings.memory.max;
        self.out_of_memory = false;
        if max == 0 {
            return;
        }
        for _ in 0..EVICTIONS_MAX {
            if self.used_memory() <= max {
                return;
            }
            if !self.evict_one(now) {
                self.out_of_memory = true;
                return;
            }
        }
    }

    /// Evicts one key by the policy; `false` if there is none to evict.
    fn evict_one(&mut self, now: u64) -> bool {
        let policy = self.settings.memory.policy;
        let victim = match policy {
            EvictionPolicy::NoEviction => None,
            _ if policy.is_random() => self.draw(policy),
            _ => self.best_candidate(policy, now),
        };
        let Some((db, key)) = victim else { return false };
        self.dbs[db].take(&key);
        self.stats.evicted_keys += 1;
        self.effects.gone(db, &key);
        self.announce(db, &key, None, Class::Evicted, "evicted");
        true
    }

    /// A random key among those that the policy may evict, from the databases in turn.
    fn draw(&mut self, policy: EvictionPolicy) -> Option<(usize, Key)> {
        for _ in 0..self.dbs.len() {
            self.evict_next = (self.evict_next + 1) % self.dbs.len();
            let db = &self.dbs[self.evict_next];
            let position = self.random.below(evictable(db, policy) as u64) as usize;
            if let Some((key, _)) = evictable_at(db, policy, position) {
                return Some((self.evict_next, key.clone()));
            }
        }
        None
    }

    fn best_candidate(&mut self, policy: EvictionPolicy, now: u64) -> Option<(usize, Key)> {
        for (number, db) in self.dbs.iter().enumerate() {
            let len = evictable(db, policy);
            for _ in 0..self.settings.memory.samples.min(len) {
                let position = self.random.below(len as u64) as usize;
                if let Some((key, entry)) = evictable_at(db, policy, position) {
                    self.eviction_pool.offer(Candidate {
                        score: policy.score(entry, now),
                        db: number,
                        key: key.clone(),
                    });
                }
            }
        }
        // A candidate may be gone or have lost its deadline since it was seen.
        while let Some(Candidate { db, key, .. }) = self.eviction_pool.0.pop() {
            let entry = self.dbs[db].entry(&key);
            if entry.is_some_and(|entry| !policy.is_volatile() || entry.expires_at.is_some()) {
                return Some((db, key));
            }
        }
        None
    }

    /// What was seen under another policy was scored by another measure.
    pub(crate) fn forget_candidates(&mut self) {
        self.eviction_pool.0.clear();
    }
}

fn evictable(db: &Db, policy: EvictionPolicy) -> usize {
    if policy.is_volatile() {
        db.volatile_len()
    } else {
        db.len()
    }
}

fn evictable_at(db: &Db, policy: EvictionPolicy, position: usize) -> Option<(&Key, &Entry)> {
    if policy.is_volatile() {
        let key = db.volatile_at(position)?;
        db.entry(key).map(|entry| (key, entry))
    } else {
        db.at(position)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::testing::Shell;

    const MAX: usize = 100_000;

    fn shell(policy: EvictionPolicy) -> Shell {
        Shell::with(|builder| builder.maxmemory(MAX).policy(policy))
    }

    fn keys(shell: &Shell) -> BTreeSet<usize> {
        let crate::Reply::Array(keys) = shell.run("KEYS *") else {
            panic!("KEYS answers with an array")
        };
        let number = |reply: &crate::Reply| crate::testing::print(reply).trim_matches('"').parse().unwrap();
        keys.iter().map(number).collect()
    }

    fn used(shell: &Shell) -> usize {
        shell.engine.used_memory()
    }

    #[test]
    fn without_eviction_growing_is_refused_and_shrinking_allowed() {
        let shell = shell(EvictionPolicy::NoEviction);
        let refused = (0..10_000).find(|i| shell.run(&format!("SET {i} v")).is_error());
        let refused = refused.expect("the bound is reached");
        let oom = "OOM command not allowed when used memory > 'maxmemory'.";
        assert_eq!(shell.print("SET another v"), oom);
        assert_eq!(shell.print(&format!("GET {}", refused - 1)), "\"v\"");
        for i in 0..10 {
            shell.run(&format!("DEL {i}"));
        }
        assert_eq!(shell.print("SET another v"), "OK");
        assert!(used(&shell) <= MAX + 200, "one command may go over");
    }

    /// The keys used last survive: of the older half nearly all are gone, of the used tenth nearly none.
    #[test]
    fn lru_evicts_what_was_not_used_for_longest() {
        let shell = shell(EvictionPolicy::AllKeysLru);
        for i in 0..2_000 {
            shell.run(&format!("SET {i} v"));
            shell.advance(10);
            shell.run(&format!("GET {}", i % 50));
        }
        let left = keys(&shell);
        assert!(used(&shell) <= MAX + 200);
        let hot = (0..50).filter(|i| left.contains(i)).count();
        let old = (50..1_000).filter(|i| left.contains(i)).count();
        assert!(hot >= 48, "{hot} of 50 hot keys are left");
        assert!(old * 10 <= 950, "{old} of 950 old keys are left");
    }

    #[test]
    fn lfu_keeps_what_is_used_often_even_if_not_lately() {
        let shell = shell(EvictionPolicy::AllKeysLfu);
        for i in 0..50 {
            shell.run(&format!("SET {i} v"));
            (0..100).for_each(|_| _ = shell.run(&format!("GET {i}")));
        }
        for i in 50..2_000 {
            shell.run(&format!("SET {i} v"));
            shell.advance(1);
        }
        let left = keys(&shell);
        let hot = (0..50).filter(|i| left.contains(i)).count();
        assert!(hot >= 48, "{hot} of 50 frequent keys are left");
    }

    #[test]
    fn volatile_policies_spare_keys_without_a_deadline() {
        for policy in [
            EvictionPolicy::VolatileLru,
            EvictionPolicy::VolatileLfu,
            EvictionPolicy::VolatileRandom,
            EvictionPolicy::VolatileTtl,
        ] {
            let shell = shell(policy);
            (0..200).for_each(|i| _ = shell.run(&format!("SET {i} v")));
            (200..2_000).for_each(|i| _ = shell.run(&format!("SET {i} v EX {}", 10_000 - i)));
            let left = keys(&shell);
            assert!(
                (0..200).all(|i| left.contains(&i)),
                "{policy} spares what lives forever"
            );
            assert!(left.len() < 1_500, "{policy} evicts");
            let refused = (2_000..5_000).find(|i| shell.run(&format!("SET {i} v")).is_error());
            assert!(refused.is_some(), "{policy} refuses when only such keys are left");
        }
    }

    #[test]
    fn volatile_ttl_evicts_the_nearest_deadline_first() {
        let shell = shell(EvictionPolicy::VolatileTtl);
        (0..2_000).for_each(|i| _ = shell.run(&format!("SET {i} v EX {}", 100 + i)));
        let left = keys(&shell);
        let far = (1_500..2_000).filter(|i| left.contains(i)).count();
        let near = (0..500).filter(|i| left.contains(i)).count();
        assert!(far > 450 && near < 50, "{far} far and {near} near deadlines are left");
    }

    #[test]
    fn evictions_reach_trackers_and_watchers() {
        let shell = shell(EvictionPolicy::AllKeysRandom);
        let (reader, pushes) = shell.listener();
        crate::testing::check(
            &reader,
            "CLIENT TRACKING ON => OK\n SET mine v => OK\n GET mine => \"v\"\n WATCH mine => OK\n MULTI => OK",
        );
        for i in 0..10_000 {
            shell.run(&format!("SET {i} v"));
            if shell.print("EXISTS mine") == "(int) 0" {
                break;
            }
        }
        assert_eq!(pushes.take(), [r#"push["invalidate" ["mine"]]"#]);
        crate::testing::check(&reader, "EXEC => nil-array");
    }

    #[test]
    fn names_read_back() {
        for (name, policy) in EvictionPolicy::NAMES {
            assert_eq!(name.parse::<EvictionPolicy>().unwrap(), policy);
            assert_eq!(policy.to_string(), name);
        }
        assert!("lru".parse::<EvictionPolicy>().is_err());
    }
}
