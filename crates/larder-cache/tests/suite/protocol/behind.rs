//! Write-behind: what is accepted, taken, acknowledged and put aside, version by version.

use larder_testkit::Answer;

use super::{
    client::{Arg, Ask, Client, NO_TOKEN, Put, Token, why, word},
    counting::add,
    lab::Lab,
};

/// Which run of the server it is, as the client saw it.
pub(super) const GEN: &str = "g1";

/// Long against any check: what was taken stays taken.
pub(super) const LONG_MS: u64 = 600_000;

/// A write on its way into the dirty map.
#[derive(Clone, Copy)]
pub(super) struct Write<'a> {
    pub(super) generation: &'a str,
    /// Its operation; none: it must not be repeated.
    pub(super) operation: Option<&'a str>,
    pub(super) max_count: u64,
    pub(super) max_bytes: u64,
}

impl Default for Write<'_> {
    fn default() -> Self {
        Self {
            generation: GEN,
            operation: None,
            max_count: 0,
            max_bytes: 0,
        }
    }
}

impl<'a> Write<'a> {
    fn of(generation: &'a str) -> Self {
        Self {
            generation,
            ..Self::default()
        }
    }

    pub(super) fn operation(mut self, operation: &'a str) -> Self {
        self.operation = Some(operation);
        self
    }
}

pub(super) fn args<const N: usize>(args: [Arg; N]) -> Vec<Arg> {
    args.into()
}

fn put_keys(l: &Client, key: &str, write: Write<'_>) -> Vec<String> {
    let operation = l.p(&format!("o:{}", write.operation.unwrap_or("-")));
    vec![l.p("d"), l.p("z"), l.p("w"), l.e(key), operation]
}

fn put_args(key: &str, value: &[u8], write: Write<'_>) -> Vec<Arg> {
    let kept_ms = if write.operation.is_some() { LONG_MS } else { 0 };
    args([
        key.into(),
        1.into(),
        value.into(),
        0.into(),
        write.generation.into(),
        write.max_count.into(),
        write.max_bytes.into(),
        kept_ms.into(),
    ])
}

#[track_caller]
fn put_with(l: &mut Client, key: &str, value: &[u8], write: Write<'_>) -> Answer {
    l.run("wbput", &put_keys(l, key, write), put_args(key, value, write))
}

/// Puts, which must be accepted: epoch and number.
#[track_caller]
fn put(l: &mut Client, key: &str, value: &[u8]) -> (i64, i64) {
    accepted(&put_with(l, key, value, Write::default()))
}

/// What `wbput` gave a write that it accepted.
#[track_caller]
fn accepted(answer: &Answer) -> (i64, i64) {
    assert_eq!(word(answer), "OK");
    (number(&answer.list()[1]), number(&answer.list()[2]))
}

#[track_caller]
pub(super) fn number(answer: &Answer) -> i64 {
    answer.text().parse().expect("a decimal number")
}

/// The name of W, for an epoch that is about to be drawn.
#[track_caller]
fn draw(l: &mut Client) -> Vec<u8> {
    let candidate: [u8; 8] = l.token()[..8].try_into().expect("a token has sixteen bytes");
    l.run("wbdraw", &[l.p("w")], args([candidate.into()])).bytes().to_vec()
}

#[track_caller]
fn install_for(l: &mut Client, generation: &str, epoch: u64, name: &[u8]) -> i64 {
    let keys = [l.p("w"), l.p("d")];
    l.run("wbepoch", &keys, args([generation.into(), epoch.into(), name.into()]))
        .int()
}

/// Draws and installs.
#[track_caller]
pub(super) fn install(l: &mut Client, generation: &str, epoch: u64) -> i64 {
    let name = draw(l);
    install_for(l, generation, epoch, &name)
}

/// What was taken: keys, each with its record.
pub(super) type Taken = Vec<(String, Vec<u8>)>;

#[track_caller]
fn claim(l: &mut Client, visibility_ms: u64) -> Taken {
    claim_from(l, ["d", "z"], visibility_ms)
}

