use crate::testing::Shell;

#[test]
fn entries_are_added_read_and_removed() {
    Shell::new().check(
        r#"
        XADD s 1-1 a 1 b 2 => "1-1"
        XADD s 1-* a 2 => "1-2"
        XADD s 1-2 a 3 => ERR The ID specified in XADD is equal or smaller than the target stream top item
        XADD s 0-0 a 3 => ERR The ID specified in XADD must be greater than 0-0
        XADD s 2 a => ERR wrong number of arguments for 'xadd' command
        XADD none NOMKSTREAM * a 1 => nil
        XRANGE s - + => [["1-1" ["a" "1" "b" "2"]] ["1-2" ["a" "2"]]]
        XREVRANGE s + (1-1 COUNT 5 => [["1-2" ["a" "2"]]]
        XRANGE s - + COUNT 0 => nil-array
        XRANGE s (18446744073709551615-18446744073709551615 + => ERR invalid start ID for the interval
        XREAD COUNT 1 STREAMS s none 0 0 => [["s" [["1-1" ["a" "1" "b" "2"]]]]]
        XREAD STREAMS s $ => nil-array
        XINFO GROUPS s => []
        XINFO GROUPS none => ERR no such key
        XINFO CONSUMERS s g => NOGROUP No such consumer group 'g' for key name 's'
        XINFO CONSUMERS none g => ERR no such key
        XINFO GROUPS s g => ERR wrong number of arguments for 'xinfo|groups' command
        XINFO CONSUMERS s => ERR wrong number of arguments for 'xinfo|consumers' command
        XDEL s 1-1 7 => (int) 1
        XLEN s => (int) 1
        XTRIM s MAXLEN 0 => (int) 1
        TYPE s => stream
        OBJECT ENCODING s => "stream"
        XINFO STREAM s => {"length": (int) 0, "radix-tree-keys": (int) 0, "radix-tree-nodes": (int) 1, "last-generated-id": "1-2", "max-deleted-entry-id": "1-1", "entries-added": (int) 2, "recorded-first-entry-id": "0-0", "groups": (int) 0, "first-entry": nil, "last-entry": nil}
        XSETID s 9-9 ENTRIESADDED 7 => OK
        COPY s t => (int) 1
        XADD t 9-* a 1 => "9-10"
        SCAN 0 TYPE stream => ["0" ["t" "s"]]
        GET s => WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

/// In the order of redis-server 7.0.15, so that a client learns of its mistake here as there.
#[test]
fn a_read_that_would_wait_checks_its_arguments_first() {
    Shell::new().check(
        r#"
        XADD s 1-1 a 1 => "1-1"
        SET str x => OK
        XREAD BLOCK x COUNT y STREAMS s 0 => ERR timeout is not an integer or out of range
        XREAD BLOCK 1.5 STREAMS s 0 => ERR timeout is not an integer or out of range
        XREAD BLOCK 99999999999999999999 STREAMS s 0 => ERR timeout is not an integer or out of range
        XREAD BLOCK -1 STREAMS s 0 => ERR timeout is negative
        XREAD COUNT y BLOCK x STREAMS s 0 => ERR value is not an integer or out of range
        XREAD BLOCK 10 BLOCK x STREAMS s 0 => ERR timeout is not an integer or out of range
        XREAD BLOCK 10 COUNT x STREAMS s 0 => ERR value is not an integer or out of range
        XREAD BLOCK 10 COUNT 1 => ERR syntax error
        XREAD FOO BLOCK 10 => ERR syntax error
        XREAD BLOCK 10 STREAMS => ERR syntax error
        XREAD BLOCK 10 STREAMS s => ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.
        XREAD BLOCK 10 GROUP g c STREAMS s 0 => ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.
        XREAD BLOCK 10 NOACK STREAMS s 0 => ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.
        XREAD BLOCK 10 STREAMS s bad => ERR Invalid stream ID specified as stream command argument
        XREAD BLOCK 10 STREAMS s > => ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.
        XREAD BLOCK 10 STREAMS str bad => WRONGTYPE Operation against a key holding the wrong kind of value
        XREAD BLOCK 10 STREAMS s 1-1 => nil-array
        "#,
    );
}

#[test]
fn ids_follow_the_clock_and_never_go_back() {
    let shell = Shell::new();
    let first = shell.print("XADD s * a 1");
    assert_eq!(shell.print("XADD s * a 1"), first.replace("-0", "-1"));
    shell.advance(1);
    assert!(shell.print("XADD s * a 1").ends_with("-0\""));
    shell
        .check("XADD s 18446744073709551615-18446744073709551615 a 1 => \"18446744073709551615-18446744073709551615\"");
    shell.check("XADD s * a 1 => ERR The stream has exhausted the last possible ID, unable to add more items");
}

#[test]
fn changes_are_told_to_trackers_and_subscribers() {
    let shell = Shell::new();
    let (listener, pushes) = shell.listener();
    shell.check("CONFIG SET notify-keyspace-events Kt => OK");
    let listen = |line| crate::testing::run(&listener, line);
    listen("CLIENT TRACKING ON");
    listen("PSUBSCRIBE __keyspace*");
    listen("XREAD STREAMS s 0");
    pushes.take();
    shell.check("XADD s MAXLEN 1 1 a 1 => \"1-0\"\n XADD s MAXLEN 1 2 a 1 => \"2-0\"\n XDEL s 2 => (int) 1");
    let told = pushes.take().join(" ");
    let events: Vec<_> = ["invalidate", "xadd", "xadd", "xtrim", "xdel"].into();
    let mut rest = told.as_str();
    for event in events {
        let Some(at) = rest.find(event) else {
            panic!("{event} is missing in {told}")
        };
        rest = &rest[at + event.len()..];
    }
}

#[test]
fn a_group_shares_a_stream_out_and_remembers_what_is_pending() {
    Shell::new().check(
        r#"
        XGROUP CREATE s g 0 => ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.
        XGROUP CREATE s g 0 MKSTREAM => OK
        XGROUP CREATE s g 0 => BUSYGROUP Consumer Group name already exists
        XADD s 1-0 n 1 => "1-0"
        XADD s 2-0 n 2 => "2-0"
        XREADGROUP GROUP none c STREAMS s > => NOGROUP No such key 's' or consumer group 'none' in XREADGROUP with GROUP option
        XREADGROUP GROUP g c COUNT 1 STREAMS s > => [["s" [["1-0" ["n" "1"]]]]]
        XREADGROUP GROUP g d STREAMS s > => [["s" [["2-0" ["n" "2"]]]]]
        XREADGROUP GROUP g d STREAMS s > => nil-array
        XREADGROUP GROUP g c STREAMS s 0 => [["s" [["1-0" ["n" "1"]]]]]
        XPENDING s g => [(int) 2 "1-0" "2-0" [["c" "1"] ["d" "1"]]]
        XPENDING s g - + 10 c => [["1-0" "c" (int) 0 (int) 2]]
        XCLAIM s g d 0 1-0 JUSTID => ["1-0"]
        XDEL s 1-0 => (int) 1
        XAUTOCLAIM s g c 0 - => ["0-0" [["2-0" ["n" "2"]]] ["1-0"]]
        XACK s g 1-0 2-0 => (int) 1
        XINFO GROUPS s => [{"name": "g", "consumers": (int) 2, "pending": (int) 0, "last-delivered-id": "2-0", "entries-read": (int) 2, "lag": (int) 0}]
        XGROUP DELCONSUMER s g c => (int) 0
        XGROUP DESTROY s g => (int) 1
        XPENDING s g => NOGROUP No such key 's' or consumer group 'g'
        "#,
    );
}
