//! The log of invalidations: every script that invalidates writes to it, and its loss can be seen.

use larder_testkit::Answer;

use super::{client::Client, lab::Lab};

/// The log from an item on.
fn log_from(client: &mut Client, id: &str) -> Vec<Answer> {
    let log = client.p("l");
    client.c(&["XRANGE", &log, id, "+"]).list().to_vec()
}

/// What kind of item it is: its first field.
fn kind(item: &Answer) -> String {
    item.list()[1].list()[0].text()
}

pub(crate) fn y_log_mode(lab: &mut Lab) {
    let mut writer = lab.client();
    writer.log = true;
    let log = writer.p("l");
    let start = lab.random.bytes::<8>();
    let last = writer.c(&[b"XADD", log.as_bytes(), b"*", b"h", &start]).text();
    let first = log_from(&mut writer, &last).remove(0);

    writer.get("k");
    writer.inv("k");
    writer.mark_stale("k");
    writer.put("k", b"v");
    let hold = writer.begin("k");
    writer.endw("k", hold);
    let hold = writer.begin("k");
    writer.endput("k", hold, b"v");
    writer.invtag(&["T", "U"]);
    writer.rotate();
    // Without M too: near copies may outlive it.
    let m = writer.p("m");
    writer.c(&["DEL", &m]);
    writer.invtag(&["T"]);
    writer.rotate_from(&[1; 8], [2; 8]);

    let items = log_from(&mut writer, &last);
    assert_eq!(items[0], first);
    let kinds: Vec<String> = items[1..].iter().map(kind).collect();
    assert_eq!(kinds, ["k", "k", "k", "k", "k", "k", "k", "t", "t", "c", "t", "c"]);

    // A lost or trimmed log is seen: it does not begin with the item that was remembered.
    writer.c(&["DEL", &log]);
    writer.inv("k");
    assert_ne!(log_from(&mut writer, &last).first(), Some(&first));
}
