//! Files that are not as they were written: a torn end is cut, anything else refuses to open and says where.

use std::path::Path;

use larder_engine::{Fsync, LogError, Reply};
use larder_testkit::{Case, SimDisk};

use super::{INCREMENT, command, dump, open, run, submit};

/// A disk with a log of a few dozen commands, each in a group of its own, and what the log holds.
fn written() -> (SimDisk, std::collections::BTreeMap<String, String>) {
    let disk = SimDisk::new();
    let (engine, _hand) = open(&disk, Fsync::Always).expect("an empty disk");
    let session = engine.connect();
    let case = Case::each(1, 5).next().expect("one was asked for");
    let random = case.random();
    (0..20).for_each(|_| _ = submit(&session, &command(&random)));
    let held = dump(&engine);
    (disk, held)
}

fn with_increment(bytes: &[u8]) -> SimDisk {
    let disk = SimDisk::new();
    drop(open(&disk, Fsync::Always).expect("an empty disk"));
    disk.overwrite(Path::new(INCREMENT), bytes);
    disk
}

#[test]
fn a_flipped_bit_anywhere_in_the_log_refuses_to_open_and_names_the_place() {
    let (disk, _) = written();
    let bytes = disk.content(Path::new(INCREMENT));
    let mut silent = 0;
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match open(&with_increment(&flipped), Fsync::Always) {
            Err(error @ LogError::Damaged { .. }) => {
                let text = error.to_string();
                assert!(text.contains(INCREMENT) && text.contains("truncate -s"), "{text}");
                let LogError::Damaged { offset, .. } = error else {
                    unreachable!()
                };
                assert!(offset <= bit as u64 / 8, "bit {bit} is before byte {offset}");
            }
            Err(other) => panic!("bit {bit}: {other}"),
            Ok(_) => panic!("bit {bit} was flipped and nobody saw it"),
        }
        silent += usize::from(naive_cut(&flipped) < bytes.len());
    }
    assert!(
        silent > 0,
        "a loader that cuts at the first flaw loses what follows, and says nothing"
    );
}

/// What the hand-written loader keeps: everything up to the first line it does not understand.
fn naive_cut(bytes: &[u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'*' | b'#' | b'$' => {}
            _ => return at,
        }
        let Some(end) = bytes[at..].windows(2).position(|pair| pair == b"\r\n") else {
            return at;
        };
        let line = &bytes[at..at + end];
        at += end + 2;
        if line[0] == b'$' {
            let Some(len) = std::str::from_utf8(&line[1..])
                .ok()
                .and_then(|len| len.parse::<usize>().ok())
            else {
                return at;
            };
            at += len + 2;
        }
    }
    at.min(bytes.len())
}

#[test]
fn a_log_that_ends_early_anywhere_opens_with_the_commands_before() {
    let (disk, held) = written();
    let bytes = disk.content(Path::new(INCREMENT));
    let whole = open(&with_increment(&bytes), Fsync::Always)
        .expect("nothing is missing")
        .0;
    assert_eq!(dump(&whole), held);
    for len in (0..bytes.len()).step_by(3) {
        for zeros in [0, 1, 40, 5_000] {
            let mut torn = bytes[..len].to_vec();
            torn.resize(len + zeros, 0);
            let disk = with_increment(&torn);
            let (engine, _hand) = open(&disk, Fsync::Always).unwrap_or_else(|error| panic!("{len}+{zeros}: {error}"));
            assert_eq!(run(&engine.connect(), "SET more v"), Reply::Ok);
            let before = dump(&engine);
            drop(engine);
            assert_eq!(
                dump(&open(&disk, Fsync::Always).expect("what was cut is gone").0),
                before
            );
        }
    }
}

const PLAIN: &[u8] = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n#TS:1700000000\r\n\
    *3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n*3\r\n$3\r\nSET\r\n$1\r\nc\r\n$1\r\n3\r\n";

#[test]
fn commands_without_a_checksum_are_read_as_redis_writes_them() {
    let (engine, _hand) = open(&with_increment(PLAIN), Fsync::Always).expect("as Redis writes it");
    assert_eq!(run(&engine.connect(), "MGET a b c"), Reply::bulks(["1", "2", "3"]));
    // A length with a flipped bit swallows the rest. That is no torn end.
    let text = String::from_utf8(PLAIN.to_vec()).expect("it is text");
    for wrong in ["$9\r\na", "$9999\r\na", "$536870913\r\na", "$-1\r\na", "$x\r\na"] {
        let damaged = text.replacen("$1\r\na", wrong, 1);
        let opened = open(&with_increment(damaged.as_bytes()), Fsync::Always);
        assert!(matches!(opened, Err(LogError::Damaged { .. })), "{wrong:?}");
    }
}

#[test]
fn a_transaction_without_an_end_did_not_happen() {
    let begun = [
        PLAIN,
        b"*1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n*2\r\n$3\r\nDEL\r\n$1\r\nb\r\n",
    ]
    .concat();
    for len in PLAIN.len()..=begun.len() {
        let disk = with_increment(&begun[..len]);
        let (engine, _hand) = open(&disk, Fsync::Always).expect("its end was torn");
        assert_eq!(run(&engine.connect(), "EXISTS a b c"), Reply::Int(3));
        assert_eq!(disk.content(Path::new(INCREMENT)), PLAIN);
    }
    let whole = [&begun[..], b"*1\r\n$4\r\nEXEC\r\n"].concat();
    let (engine, _hand) = open(&with_increment(&whole), Fsync::Always).expect("it has an end");
    assert_eq!(run(&engine.connect(), "EXISTS a b c"), Reply::Int(1));
}

