//! What the protocol of the near tier rests on was measured on redis-server 7.0.15; the engine must agree.

use crate::testing::{Shell, check, run};

fn told(key: &str) -> String {
    format!(r#"push["invalidate" ["{key}"]]"#)
}

#[test]
fn a_reader_is_told_once_and_again_only_after_reading_again() {
    let shell = Shell::new();
    let (reader, pushes) = shell.listener();
    check(&reader, "CLIENT TRACKING ON => OK\n GET k => nil\n EXISTS l => (int) 0");
    shell.check("SET k 1 => OK\n SET k 2 => OK\n SET l 1 => OK\n SET unread 1 => OK");
    assert_eq!(pushes.take(), [told("k"), told("l")]);
    check(&reader, "GET k => \"2\"");
    shell.check("UNLINK k => (int) 1");
    assert_eq!(pushes.take(), [told("k")]);
}

#[test]
fn an_own_write_is_announced_unless_noloop_and_ends_tracking_either_way() {
    let shell = Shell::new();
    let (looping, echoes) = shell.listener();
    check(&looping, "CLIENT TRACKING ON => OK\n GET k => nil\n SET k 1 => OK");
    assert_eq!(echoes.take(), [told("k")]);

    let (quiet, pushes) = shell.listener();
    check(
        &quiet,
        "CLIENT TRACKING ON NOLOOP => OK\n GET k => \"1\"\n SET k 2 => OK",
    );
    assert_eq!(pushes.take(), [""; 0]);
    shell.run("SET k 3");
    assert_eq!(pushes.take(), [""; 0], "the own write ended the tracking");
    check(&quiet, "GET k => \"3\"");
    shell.run("SET k 4");
    assert_eq!(pushes.take(), [told("k")]);
}

#[test]
fn reading_in_a_script_tracks_every_declared_key_for_the_caller() {
    let shell = Shell::new();
    let (reader, pushes) = shell.listener();
    check(
        &reader,
        r#"
        CLIENT TRACKING ON NOLOOP => OK
        EVAL "return redis.call('GET', KEYS[1])" 2 read declared => nil
        "#,
    );
    shell.check("SET read 1 => OK\n SET declared 1 => OK");
    assert_eq!(pushes.take(), [told("read"), told("declared")]);
    check(
        &reader,
        r#"EVAL "return redis.call('SET', KEYS[1], 1)" 2 written declared => OK"#,
    );
    shell.check("SET written 2 => OK\n SET declared 2 => OK");
    assert_eq!(pushes.take(), [""; 0], "a script that only writes tracks nothing");
}

#[test]
fn a_script_that_writes_reads_once_more_to_stay_tracked() {
    let shell = Shell::new();
    let (reader, pushes) = shell.listener();
    run(&reader, "CLIENT TRACKING ON NOLOOP");
    let forgets = "redis.call('GET', KEYS[1]) redis.call('SET', KEYS[1], 1)";
    run(&reader, &format!("EVAL \"{forgets}\" 1 k"));
    shell.run("SET k 2");
    assert_eq!(pushes.take(), [""; 0]);
    run(
        &reader,
        &format!("EVAL \"{forgets} redis.call('EXISTS', KEYS[1])\" 1 k"),
    );
    shell.run("SET k 2");
    assert_eq!(pushes.take(), [told("k")]);
}

#[test]
fn a_script_tells_its_own_client_without_noloop() {
    let shell = Shell::new();
    let (reader, pushes) = shell.listener();
    check(&reader, "CLIENT TRACKING ON => OK\n GET k => nil");
    run(&reader, "EVAL \"redis.call('SET', KEYS[1], 1)\" 1 k");
    assert_eq!(pushes.take(), [told("k")]);
}

#[test]
fn reads_in_a_transaction_are_tracked() {
    let shell = Shell::new();
    let (reader, pushes) = shell.listener();
    check(&reader, "CLIENT TRACKING ON => OK\n MULTI => OK\n GET k => QUEUED");
    shell.run("SET k 1");
    assert_eq!(pushes.take(), [""; 0], "queueing is not reading");
    check(&reader, "EXEC => [\"1\"]");
    shell.run("SET k 2");
    assert_eq!(pushes.take(), [told("k")]);
}

#[test]
fn expiry_is_announced_to_the_one_who_finds_it_too() {
    let shell = Shell::new();
    let (reader, pushes) = shell.listener();
    check(&reader, "CLIENT TRACKING ON NOLOOP => OK");
    shell.check("DEBUG SET-ACTIVE-EXPIRE 0 => OK\n SET k 1 PX 50 => OK");
    check(&reader, "GET k => \"1\"");
    shell.advance(50);
    assert_eq!(pushes.take(), [""; 0], "nobody looked");
    check(&reader, "GET k => nil");
    assert_eq!(pushes.take(), [told("k")]);
}

#[test]
fn a_flush_says_nil_once_and_a_later_delete_says_nothing() {
    let shell = Shell::new();
    let (reader, pushes) = shell.listener();
    check(
        &reader,
        "CLIENT TRACKING ON NOLOOP => OK\n SET k 1 => OK\n GET k => \"1\"",
    );
    shell.check("FLUSHALL => OK\n DEL k => (int) 0");
    assert_eq!(pushes.take(), [r#"push["invalidate" nil]"#]);
}

#[test]
fn broadcast_tells_all_keys_under_a_prefix_that_a_command_changed() {
    let shell = Shell::new();
    let (listener, pushes) = shell.listener();
    check(&listener, "CLIENT TRACKING ON BCAST PREFIX a PREFIX b NOLOOP => OK");
    shell.run("MSET a2 1 b1 1 a1 1 c 1 a2 2");
    assert_eq!(
        pushes.take(),
        [r#"push["invalidate" ["a1" "a2"]]"#.to_owned(), told("b1")]
    );
    check(&listener, "SET a1 3 => OK");
    assert_eq!(pushes.take(), [""; 0], "NOLOOP holds here too");
    check(
        &listener,
        "CLIENT TRACKING OFF => OK\n CLIENT TRACKING ON BCAST => OK\n SET z 1 => OK",
    );
    assert_eq!(pushes.take(), [told("z")]);
    check(&listener, "CLIENT TRACKING OFF => OK\n SET z 1 => OK");
    assert_eq!(pushes.take(), [""; 0]);
}

#[test]
fn optin_and_optout_go_by_the_next_command() {
    let shell = Shell::new();
    let (reader, pushes) = shell.listener();
    check(
        &reader,
        "CLIENT TRACKING ON OPTIN => OK\n GET a => nil\n CLIENT CACHING YES => OK\n GET b => nil\n GET c => nil",
    );
    shell.check("MSET a 1 b 1 c 1 => OK");
    assert_eq!(pushes.take(), [told("b")]);
    check(
        &reader,
        "CLIENT TRACKING OFF => OK\n CLIENT TRACKING ON OPTOUT => OK\n GET a => \"1\"\n CLIENT CACHING NO => OK\n GET b => \"1\"",
    );
    check(
        &reader,
        "CLIENT CACHING NO => OK\n MULTI => OK\n GET c => QUEUED\n EXEC => [\"1\"]\n GET c => \"1\"",
    );
    shell.check("MSET a 1 b 1 c 1 => OK");
    assert_eq!(pushes.take(), [told("a"), told("c")]);
}

#[test]
fn the_table_forgets_a_key_beyond_its_bound_and_says_so() {
    let shell = Shell::new();
    shell.run("CONFIG SET tracking-table-max-keys 10");
    let (reader, pushes) = shell.listener();
    run(&reader, "CLIENT TRACKING ON NOLOOP");
    (0..15).for_each(|i| _ = run(&reader, &format!("GET {i}")));
    let forgotten = pushes.take();
    assert_eq!(forgotten.len(), 5);
    for i in 0..15 {
        shell.run(&format!("SET {i} v"));
    }
    let mut told_of: Vec<String> = forgotten.into_iter().chain(pushes.take()).collect();
    told_of.sort();
    let mut all: Vec<String> = (0..15).map(|i| told(&i.to_string())).collect();
    all.sort();
    assert_eq!(
        told_of, all,
        "every key that was read is announced once, forgotten or changed"
    );
}

#[test]
fn redirection_reaches_another_client_in_either_protocol() {
    let shell = Shell::new();
    let (target, pushes) = shell.listener();
    let reader = shell.engine.connect();
    let id = target.id().0;
    check(
        &reader,
        &format!("CLIENT TRACKING ON REDIRECT {id} => OK\n CLIENT GETREDIR => (int) {id}\n GET k => nil"),
    );
    shell.run("SET k 1");
    assert_eq!(pushes.take(), [told("k")]);

    let sink = std::sync::Arc::<crate::testing::Pushes>::default();
    let old = shell.engine.connect_with(sink.clone());
    old.turn()
        .core()
        .subscribe(old.id(), crate::pubsub::Kind::Channel, super::CHANNEL.as_bytes());
    sink.take();
    run(&reader, &format!("CLIENT TRACKING ON REDIRECT {}", old.id().0));
    run(&reader, "GET k");
    shell.run("SET k 2");
    assert_eq!(sink.take(), [r#"push["message" "__redis__:invalidate" ["k"]]"#]);
}

#[test]
fn a_broken_redirection_is_reported() {
    let shell = Shell::new();
    let (reader, pushes) = shell.listener();
    let target = shell.engine.connect();
    let id = target.id().0;
    check(
        &reader,
        &format!("CLIENT TRACKING ON REDIRECT {id} => OK\n GET k => nil"),
    );
    drop(target);
    shell.run("SET k 1");
    assert_eq!(pushes.take(), [format!(r#"push["tracking-redir-broken" (int) {id}]"#)]);
    assert!(crate::testing::print(&run(&reader, "CLIENT TRACKINGINFO")).contains("broken_redirect"));
}

#[test]
fn in_resp2_nothing_is_pushed() {
    let shell = Shell::new();
    let sink = std::sync::Arc::<crate::testing::Pushes>::default();
    let reader = shell.engine.connect_with(sink.clone());
    check(&reader, "CLIENT TRACKING ON => OK\n GET k => nil");
    shell.run("SET k 1");
    assert_eq!(sink.take(), [""; 0]);
}

#[test]
fn readers_that_are_gone_do_not_pile_up() {
    let shell = Shell::new();
    for _ in 0..1_000 {
        let (reader, _) = shell.listener();
        check(&reader, "CLIENT TRACKING ON => OK\n GET k => nil");
    }
    let items = shell.session.turn().core().tracking.items();
    assert!(items <= 4, "{items} readers are kept for one key");
}