#[track_caller]
pub(super) fn claim_from(l: &mut Client, [map, due]: [&str; 2], visibility_ms: u64) -> Taken {
    let keys = [l.p(map), l.p(due)];
    let answer = l.run("wbclaim", &keys, args([10.into(), visibility_ms.into()]));
    let records = answer.list()[1..].chunks(2);
    records.map(|pair| (pair[0].text(), pair[1].bytes().to_vec())).collect()
}

/// Acknowledges what was taken; how much of it was removed.
#[track_caller]
fn acknowledge(l: &mut Client, taken: &Taken) -> i64 {
    let keys = [l.p("d"), l.p("z"), l.p("w")];
    let flushed = taken
        .iter()
        .flat_map(|(key, record)| [key.as_str().into(), record[..16].into()]);
    let flushed = flushed.collect();
    l.run("wback", &keys, flushed).int()
}

/// `get` where keys may wait to be flushed.
#[track_caller]
fn get(l: &mut Client, key: &str) -> (Token, Answer) {
    let Ask { mode, lease, .. } = Ask::default();
    let (token, candidate) = (l.token(), l.token());
    let mut keys = l.keys(key);
    keys.push(l.p("d"));
    let args = args([
        mode.into(),
        token.into(),
        lease.into(),
        candidate[..8].into(),
        NO_TOKEN.into(),
        key.into(),
    ]);
    (token, l.run("get", &keys, args))
}

/// The value that waits for `key`.
#[track_caller]
fn dirty(l: &mut Client, key: &str) -> Vec<u8> {
    let answer = get(l, key).1;
    assert_eq!(word(&answer), "DIRTY");
    answer.list()[1].bytes()[25..].to_vec()
}

#[track_caller]
pub(super) fn bytes_that_wait(l: &mut Client) -> i64 {
    number(&l.c(&["HGET", &l.p("w"), "wbytes"]))
}

pub(crate) fn m_acked_write_behind_put_is_what_reads_see(lab: &mut Lab) {
    let l = &mut lab.l;
    l.stored("h", b"OLD", Put::default());
    let (lease, _) = get(l, "k");
    assert_eq!(install(l, GEN, 1), 1);
    put(l, "k", b"NEW");
    assert_eq!(why(&l.fill("k", lease, b"OLD")), "gone", "a load from before it");
    assert_eq!(dirty(l, "k"), b"NEW");
    put(l, "h", b"NEW");
    assert_eq!(dirty(l, "h"), b"NEW");
    let taken = claim(l, LONG_MS);
    assert_eq!(taken.len(), 2);
    assert_eq!(dirty(l, "k"), b"NEW", "until the source has it");
    assert_eq!(acknowledge(l, &taken), 2);
    assert_eq!(word(&get(l, "k").1), "LEASE");
    assert_eq!(bytes_that_wait(l), 0);
    // A removal is the truth as well.
    let mut args = put_args("k", b"", Write::default());
    args[1] = 2.into();
    l.run("wbput", &put_keys(l, "k", Write::default()), args);
    let answer = get(l, "k").1;
    assert_eq!((word(&answer), answer.list()[1].bytes()[24]), ("DIRTY".into(), 2));
}

pub(crate) fn m2_a_hold_beside_a_write_behind_stores_nothing(lab: &mut Lab) {
    let l = &mut lab.l;
    install(l, GEN, 1);
    let hold = l.begin("k");
    put(l, "k", b"x");
    assert_eq!(why(&l.endput("k", hold, b"old")), "contended");
}

