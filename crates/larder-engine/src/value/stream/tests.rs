use super::*;

fn id(ms: u64, seq: u64) -> StreamId {
    StreamId { ms, seq }
}

/// A stream of so many entries `f i` with ids 1-0, 2-0, ..
fn stream(entries: u64) -> Stream {
    let mut stream = Stream::default();
    for i in 1..=entries {
        stream.push(id(i, 0), &[b"f", i.to_string().as_bytes()]);
    }
    stream
}

fn ids(stream: &Stream) -> Vec<u64> {
    stream
        .range(StreamId::MIN, StreamId::MAX)
        .map(|entry| entry.id.ms)
        .collect()
}

fn trim(keep: Keep, approximate: bool) -> Trim {
    Trim {
        keep,
        approximate,
        limit: None,
    }
}

#[test]
fn entries_come_back_whatever_their_fields() {
    let mut stream = Stream::default();
    let entries: [(StreamId, &[&[u8]]); 4] = [
        (id(5, 3), &[b"a", b"1", b"b", b"2"]),
        (id(5, u64::MAX), &[b"a", b"", b"b", b"x"]),
        (id(6, 0), &[b"b", b"1", b"a", b"2"]),
        (id(u64::MAX, 1), &[b"a", b"only"]),
    ];
    entries.iter().for_each(|(id, texts)| stream.push(*id, texts));
    let found: Vec<_> = stream
        .range(StreamId::MIN, StreamId::MAX)
        .map(|entry| (entry.id, entry.texts().collect::<Vec<_>>()))
        .collect();
    assert_eq!(found, entries.map(|(id, texts)| (id, texts.to_vec())));
    assert_eq!(stream.range(id(5, 4), id(6, 0)).count(), 2);
    assert_eq!(stream.range(id(6, 1), id(6, 0)).count(), 0);
}

#[test]
fn blocks_hold_a_hundred_entries_or_four_kilobytes() {
    assert_eq!(stream(100).shape().0, 1);
    assert_eq!(stream(101).shape().0, 2);
    let mut large = Stream::default();
    (1..=3).for_each(|i| large.push(id(i, 0), &[b"f", &[b'x'; 2_100]]));
    assert_eq!(large.shape().0, 3);
}

#[test]
fn approximate_trimming_removes_whole_blocks() {
    let mut stream = stream(250);
    assert_eq!(stream.trim(trim(Keep::Count(160), true)), 0);
    assert_eq!(stream.trim(trim(Keep::Count(149), true)), 100);
    assert_eq!(stream.trim(trim(Keep::From(id(150, 0)), true)), 0);
    assert_eq!(stream.trim(trim(Keep::From(id(150, 0)), false)), 49);
    assert_eq!((stream.first_id(), stream.len()), (id(150, 0), 101));
    assert_eq!(stream.trim(trim(Keep::Count(3), false)), 98);
    assert_eq!(ids(&stream), [248, 249, 250]);
}

#[test]
fn a_limit_stops_a_trim_before_a_block_too_many() {
    let mut stream = stream(500);
    let trim = Trim {
        limit: Some(250),
        ..trim(Keep::Count(0), true)
    };
    assert_eq!(
        (stream.trim(trim), stream.trim(trim), stream.trim(trim)),
        (200, 200, 100)
    );
    assert_eq!((stream.weight(), stream.first_id()), (0, StreamId::MIN));
}

#[test]
fn removed_entries_are_gone_and_remembered() {
    let mut stream = stream(3);
    assert_eq!(stream.remove(&[id(1, 0), id(9, 0), id(2, 0), id(2, 0)]), 2);
    assert_eq!((ids(&stream), stream.max_deleted_id()), (vec![3], id(2, 0)));
    assert_eq!(stream.remove(&[id(3, 0)]), 1);
    assert_eq!((stream.len(), stream.weight(), stream.last_id()), (0, 0, id(3, 0)));
    assert_eq!(stream.new_id(NewId::Next, 2), Some(id(3, 1)));
    assert_eq!(stream.new_id(NewId::NextAt(3), 0), Some(id(3, 1)));
    assert_eq!(stream.new_id(NewId::NextAt(2), 0), None);
}