#[test]
fn what_this_engine_cannot_carry_out_refuses_to_open() {
    for (command, says) in [
        ("*3\r\n$6\r\nBF.ADD\r\n$1\r\nk\r\n$1\r\nv\r\n", "unknown command"),
        (
            "*3\r\n$4\r\nINCR\r\n$1\r\na\r\n$1\r\nb\r\n",
            "wrong number of arguments",
        ),
        ("*2\r\n$5\r\nRPUSH\r\n$1\r\na\r\n", "wrong number"),
        ("*3\r\n$5\r\nRPUSH\r\n$1\r\na\r\n$1\r\nb\r\n", "WRONGTYPE"),
        ("*2\r\n$3\r\nGET\r\n$1\r\na\r\n", "no place in a log"),
        ("*1\r\n$4\r\nEXEC\r\n", "without a MULTI"),
        ("*2\r\n$6\r\nSELECT\r\n$2\r\n99\r\n", "out of range"),
    ] {
        let bytes = [PLAIN, command.as_bytes()].concat();
        let error = open(&with_increment(&bytes), Fsync::Always).map(drop).expect_err(says);
        let text = error.to_string();
        let at = format!("byte {}", PLAIN.len());
        assert!(
            text.contains(says) && text.contains(&at) && text.contains("server that wrote it"),
            "{text}"
        );
    }
}

#[test]
fn damage_before_the_last_file_refuses_even_where_a_torn_end_would_be_cut() {
    let manifest = "file appendonly.aof.1.incr.aof seq 1 type i\nfile appendonly.aof.2.incr.aof seq 2 type i\n";
    let disk = with_increment(&PLAIN[..PLAIN.len() - 5]);
    let folder = Path::new(INCREMENT).parent().expect("it lies in a folder");
    disk.overwrite(&folder.join("appendonly.aof.manifest"), manifest.as_bytes());
    let missing = open(&disk, Fsync::Always).map(drop).expect_err("a file is missing");
    assert!(missing.to_string().contains("is not there"), "{missing}");
    disk.overwrite(&folder.join("appendonly.aof.2.incr.aof"), PLAIN);
    let torn = open(&disk, Fsync::Always)
        .map(drop)
        .expect_err("it is not the last file");
    assert!(torn.to_string().contains("not the last one"), "{torn}");
    // A crash while the second one was begun leaves it empty, and the end of the first torn.
    disk.overwrite(&folder.join("appendonly.aof.2.incr.aof"), b"");
    let (engine, _hand) = open(&disk, Fsync::Always).expect("nothing comes after the torn end");
    assert_eq!(run(&engine.connect(), "EXISTS a b c"), Reply::Int(2));
}

#[test]
fn what_is_no_log_of_redis_7_is_refused_and_kept() {
    let folder = Path::new(INCREMENT).parent().expect("it lies in a folder");
    let refused = |path: &Path, bytes: &[u8], says: &str| {
        let disk = SimDisk::new();
        disk.overwrite(path, bytes);
        let error = open(&disk, Fsync::Always).map(drop).expect_err(says);
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(disk.content(path), bytes, "it is as it was");
    };
    let manifest = folder.join("appendonly.aof.manifest");
    refused(&manifest, b"file a seq 1 type q\n", "a type that is not known");
    refused(&manifest, b"", "not a manifest");
    refused(&manifest, b"\xff\xfe\n", "not a manifest");
    refused(Path::new("/data/appendonly.aof"), PLAIN, "before version 7");
    refused(Path::new(INCREMENT), PLAIN, "without a manifest");
    let disk = with_increment(PLAIN);
    disk.overwrite(&folder.join("appendonly.aof.1.base.rdb"), b"REDIS0010\xfa");
    disk.overwrite(
        &manifest,
        b"file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n",
    );
    let error = open(&disk, Fsync::Always).map(drop).expect_err("an RDB file");
    assert!(
        error.to_string().contains("aof-use-rdb-preamble no") && error.to_string().contains("BGREWRITEAOF"),
        "{error}"
    );
}

/// Random changes of random bytes: an error or a state, never a panic, and never more memory than the file has bytes.
#[test]
fn no_file_makes_the_loader_panic() {
    let (disk, _) = written();
    let written = disk.content(Path::new(INCREMENT));
    for case in Case::each(300, 900) {
        let random = case.random();
        let mut bytes = if random.below(2) == 0 {
            written.clone()
        } else {
            PLAIN.to_vec()
        };
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len() as u64) as usize;
            match random.below(4) {
                0 => bytes[at] = random.next_u64() as u8,
                1 => bytes.truncate(at),
                2 => bytes.insert(at, b"\r\n*$#091"[random.below(8) as usize]),
                _ => drop(bytes.drain(at..(at + 7).min(bytes.len()))),
            }
            if bytes.is_empty() {
                break;
            }
        }
        if let Err(error) = open(&with_increment(&bytes), Fsync::Always) {
            assert!(!error.to_string().is_empty());
        }
    }
}