pub(crate) fn n_write_behind_versions_and_epochs(lab: &mut Lab) {
    let l = &mut lab.l;
    let unversioned = put_with(l, "k", b"1", Write::default());
    assert_eq!(word(&unversioned), "NEED_EPOCH");
    assert_eq!(install(l, GEN, 5), 1);
    assert_eq!(put(l, "k", b"1"), (5, 1));
    let first = claim(l, LONG_MS);
    assert!(claim(l, LONG_MS).is_empty(), "somebody has it");
    put(l, "k", b"2");
    assert_eq!(acknowledge(l, &first), 0, "it was written again");
    let second = claim(l, LONG_MS);
    assert_eq!(&second[0].1[25..], b"2", "and is due at once");
    assert!(second[0].1[..16] > first[0].1[..16]);
    assert_eq!(second[0].1[16..24], first[0].1[16..24], "it waits since the first");

    // Another generation counts in a higher epoch only.
    let other = Write::of("g2");
    assert_eq!(word(&put_with(l, "k", b"3", other)), "NEED_EPOCH");
    assert_eq!(install(l, "g2", 5), 0);
    assert_eq!(word(&put_with(l, "k", b"3", other)), "NEED_EPOCH");
    assert_eq!(install(l, "g2", 6), 1);
    let once = other.operation("o1");
    assert_eq!(accepted(&put_with(l, "k", b"3", once)), (6, 1));
    assert_eq!(accepted(&put_with(l, "k", b"4", other)), (6, 2));
    let again = put_with(l, "k", b"3", once);
    let (word, version) = (word(&again), (number(&again.list()[1]), number(&again.list()[2])));
    assert_eq!((word.as_str(), version), ("DUP", (6, 1)));
    assert_eq!(dirty(l, "k"), b"4", "what was repeated does not come over it");
    let late = put_with(l, "k", b"5", Write::of(GEN));
    assert_eq!(
        super::client::word(&late),
        "NEED_EPOCH",
        "by who has not heard of the new one"
    );
}

pub(crate) fn n2_an_epoch_is_for_the_w_it_was_drawn_for(lab: &mut Lab) {
    let l = &mut lab.l;
    let name = draw(l);
    assert_eq!(draw(l), name, "two who draw at one time draw for the same");
    assert_eq!(install_for(l, GEN, 2, &name), 1);
    assert_eq!(draw(l), name);
    let (d, w) = (l.p("d"), l.p("w"));
    put(l, "k", b"1");
    l.c(&["DEL", &w]);
    assert_eq!(
        install_for(l, GEN, 3, &name),
        -1,
        "W is lost, with an epoch that may be higher"
    );
    assert_eq!(word(&put_with(l, "k", b"2", Write::default())), "NEED_EPOCH");
    let next = draw(l);
    assert_ne!(next, name);
    assert_eq!(install_for(l, GEN, 3, &name), -1, "and there is another");
    assert_eq!(install_for(l, GEN, 4, &next), 1);
    assert_eq!(put(l, "k", b"2"), (4, 1));
    // What lies in D is counted anew.
    let record = l.c(&["HGET", &d, "k"]).bytes().len() as i64;
    assert_eq!(bytes_that_wait(l), record + 1);
}

pub(crate) fn n3_what_is_taken_is_due_again_when_its_time_is_up(lab: &mut Lab) {
    install(&mut lab.l, GEN, 1);
    put(&mut lab.l, "k", b"1");
    let taken = claim(&mut lab.l, 20);
    assert_eq!(taken.len(), 1);
    lab.pass(40);
    let l = &mut lab.l;
    assert_eq!(claim(l, LONG_MS), taken, "by any other");
    // The schedule is lost: everything that waits is due.
    put(l, "j", b"2");
    l.c(&["DEL", &l.p("z")]);
    assert_eq!(claim(l, LONG_MS).len(), 2);
    // Of what waits no more, the schedule forgets.
    l.c(&["DEL", &l.p("d")]);
    l.c(&["ZADD", &l.p("z"), "0", "k"]);
    assert!(claim(l, LONG_MS).is_empty());
    assert_eq!(l.c(&["ZSCORE", &l.p("z"), "k"]), Answer::Nil);
}

