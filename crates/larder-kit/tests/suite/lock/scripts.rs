//! The scripts by themselves: what each rule in them is for. Each check runs on every kind of store, and [`mutants`](super::mutants)
//! runs it again on scripts of which one rule is left out.

use larder_testkit::{Answer, Kind, Topology, UNIT, Wire};

/// The scripts by their name.
pub(super) const SCRIPTS: &[(&str, &str)] = &[
    ("acquire", include_str!("../../../src/lock/acquire.lua")),
    ("extend", include_str!("../../../src/lock/extend.lua")),
    ("release", include_str!("../../../src/lock/release.lua")),
    ("adopt", include_str!("../../../src/lock/adopt.lua")),
    (
        "semaphore_acquire",
        include_str!("../../../src/lock/semaphore_acquire.lua"),
    ),
    ("member_extend", include_str!("../../../src/lock/member_extend.lua")),
    ("member_release", include_str!("../../../src/lock/member_release.lua")),
    ("read_acquire", include_str!("../../../src/lock/read_acquire.lua")),
    ("write_acquire", include_str!("../../../src/lock/write_acquire.lua")),
    ("campaign", include_str!("../../../src/lock/campaign.lua")),
    ("campaign_extend", include_str!("../../../src/lock/campaign_extend.lua")),
];

const NONE: [u8; 16] = [0; 16];
const A: [u8; 16] = [b'a'; 16];
const B: [u8; 16] = [b'b'; 16];
const C: [u8; 16] = [b'c'; 16];

/// A lease in these checks: 20 units.
const TTL: u32 = 20;

/// A rule of a script written otherwise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mutation {
    pub(super) script: &'static str,
    pub(super) text: &'static str,
    pub(super) other: &'static str,
}

/// A store and the scripts.
pub(super) struct Lab {
    t: Topology,
    wire: Wire,
    mutation: Option<Mutation>,
}

impl Lab {
    pub(super) async fn new(kind: Kind, mutation: Option<Mutation>) -> Self {
        let t = Topology::start(kind).await;
        let wire = t.wire();
        Self { t, wire, mutation }
    }

    fn source(&self, name: &str) -> String {
        let (_, source) = SCRIPTS
            .iter()
            .find(|(known, _)| *known == name)
            .expect("there is such a script");
        match self.mutation {
            Some(Mutation { script, text, other }) if script == name => {
                assert!(source.contains(text), "{text:?} in {name}");
                source.replace(text, other)
            }
            _ => (*source).to_owned(),
        }
    }

    /// The reply as texts.
    fn run(&mut self, name: &str, keys: &[&str], args: &[&[u8]]) -> Vec<String> {
        let (source, count) = (self.source(name), keys.len().to_string());
        let mut call: Vec<&[u8]> = vec![b"EVAL", source.as_bytes(), count.as_bytes()];
        call.extend(keys.iter().map(|key| key.as_bytes()));
        call.extend(args);
        match self.wire.call(&call).expect("the script runs") {
            Answer::List(items) => items.iter().map(text).collect(),
            other => vec![text(&other)],
        }
    }

    fn call(&mut self, args: &[&str]) -> Answer {
        self.wire.call(args).expect("the server answers")
    }

    fn pttl(&mut self, key: &str) -> i64 {
        self.call(&["PTTL", key]).int()
    }

    async fn pass(&self, units: u32) {
        self.t.advance(units).await;
    }

    fn lock(&mut self, token: [u8; 16], replaces: [u8; 16]) -> Vec<String> {
        self.run("acquire", &["{a}l", "{a}f"], &[&token, &ttl(), &replaces])
    }

    fn permit(&mut self, token: [u8; 16], replaces: [u8; 16]) -> Vec<String> {
        self.run("semaphore_acquire", &["{a}z"], &[&token, &ttl(), &replaces, b"2"])
    }

    fn read(&mut self, token: [u8; 16], replaces: [u8; 16]) -> Vec<String> {
        self.run("read_acquire", &["{a}w", "{a}r", "{a}q"], &[&token, &ttl(), &replaces])
    }

