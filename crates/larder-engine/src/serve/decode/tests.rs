//! The decoder under every cut of its input, and under input that makes no sense.

use proptest::{collection::vec, prelude::*};

use super::{CHUNK_MAX, Decoder, InputLimits, LINE_MAX, ProtocolError};

type Command = Vec<Vec<u8>>;

const OPEN: InputLimits = InputLimits {
    bulk_max: 512 << 20,
    query_max: 1 << 30,
    authenticated: true,
};

/// Feeds the pieces one after another, as reads would; what was decoded, and why it stopped if it did.
fn decode<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    limits: InputLimits,
) -> (Vec<Command>, Option<ProtocolError>) {
    let mut decoder = Decoder::new(limits);
    let mut commands = Vec::new();
    for piece in pieces {
        decoder.space().extend_from_slice(piece);
        while decoder.decode() > 0 {
            decoder.drain(|args| {
                commands.push(args.iter().map(|arg| arg.to_vec()).collect());
                true
            });
        }
    }
    (commands, decoder.failed().cloned())
}

fn encode(commands: &[Command]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for command in commands {
        bytes.extend_from_slice(format!("*{}\r\n", command.len()).as_bytes());
        for arg in command {
            bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            bytes.extend_from_slice(arg);
            bytes.extend_from_slice(b"\r\n");
        }
    }
    bytes
}

fn words(line: &str) -> Vec<Command> {
    vec![line.split(' ').map(|word| word.as_bytes().to_vec()).collect()]
}

#[track_caller]
fn refused(input: &[u8]) -> String {
    match decode([input], OPEN).1 {
        Some(ProtocolError::Told(text)) => text,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

proptest! {
    #[test]
    fn commands_survive_every_cut(
        commands in vec(vec(vec(any::<u8>(), 0..40), 1..6), 1..6),
        cuts in vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let bytes = encode(&commands);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]);
        prop_assert_eq!(decode(pieces, OPEN), (commands.clone(), None));
        prop_assert_eq!(decode(bytes.chunks(1), OPEN), (commands, None));
    }

    #[test]
    fn nonsense_decodes_alike_however_it_is_cut(input in vec(
        prop_oneof![
            4 => prop::sample::select(b"*$\r\n0123-\"'\\ x".to_vec()),
            1 => any::<u8>(),
        ],
        0..200,
    )) {
        let whole = decode([&input[..]], OPEN);
        prop_assert_eq!(decode(input.chunks(1), OPEN), whole);
    }

    #[test]
    fn a_stranger_may_send_no_more_than_a_greeting(args in 1..40usize, len in 1..40_000usize) {
        let stranger = InputLimits { authenticated: false, ..OPEN };
        let command: Command = std::iter::once(vec![b'x'; len]).chain(vec![vec![b'y']; args - 1]).collect();
        let bytes = encode(std::slice::from_ref(&command));
        let (decoded, failed) = decode([&bytes[..]], stranger);
        let allowed = args <= 10 && len <= 16_384;
        prop_assert_eq!(decoded.len(), usize::from(allowed));
        prop_assert_eq!(failed.is_none(), allowed);
    }
}