pub(crate) fn n4_room_is_counted_and_kept(lab: &mut Lab) {
    let l = &mut lab.l;
    install(l, GEN, 1);
    put(l, "k", b"1");
    let one = Write {
        max_count: 1,
        ..Write::default()
    };
    assert_eq!(word(&put_with(l, "j", b"x", one)), "FULL");
    assert_eq!(accepted(&put_with(l, "k", b"5", one)), (1, 2), "it takes no more room");
    let small = Write {
        max_bytes: 80,
        ..Write::default()
    };
    assert_eq!(word(&put_with(l, "j", &[b'x'; 100], small)), "FULL");
    assert_eq!(word(&put_with(l, "k", &[b'x'; 100], small)), "FULL");
    assert_eq!(dirty(l, "k"), b"5", "nothing was changed");
    let record = l.c(&["HGET", &l.p("d"), "k"]).bytes().len() as i64;
    assert_eq!(bytes_that_wait(l), record + 1);
}

/// `wbput` as an update sends it.
#[track_caller]
fn put_if(l: &mut Client, value: &[u8], write: Write<'_>, [what, was]: [&[u8]; 2]) -> String {
    let mut args = put_args("k", value, write);
    args.extend([1_000.into(), what.into(), was.into()]);
    word(&l.run("wbput_if", &put_keys(l, "k", write), args))
}

pub(crate) fn n5_an_update_of_what_has_changed_is_refused(lab: &mut Lab) {
    let l = &mut lab.l;
    install(l, GEN, 1);
    // Computed from the source, under a lease.
    let (lease, _) = get(l, "k");
    let stranger = l.token();
    assert_eq!(put_if(l, b"1", Write::default(), [b"lease", &stranger]), "CHANGED");
    let once = Write::default().operation("o1");
    assert_eq!(put_if(l, b"1", once, [b"lease", &lease]), "OK");
    assert_eq!(
        put_if(l, b"1", once, [b"lease", &lease]),
        "DUP",
        "its own write is no change"
    );
    assert_eq!(put_if(l, b"2", Write::default(), [b"lease", &lease]), "CHANGED");
    // Computed from what waits.
    let version = |l: &mut Client| get(l, "k").1.list()[1].bytes()[..16].to_vec();
    let read = version(l);
    put(l, "k", b"3");
    assert_eq!(put_if(l, b"4", Write::default(), [b"version", &read]), "CHANGED");
    assert_eq!(dirty(l, "k"), b"3");
    let read = version(l);
    assert_eq!(put_if(l, b"4", Write::default(), [b"version", &read]), "OK");
    assert_eq!(dirty(l, "k"), b"4");
    // An invalidation between the lease and the write: what it was computed from may be old.
    let taken = claim(l, LONG_MS);
    acknowledge(l, &taken);
    let (lease, _) = get(l, "k");
    l.inv("k");
    assert_eq!(put_if(l, b"5", Write::default(), [b"lease", &lease]), "CHANGED");
}

/// `wbdead`; 1 done, 2 done under the id `other`, 0 written again, -1 no room.
#[track_caller]
fn put_aside(l: &mut Client, key: &str, version: &[u8], capacity: u64, id: &str) -> i64 {
    let keys = ["d", "z", "w", "x"].map(|name| l.p(name));
    let args = args([
        key.into(),
        version.into(),
        capacity.into(),
        id.into(),
        "refused".into(),
        "other".into(),
    ]);
    l.run("wbdead", &keys, args).int()
}

