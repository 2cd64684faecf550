//! Some clients of one queue that call its scripts by hand, as they are or changed.

use std::time::Duration;

use larder_base::Clock;
use larder_testkit::{Answer, Wire};

macro_rules! texts {
    ($($name:literal),*) => {
        /// The scripts by name, as the queue sends them.
        const TEXTS: &[(&str, &str)] = &[$((
            $name,
            concat!(
                include_str!("../../../src/queue/script/common.lua"),
                include_str!(concat!("../../../src/queue/script/", $name, ".lua"))
            ),
        )),*];
    };
}

texts![
    "push",
    "turn",
    "beat",
    "tick",
    "schedule",
    "unschedule",
    "pause",
    "counts",
    "list",
    "replay",
    "remove",
    "purge"
];

const STEM: &str = "queue:{q:}";
/// Visibility, in ms.
pub(super) const VISIBILITY: u64 = 100_000;

/// Some clients of one queue.
pub(super) struct Lab {
    pub(super) wire: Wire,
    clock: Clock,
    texts: Vec<(&'static str, String)>,
    tokens: u32,
}

/// Who has which job.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Taken {
    pub(super) id: String,
    pub(super) payload: String,
    pub(super) attempt: i64,
    pub(super) token: String,
}

/// What may be said of a push.
#[derive(Clone, Copy, Default)]
pub(super) struct Put {
    pub(super) delay: u64,
    pub(super) priority: i64,
    pub(super) group: &'static str,
    pub(super) deadline: u64,
    pub(super) attempts: i64,
    pub(super) capacity: i64,
}

impl Lab {
    pub(super) fn new(wire: Wire, clock: &Clock, changed: impl Fn(&str, &str) -> String) -> Self {
        let text = |name: &str, text: &str| changed(name, text).replace(WORD, COUNTED);
        let texts = TEXTS.iter().map(|(name, plain)| (*name, text(name, plain))).collect();
        Self {
            wire,
            clock: clock.clone(),
            texts,
            tokens: 0,
        }
    }

    pub(super) fn run(&mut self, script: &str, args: &[&str]) -> Answer {
        let (_, text) = self.texts.iter().find(|(name, _)| *name == script).expect("a script");
        let mut call = vec!["EVAL", text, "1", STEM];
        call.extend(args);
        self.wire
            .call(&call)
            .unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// How often sleepers were told since this was last asked.
    pub(super) fn words(&mut self) -> u64 {
        match self.wire.call(&["GETDEL", "words"]).expect("the server answers") {
            Answer::Bytes(count) => String::from_utf8(count).expect("text").parse().expect("a number"),
            _ => 0,
        }
    }

    pub(super) fn push(&mut self, id: &str) -> i64 {
        self.put(id, Put::default())
    }

    /// 1 new, 0 known, -1 full.
    pub(super) fn put(&mut self, id: &str, put: Put) -> i64 {
        let attempts = if put.attempts == 0 { 3 } else { put.attempts };
        let capacity = if put.capacity == 0 { 1_000 } else { put.capacity };
        let texts = [
            put.delay.to_string(),
            put.priority.to_string(),
            put.deadline.to_string(),
        ];
        let (attempts, capacity) = (attempts.to_string(), capacity.to_string());
        let args = [
            id, id, &texts[0], "0", &texts[1], put.group, &texts[2], &attempts, "nonce", &capacity,
        ];
        self.run("push", &args).list()[0].int()
    }

    pub(super) fn turn(&mut self, count: u64, settle: &[(&Taken, &str)]) -> (Vec<Taken>, Vec<String>, Answer) {
        self.turn_as(count, settle, "", 0, 10)
    }

    pub(super) fn turn_as(
        &mut self,
        count: u64,
        settle: &[(&Taken, &str)],
        replaces: &str,
        running_max: u64,
        keep: u64,
    ) -> (Vec<Taken>, Vec<String>, Answer) {
        self.tokens += 1;
        let token = format!("{:032}", self.tokens);
        let (count, max, keep) = (count.to_string(), running_max.to_string(), keep.to_string());
        let visibility = VISIBILITY.to_string();
        let mut args = vec![&*token, replaces, &count, &visibility, &max, "600000", &keep];
        for (taken, how) in settle {
            args.extend([&*taken.id, &taken.token, how, "0", "because"]);
        }
        let answer = self.run("turn", &args);
        let parts = answer.list();
        let taken = parts[6].list().iter().map(|job| {
            let job = job.list();
            Taken {
                id: job[0].text(),
                payload: job[1].text(),
                attempt: job[2].int(),
                token: token.clone(),
            }
        });
        let taken = taken.collect();
        let settled = parts[5].list().iter().map(Answer::text).collect();
        (taken, settled, answer)
    }

    #[track_caller]
    pub(super) fn take(&mut self) -> Taken {
        let mut taken = self.turn(1, &[]).0;
        assert_eq!(taken.len(), 1, "a job can be taken");
        taken.remove(0)
    }

    pub(super) fn take_all(&mut self) -> Vec<String> {
        self.turn(100, &[]).0.into_iter().map(|taken| taken.id).collect()
    }

    /// What became of it.
    pub(super) fn settle(&mut self, taken: &Taken, how: &str) -> String {
        self.turn(0, &[(taken, how)]).1.remove(0)
    }

    pub(super) fn state(&mut self, id: &str) -> Option<String> {
        match self.wire.call(&["HGET", &format!("{STEM}:job:{id}"), "s"]) {
            Ok(Answer::Bytes(state)) => Some(String::from_utf8(state).expect("text")),
            _ => None,
        }
    }

    /// waiting, delayed, parked, running, dead, done, paused
    pub(super) fn counts(&mut self) -> Vec<i64> {
        self.run("counts", &[]).list()[..7].iter().map(Answer::int).collect()
    }

    /// Lets time pass: by hand on an engine; on a real server, which nobody hurries, what is stored becomes older instead.
    pub(super) fn pass(&mut self, ms: u64) {
        if let Some(hand) = self.clock.as_manual() {
            return hand.advance(Duration::from_millis(ms));
        }
        self.wire
            .call(&["EVAL", AGE, "1", STEM, &ms.to_string()])
            .expect("it ages");
    }
}

/// A word to sleepers, and the same counted, for a client that calls cannot listen beside it.
const WORD: &str = "redis.call('PUBLISH', Q .. ':wake', '')";
const COUNTED: &str = "redis.call('INCR', 'words') redis.call('EXPIRE', 'words', 9000)";

/// Takes so many ms off every time that a queue keeps.
const AGE: &str = "
    for _, part in ipairs({'later', 'run', 'dead', 'done'}) do
        local key = KEYS[1] .. ':' .. part
        for _, id in ipairs(redis.call('ZRANGE', key, 0, -1)) do redis.call('ZINCRBY', key, -ARGV[1], id) end
    end
    for _, key in ipairs(redis.call('KEYS', KEYS[1] .. ':job:*')) do
        for _, field in ipairs({'r', 'dl', 'due', 'c', 'f'}) do
            if redis.call('HEXISTS', key, field) == 1 then redis.call('HINCRBY', key, field, -ARGV[1]) end
        end
    end
    return 1";
