//! Deadlines: a key whose time has come goes when somebody looks at it, or when the engine comes across it.
//!
//! Looking is in [`Ctx`](crate::ctx::Ctx). The rest is done here, as in Redis: from time to time the engine looks at
//! a few random keys that have a deadline and goes on only as long as many of them have passed it, so the memory
//! held by dead keys stays a small share and the cost of a step is bounded.

use crate::{core::Core, notify::Class};

/// A step runs with the first command after so many milliseconds.
const STEP_EVERY: u64 = 100;

/// Keys looked at in one round.
const ROUND: usize = 20;

/// Another round follows if more than this share of a round had expired: a tenth.
const ENOUGH: usize = ROUND / 10;

/// Rounds in a step that a command pays for: at most some tens of microseconds.
const ROUNDS_IN_COMMAND: usize = 16;

/// Rounds in a [`tick`](crate::Engine::tick): a few milliseconds at most.
const ROUNDS_IN_TICK: usize = 2_000;

/// When dead keys were last looked for, and whether to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sweep {
    pub(crate) is_active: bool,
    /// Unix milliseconds.
    last: u64,
}

impl Default for Sweep {
    fn default() -> Self {
        Self {
            is_active: true,
            last: 0,
        }
    }
}

impl Core {
    /// Removes a key whose deadline has passed, and announces it.
    pub(crate) fn expire(&mut self, db: usize, key: &[u8]) {
        if self.dbs[db].take(key).is_some() {
            self.stats.expired_keys += 1;
            self.effects.gone(db, key);
            self.announce(db, key, None, Class::Expired, "expired");
        }
    }

    /// Looks for dead keys if the last time is long enough ago.
    pub(crate) fn sweep_if_due(&mut self, now: u64) {
        // A wall clock may step back: then too the next step is due.
        if now.abs_diff(self.sweep.last) >= STEP_EVERY {
            self.sweep.last = now;
            self.note_memory();
            self.rewrite_if_grown(now);
            self.stats.rate.sample(now, self.stats.commands);
            if self.sweep.is_active {
                self.sweep(now, ROUNDS_IN_COMMAND);
            }
        }
    }

    /// Looks for dead keys at length; how many were removed.
    pub(crate) fn sweep_at_length(&mut self, now: u64) -> usize {
        self.sweep.last = now;
        self.rewrite_if_grown(now);
        if self.sweep.is_active {
            self.sweep(now, ROUNDS_IN_TICK)
        } else {
            0
        }
    }

    fn sweep(&mut self, now: u64, rounds: usize) -> usize {
        let mut removed = 0;
        for db in 0..self.dbs.len() {
            for _ in 0..rounds {
                let expired = self.sweep_round(db, now);
                removed += expired;
                if expired <= ENOUGH {
                    break;
                }
            }
        }
        removed
    }

    fn sweep_round(&mut self, db: usize, now: u64) -> usize {
        let mut expired = 0;
        for _ in 0..ROUND.min(self.dbs[db].volatile_len()) {
            let position = self.random.below(self.dbs[db].volatile_len() as u64) as usize;
            let Some(key) = self.dbs[db].volatile_at(position).cloned() else {
                break;
            };
            if self.dbs[db].entry(&key).is_some_and(|entry| entry.is_expired(now)) {
                self.expire(db, &key);
                expired += 1;
            }
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Shell, check};

    fn fill(shell: &Shell, keys: usize) {
        (0..keys).for_each(|i| _ = shell.run(&format!("SET dies:{i} v PX 50")));
        (0..keys / 10).for_each(|i| _ = shell.run(&format!("SET lives:{i} v PX 1000000")));
        shell.run("SET forever v");
    }

    #[test]
    fn a_tick_removes_nearly_all_dead_keys_and_no_other() {
        let shell = Shell::new();
        fill(&shell, 1_000);
        assert_eq!(shell.engine.tick(), 0);
        shell.advance(50);
        let removed = shell.engine.tick();
        assert!(removed > 950, "{removed} of 1000");
        assert_eq!(shell.run("DBSIZE"), crate::Reply::count(1_101 - removed));
    }

    #[test]
    fn commands_pay_for_a_bounded_step_at_most_every_100_ms() {
        let shell = Shell::new();
        fill(&shell, 5_000);
        shell.advance(100);
        let size = |shell: &Shell| shell.print("DBSIZE")["(int) ".len()..].parse::<usize>().unwrap();
        let first = size(&shell);
        assert!((5_501 - 320..5_501).contains(&first), "one step was made: {first}");
        assert_eq!(size(&shell), first, "none is due");
        shell.advance(100);
        assert!(size(&shell) < first);
        shell.check("DEBUG SET-ACTIVE-EXPIRE 0 => OK");
        let before = size(&shell);
        shell.advance(100);
        assert_eq!(size(&shell), before, "switched off");
    }

    #[test]
    fn expiry_reaches_trackers_watchers_and_subscribers() {
        let shell = Shell::new();
        let (reader, pushes) = shell.listener();
        check(
            &reader,
            r#"
            CLIENT TRACKING ON => OK
            SET k v PX 50 => OK
            GET k => "v"
            WATCH k => OK
            MULTI => OK
            "#,
        );
        shell.advance(50);
        assert_eq!(shell.engine.tick(), 1);
        assert_eq!(pushes.take(), [r#"push["invalidate" ["k"]]"#]);
        check(&reader, "EXEC => nil-array");
    }
}