pub(crate) fn n6_what_is_refused_for_good_lies_among_the_dead_letters(lab: &mut Lab) {
    let l = &mut lab.l;
    install(l, GEN, 1);
    put(l, "k", b"poison");
    let (_, record) = claim(l, LONG_MS).remove(0);
    put(l, "k", b"better");
    assert_eq!(put_aside(l, "k", &record[..16], 1, "1"), 0, "it was written again");
    let (_, record) = claim(l, LONG_MS).remove(0);
    assert_eq!(&record[25..], b"better", "and is due at once");
    assert_eq!(put_aside(l, "k", &record[..16], 0, "1"), -1);
    assert_eq!(dirty(l, "k"), b"better", "without room it stays");
    assert_eq!(put_aside(l, "k", &record[..16], 1, "1"), 1);
    assert_eq!(put_aside(l, "k", &record[..16], 1, "2"), 0, "once");
    assert_eq!(word(&get(l, "k").1), "LEASE", "reads are the source's again");
    assert_eq!(bytes_that_wait(l), 0);
    assert_eq!(l.c(&["ZSCORE", &l.p("z"), "k"]), Answer::Nil);
    let letter = l.c(&["HGET", &l.p("x"), "1"]).bytes().to_vec();
    let lengths = [1_u32.to_be_bytes(), (record.len() as u32).to_be_bytes()].concat();
    assert_eq!(letter[8..], [&lengths[..], b"k", &record, b"refused"].concat());
    // Damage gives two records one version, or one too short to hold any.
    for (key, damaged, done) in [("j", &record[..20], 2), ("i", b"\0".as_slice(), 1)] {
        l.c(&[b"HSET".as_slice(), l.p("d").as_bytes(), key.as_bytes(), damaged]);
        let version = &damaged[..damaged.len().min(16)];
        let id = if done == 2 { "1" } else { "2" };
        assert_eq!(put_aside(l, key, version, 9, id), done, "{key}");
        assert_eq!(l.c(&["HEXISTS", &l.p("d"), key]).int(), 0, "{key}");
    }
    assert_eq!(l.c(&["HGET", &l.p("x"), "1"]).bytes(), letter, "it lies where it lay");
    assert_eq!(l.c(&["HLEN", &l.p("x")]).int(), 3);
}

pub(crate) fn n9_lag_is_what_waits(lab: &mut Lab) {
    let keys = ["d", "z", "w", "x", "n", "y"].map(|name| lab.l.p(name));
    let lag = |l: &mut Client| {
        let answer = l.run("wblag", &keys, Vec::new());
        let numbers: Vec<i64> = answer.list().iter().map(number).collect();
        <[i64; 5]>::try_from(numbers).expect("five numbers")
    };
    let [entries, bytes, dead, since, now] = lag(&mut lab.l);
    assert_eq!([entries, bytes, dead, since], [0; 4]);
    install(&mut lab.l, GEN, 1);
    put(&mut lab.l, "k", b"1");
    lab.pass(10);
    put(&mut lab.l, "j", b"1");
    add(&mut lab.l, 1, "o1");
    let l = &mut lab.l;
    let [entries, bytes, dead, since, later] = lag(l);
    assert_eq!([entries, dead], [3, 0]);
    assert_eq!(bytes, bytes_that_wait(l));
    assert!(
        now <= since && since + 10 <= later,
        "since the first: {now} {since} {later}"
    );
    let taken = claim(l, LONG_MS);
    assert_eq!(lag(l)[0], 3, "what is taken waits");
    assert_eq!(
        put_aside(
            l,
            "j",
            &taken.iter().find(|(key, _)| key == "j").expect("taken").1[..16],
            9,
            "1"
        ),
        1
    );
    let [entries, _, dead, ..] = lag(l);
    assert_eq!([entries, dead], [2, 1]);
    acknowledge(l, &taken);
    assert_eq!(lag(l)[0], 1, "the counter");
}

pub(crate) fn y2_write_behind_is_logged(lab: &mut Lab) {
    let l = &mut lab.l;
    install(l, GEN, 1);
    let (mut keys, mut args) = (
        put_keys(l, "k", Write::default()),
        put_args("k", b"1", Write::default()),
    );
    keys.push(l.p("l"));
    args.push(1_000.into());
    accepted(&l.run("wbput", &keys, args));
    let log = l.c(&["XRANGE", &l.p("l"), "-", "+"]);
    let item: Vec<String> = log.list()[0].list()[1].list().iter().map(Answer::text).collect();
    assert_eq!(item, ["k", "k"]);
}