#[test]
fn lines_are_split_as_by_a_shell() {
    let check = |line: &str, expected: Option<&[&str]>| {
        let input = format!("{line}\r\n");
        let (commands, failed) = decode([input.as_bytes()], OPEN);
        match expected {
            Some([]) => assert_eq!((commands.len(), failed), (0, None), "{line}"),
            Some(words) => assert_eq!(
                commands,
                [words.iter().map(|w| w.as_bytes().to_vec()).collect::<Vec<_>>()]
            ),
            None => assert_eq!(
                failed,
                Some(ProtocolError::Told("unbalanced quotes in request".into())),
                "{line}"
            ),
        }
    };
    check("PING", Some(&["PING"]));
    check("  SET  k\tv ", Some(&["SET", "k", "v"]));
    check("", Some(&[]));
    check(r#"SET k "a b\n\x41\"""#, Some(&["SET", "k", "a b\nA\""]));
    check(r"SET k 'a \n\''", Some(&["SET", "k", r"a \n'"]));
    check(r#"SET "" ''"#, Some(&["SET", "", ""]));
    check(r#"SET k "open"#, None);
    check(r#"SET k "a"b"#, None);
    assert_eq!(
        decode([&b"PING\nPING x\n"[..]], OPEN).0,
        [words("PING"), words("PING x")].concat()
    );
}

#[test]
fn empty_arrays_are_no_commands() {
    let input = b"*0\r\n*-1\r\n\r\n*1\r\n$4\r\nPING\r\n";
    assert_eq!(decode([&input[..]], OPEN), (words("PING"), None));
}

#[test]
fn nonsense_is_refused_in_the_words_of_redis() {
    assert_eq!(refused(b"*x\r\n"), "invalid multibulk length");
    assert_eq!(refused(b"*1048577\r\n"), "invalid multibulk length");
    assert_eq!(refused(b"*1\r\n+PING\r\n"), "expected '$', got '+'");
    assert_eq!(refused(b"*1\r\n$-1\r\n"), "invalid bulk length");
    assert_eq!(refused(b"*1\r\n$536870913\r\n"), "invalid bulk length");
    assert_eq!(refused(b"*1\r\n$01\r\n"), "invalid bulk length");
    assert_eq!(refused(&vec![b'a'; LINE_MAX + 1]), "too big inline request");
    assert_eq!(
        refused(&[b"*1".repeat(LINE_MAX)].concat()),
        "too big mbulk count string"
    );
    let endless = [&b"*1\r\n$"[..], &vec![b'1'; LINE_MAX + 1]].concat();
    assert_eq!(refused(&endless), "too big bulk count string");
}

#[test]
fn what_was_complete_before_the_nonsense_counts() {
    let (commands, failed) = decode([&b"PING\r\n*1\r\n!"[..], b"\r\n"], OPEN);
    assert_eq!(commands, words("PING"));
    assert!(failed.is_some());
}

#[test]
fn a_browser_is_shown_the_door() {
    for request in ["POST / HTTP/1.1\r\n", "Host: example.org\r\n"] {
        let (commands, failed) = decode([request.as_bytes()], OPEN);
        assert!(
            commands.is_empty() && matches!(failed, Some(ProtocolError::Silent(_))),
            "{request}"
        );
    }
}

#[test]
fn announced_lengths_reserve_nothing() {
    let mut decoder = Decoder::new(OPEN);
    decoder.space().extend_from_slice(b"*1000000\r\n$500000000\r\n");
    assert_eq!(decoder.decode(), 0);
    assert!(decoder.space().capacity() <= CHUNK_MAX, "{}", decoder.bytes.capacity());
    assert!(decoder.args.capacity() == 0);

    let piece = [b'x'; 10_000];
    let mut received = 0;
    while received < 4_000_000 {
        decoder.space().extend_from_slice(&piece);
        received += piece.len();
        assert_eq!(decoder.decode(), 0);
        assert!(decoder.bytes.capacity() <= 2 * received + 2 * CHUNK_MAX);
    }
}

#[test]
fn a_flood_of_nothing_is_not_kept() {
    let mut decoder = Decoder::new(OPEN);
    for _ in 0..1_000 {
        decoder.space().extend_from_slice(&b"*0\r\n\r\n".repeat(100));
        assert_eq!(decoder.decode(), 0);
    }
    assert!(decoder.bytes.capacity() <= 2 * CHUNK_MAX);
}

#[test]
fn what_waits_beyond_the_query_buffer_is_cut_off() {
    let small = InputLimits {
        query_max: 1_000,
        ..OPEN
    };
    let input = [&b"*1\r\n$5000\r\n"[..], &[b'x'; 2_000]].concat();
    assert!(matches!(
        decode(input.chunks(100), small).1,
        Some(ProtocolError::Silent(_))
    ));
}

#[test]
fn commands_not_yet_run_stay() {
    let mut decoder = Decoder::new(OPEN);
    let bytes = encode(&[words("A 1"), words("B 2"), words("C 3")].concat());
    decoder.space().extend_from_slice(&bytes[..bytes.len() - 3]);
    assert_eq!(decoder.decode(), 2);
    let mut seen = Vec::new();
    decoder.drain(|args| {
        seen.push(args[0].to_vec());
        false
    });
    decoder.space().extend_from_slice(&bytes[bytes.len() - 3..]);
    assert_eq!(decoder.decode(), 2);
    decoder.drain(|args| {
        seen.push(args[0].to_vec());
        true
    });
    assert_eq!(seen, [b"A", b"B", b"C"]);
}

/// The four gigabytes are zeros that nobody touches, so the system never provides them.
#[test]
#[cfg(target_pointer_width = "64")]
fn an_argument_may_pass_four_gigabytes_if_the_operator_allows_it() {
    const LEN: usize = (4 << 30) + 1;
    let (head, tail) = (format!("*2\r\n${LEN}\r\n"), b"\r\n$3\r\nend\r\n*1\r\n$4\r\nPING\r\n");
    let mut bytes = vec![0; head.len() + LEN + tail.len()];
    bytes[..head.len()].copy_from_slice(head.as_bytes());
    bytes[head.len() + LEN..].copy_from_slice(tail);
    let mut decoder = Decoder::new(InputLimits {
        bulk_max: 5 << 30,
        query_max: 6 << 30,
        ..OPEN
    });
    *decoder.space() = bytes;
    assert_eq!(decoder.decode(), 2);
    let mut seen = Vec::new();
    decoder.drain(|args| {
        seen.push((args[0].len(), args.last().map(|last| last.to_vec())));
        true
    });
    assert_eq!(seen, [(LEN, Some(b"end".to_vec())), (4, Some(b"PING".to_vec()))]);
}