    fn write(&mut self, token: [u8; 16], replaces: [u8; 16], waits: &str) -> Vec<String> {
        let keys = ["{a}w", "{a}f", "{a}r", "{a}q"];
        self.run("write_acquire", &keys, &[&token, &ttl(), &replaces, waits.as_bytes()])
    }

    fn campaign(&mut self, token: [u8; 16], replaces: [u8; 16]) -> Vec<String> {
        self.run("campaign", &["{a}e", "{a}f"], &[&token, &ttl(), &replaces, b"7:me"])
    }

    /// What extends or releases.
    fn on(&mut self, script: &str, keys: &[&str], token: [u8; 16]) -> String {
        let args: [&[u8]; 2] = [&token, &ttl()];
        let args = if script.ends_with("release") { &args[..1] } else { &args };
        self.run(script, keys, args).remove(0)
    }
}

fn ttl() -> Vec<u8> {
    millis(TTL).to_string().into_bytes()
}

fn millis(units: u32) -> i64 {
    i64::try_from((UNIT * units).as_millis()).expect("small")
}

fn text(answer: &Answer) -> String {
    match answer {
        Answer::Int(number) => number.to_string(),
        other => other.text(),
    }
}

fn number(text: &str) -> i64 {
    text.parse().expect("a number")
}

/// A bare client blocks its thread while a server in this process answers on another one.
fn on_two_threads(check: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime can be built").block_on(check);
}

/// A check.
pub(super) type Check = fn(Kind, Option<Mutation>);

