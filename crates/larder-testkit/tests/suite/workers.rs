//! Workers report, and end as they are told.

use larder_testkit::worker::{self, Worker};

#[test]
fn counting_worker() {
    let Some(upto) = worker::job::<u32>() else { return };
    worker::ready();
    for number in 1..=upto {
        worker::report(&number);
    }
}

#[test]
fn a_worker_reports_to_its_parent() {
    let mut worker = Worker::start("workers::counting_worker", &3u32);
    worker.go();
    assert_eq!(worker.finish::<u32>(), [1, 2, 3]);
}

#[test]
fn a_killed_worker_has_no_more_records() {
    let mut worker = Worker::start("workers::counting_worker", &3u32);
    worker.kill();
    assert_eq!(worker.next_record::<u32>(), None);
}