macro_rules! checks {
    ($($(#[$doc:meta])* $name:ident($lab:ident) $body:block)*) => {
        $($(#[$doc])*
        pub(super) fn $name(kind: Kind, mutation: Option<Mutation>) {
            on_two_threads(async {
                let mut $lab = Lab::new(kind, mutation).await;
                $body
            });
        })*

        /// Each with its name.
        pub(super) const CHECKS: &[(&str, Check)] = &[$((stringify!($name), $name)),*];
    };
}

checks! {
    the_fence_is_never_behind_the_clock_nor_the_last(lab) {
        let first = number(&lab.lock(A, NONE)[1]);
        assert!(first > 1_000_000_000_000_000, "microseconds since 1970, though nothing was stored: {first}");
        lab.on("release", &["{a}l"], A);
        lab.call(&["SET", "{a}f", "9000000000000000"]);
        assert_eq!(lab.lock(B, NONE)[1], "9000000000000001", "though the clock is behind");
        lab.on("release", &["{a}l"], B);
        assert_eq!(lab.write(A, NONE, "0")[1], "9000000000000002", "a writer's, too");
        assert_eq!(lab.campaign(B, NONE)[1], "9000000000000003", "and a leader's");
        for (key, least) in [("{a}f", 86_000_000), ("{a}w", 1), ("{a}e", 1)] {
            assert!(lab.pttl(key) >= least, "{key} has no end");
        }
        lab.call(&["DEL", "{a}f", "{a}w", "{a}e"]);
        assert!(number(&lab.write(A, NONE, "0")[1]) > 1_000_000_000_000_000);
        lab.call(&["DEL", "{a}f"]);
        assert!(number(&lab.campaign(B, NONE)[1]) > 1_000_000_000_000_000);
    }

    a_fence_that_was_lost_comes_back_with_the_next_renewal(lab) {
        for (acquire, extend, key) in [("lock", "extend", "{a}l"), ("campaign", "campaign_extend", "{a}e")] {
            let granted = if acquire == "lock" { lab.lock(A, NONE) } else { lab.campaign(A, NONE) };
            lab.call(&["DEL", "{a}f"]);
            assert_eq!(lab.on(extend, &[key, "{a}f"], A), "1");
            assert_eq!(lab.call(&["GET", "{a}f"]).text(), granted[1]);
            assert!(lab.pttl("{a}f") > 86_000_000);
        }
    }

    the_same_request_again_renews_nothing(lab) {
        let (lock, permit) = (lab.lock(A, NONE), lab.permit(A, NONE));
        let (reader, leader) = (lab.read(A, NONE), lab.campaign(A, NONE));
        lab.call(&["DEL", "{a}r"]);
        let writer = lab.write(A, NONE, "0");
        lab.call(&["ZADD", "{a}r", "9000000000000000", "aaaaaaaaaaaaaaaa"]);
        lab.pass(TTL / 2).await;
        let half = millis(TTL / 2) + 20;
        for (before, again, key) in [
            (lock, lab.lock(A, NONE), "{a}l"),
            (permit, lab.permit(A, NONE), "{a}z"),
            (leader, lab.campaign(A, NONE), "{a}e"),
            (writer, lab.write(A, NONE, "0"), "{a}w"),
        ] {
            assert_eq!(before[..2], again[..2], "{key}");
            assert!(number(&again[2]) <= half && lab.pttl(key) <= half, "{key}: {again:?}");
        }
        // The reader's lease was made to last: what is told is what is left.
        assert_eq!(reader[0], "1");
        lab.call(&["DEL", "{a}w"]);
        assert!(number(&lab.read(A, NONE)[2]) > millis(TTL));
    }

    a_retry_takes_the_place_of_what_it_repeats(lab) {
        let first = lab.lock(A, NONE);
        let second = lab.lock(B, A);
        assert_eq!((&second[0], &second[1]), (&first[0], &first[1]), "the fence was never used");
        assert_eq!(lab.lock(A, NONE)[0], "0", "its late first copy gets nothing");
        assert_eq!(lab.on("release", &["{a}l"], A), "0");
        assert_eq!(lab.on("extend", &["{a}l", "{a}f"], B), "1");

        assert_eq!([&lab.permit(A, NONE)[0], &lab.permit(B, NONE)[0]], ["1", "1"]);
        assert_eq!(lab.permit(C, NONE)[0], "0", "two of two");
        assert_eq!(lab.permit(C, A)[0], "1", "in the place of the first");
        assert_eq!(lab.call(&["ZCARD", "{a}z"]).int(), 2);
        assert_eq!(lab.on("member_extend", &["{a}z"], A), "0");

        assert_eq!(lab.read(A, NONE)[0], "1");
        assert_eq!(lab.write(C, NONE, "1000")[0], "0", "somebody reads, and a writer waits");
        assert_eq!(lab.read(B, NONE)[0], "0");
        assert_eq!(lab.read(B, A)[0], "1", "it was in already");
        assert_eq!(lab.call(&["ZCARD", "{a}r"]).int(), 1);
        lab.call(&["DEL", "{a}r", "{a}q"]);

        let first = lab.write(A, NONE, "0");
        assert_eq!(lab.write(B, A, "0")[1], first[1]);
        assert_eq!(lab.write(A, NONE, "0")[0], "0");
        let first = lab.campaign(A, NONE);
        assert_eq!(lab.campaign(B, A)[1], first[1]);
        assert_eq!(lab.campaign(A, NONE)[0], "0");
    }

    a_retry_has_its_whole_time(lab) {
        lab.lock(A, NONE);
        lab.write(A, NONE, "0");
        lab.campaign(A, NONE);
        lab.pass(TTL / 2).await;
        let more = millis(TTL / 2) + 20;
        let (lock, writer, leader) = (lab.lock(B, A), lab.write(B, A, "0"), lab.campaign(B, A));
        for (granted, key) in [(lock, "{a}l"), (writer, "{a}w"), (leader, "{a}e")] {
            assert!(number(&granted[2]) > more && lab.pttl(key) > more, "{key}: {granted:?}");
        }
    }

    what_is_anothers_stays(lab) {
        lab.lock(A, NONE);
        lab.campaign(A, NONE);
        lab.write(A, NONE, "0");
        for (extend, release, keys) in [
            ("extend", "release", ["{a}l", "{a}f"]),
            ("campaign_extend", "release", ["{a}e", "{a}f"]),
            ("extend", "release", ["{a}w", "{a}f"]),
        ] {
            lab.pass(1).await;
            assert_eq!(lab.on(extend, &keys, B), "0");
            assert_eq!(lab.on(release, &keys[..1], B), "0");
            assert!(lab.pttl(keys[0]) > 0 && lab.pttl(keys[0]) < millis(TTL), "neither renewed nor removed");
            assert_eq!(lab.on(release, &keys[..1], A), "1");
            assert_eq!(lab.on(extend, &keys, A), "0");
        }
        lab.permit(A, NONE);
        assert_eq!(lab.on("member_extend", &["{a}z"], B), "0");
        assert_eq!(lab.on("member_release", &["{a}z"], B), "0");
        assert_eq!(lab.call(&["ZCARD", "{a}z"]).int(), 1);
        assert_eq!(lab.on("member_release", &["{a}z"], A), "1");
        assert_eq!(lab.on("member_extend", &["{a}z"], A), "0");
    }

    a_renewal_lasts(lab) {
        lab.lock(A, NONE);
        lab.campaign(A, NONE);
        lab.permit(A, NONE);
        lab.pass(TTL / 2).await;
        assert_eq!(lab.on("extend", &["{a}l", "{a}f"], A), "1");
        assert_eq!(lab.on("campaign_extend", &["{a}e", "{a}f"], A), "1");
        assert_eq!(lab.on("member_extend", &["{a}z"], A), "1");
        lab.pass(TTL / 2 + 2).await;
        assert_eq!(lab.lock(B, NONE)[0], "0");
        assert_eq!(lab.campaign(B, NONE)[0], "0");
        assert_eq!(lab.permit(B, NONE)[0], "1");
        assert_eq!(lab.permit(C, NONE)[0], "0", "the first one is there still");
    }

    a_lease_among_several_lapses_alone(lab) {
        lab.permit(A, NONE);
        lab.read(A, NONE);
        lab.pass(TTL / 2).await;
        lab.permit(B, NONE);
        lab.read(B, NONE);
        let left = number(&lab.write(C, NONE, "0")[1]);
        assert!(left > millis(TTL / 2) + 20, "until the last of two readers: {left}");
        lab.pass(TTL / 2 + 2).await;
        assert!(lab.pttl("{a}z") > 0 && lab.pttl("{a}r") > 0, "each key ends with its last lease");
        assert_eq!(lab.on("member_extend", &["{a}z"], A), "0", "a lapsed one is not revived");
        assert_eq!(lab.on("member_release", &["{a}z"], A), "0", "nor was it held");
        assert_eq!(lab.on("member_extend", &["{a}r"], A), "0");
        let left = number(&lab.write(C, NONE, "0")[1]);
        assert!(left > 0 && left < millis(TTL / 2), "until the last reader: {left}");
        assert_eq!(lab.permit(C, NONE)[0], "1");
        let left = number(&lab.permit(A, NONE)[1]);
        assert!(left > 0 && left < millis(TTL / 2), "until the first permit: {left}");
        lab.pass(TTL / 2).await;
        assert_eq!(lab.write(C, NONE, "0")[0], "1", "all have lapsed");
    }

    a_lease_that_lapsed_takes_no_room(lab) {
        // A key that lasts for another's sake.
        lab.call(&["ZADD", "{a}z", "1", "lapsed-1", "2", "lapsed-2", "9000000000000000", "lives"]);
        assert_eq!(lab.permit(A, NONE)[0], "1");
        lab.call(&["ZADD", "{a}r", "1", "lapsed"]);
        assert_eq!(lab.write(A, NONE, "0")[0], "1");
        lab.call(&["DEL", "{a}w"]);
        lab.call(&["ZADD", "{a}r", "1", "cccccccccccccccc"]);
        assert_eq!(lab.read(C, NONE)[2], millis(TTL).to_string(), "a lease of its own, not the lapsed one");
    }

    a_writer_is_alone_and_comes_first(lab) {
        assert_eq!(lab.write(A, NONE, "0")[0], "1");
        assert_eq!(lab.read(B, NONE)[0], "0");
        assert_eq!(lab.write(B, NONE, "0")[0], "0");
        lab.on("release", &["{a}w"], A);
        assert_eq!(lab.read(A, NONE)[0], "1", "who did not wait keeps nobody out");
        assert_eq!(lab.write(B, NONE, "1000")[0], "0");
        assert!((1..=1_000).contains(&lab.pttl("{a}q")));
        assert_eq!(lab.read(C, NONE)[0], "0", "a writer waits");
        lab.on("member_release", &["{a}r"], A);
        assert_eq!(lab.write(B, NONE, "1000")[0], "1");
        assert_eq!(lab.write(C, NONE, "1000")[0], "0");
        lab.on("release", &["{a}w"], B);
        assert_eq!(lab.read(A, NONE)[0], "0", "another writer waits");
        assert_eq!(lab.write(C, NONE, "1000")[0], "1");
        lab.on("release", &["{a}w"], C);
        assert_eq!(lab.read(A, NONE)[0], "1", "no writer is left");
    }

    a_token_is_adopted_once(lab) {
        let granted = lab.lock(A, NONE);
        let adopt = |lab: &mut Lab, token: [u8; 16], from: [u8; 16], replaces: [u8; 16]| {
            lab.run("adopt", &["{a}l", "{a}f"], &[&token, &ttl(), &from, &replaces])
        };
        lab.pass(TTL / 2).await;
        lab.call(&["DEL", "{a}f"]);
        let adopted = adopt(&mut lab, B, A, NONE);
        assert_eq!((adopted[0].as_str(), &adopted[1]), ("1", &granted[1]));
        assert!(lab.pttl("{a}l") > millis(TTL / 2) + 20, "for the whole time");
        assert_eq!(lab.call(&["GET", "{a}f"]).text(), granted[1]);
        assert_eq!(adopt(&mut lab, C, A, NONE)[0], "0", "once");
        assert_eq!(adopt(&mut lab, C, A, B)[0], "1", "but its retry does");
        assert_eq!(lab.on("extend", &["{a}l", "{a}f"], B), "0");
        lab.on("release", &["{a}l"], C);
        assert_eq!(adopt(&mut lab, B, C, NONE)[0], "0", "what is not held is not adopted");
    }

    what_others_left_is_overwritten_or_stays_busy(lab) {
        lab.call(&["SET", "{a}l", "foreign"]);
        assert_eq!(lab.lock(A, NONE)[0], "1");
        lab.call(&["SET", "{a}e", "foreign"]);
        assert_eq!(lab.campaign(A, NONE)[0], "1");
        assert_eq!(lab.call(&["GETRANGE", "{a}e", "-5", "-1"]).text(), ":7:me");
    }

    every_key_ends(lab) {
        lab.permit(A, NONE);
        lab.read(A, NONE);
        lab.write(B, NONE, "1000");
        crate::immortal::no_immortal_keys(&lab.t, 3);
        lab.call(&["DEL", "{a}r"]);
        lab.write(B, NONE, "0");
        crate::immortal::no_immortal_keys(&lab.t, 3);
        lab.call(&["DEL", "{a}f"]);
        lab.campaign(A, NONE);
        crate::immortal::no_immortal_keys(&lab.t, 4);
        lab.call(&["DEL", "{a}f"]);
        lab.lock(A, NONE);
        crate::immortal::no_immortal_keys(&lab.t, 5);
        lab.on("member_extend", &["{a}z"], A);
        lab.on("extend", &["{a}l", "{a}f"], A);
        crate::immortal::no_immortal_keys(&lab.t, 5);
    }
}

#[test]
fn every_rule_holds_everywhere() {
    for kind in Kind::chosen() {
        for (name, check) in CHECKS {
            println!("{name} on {kind}");
            check(kind, None);
        }
    }
}
