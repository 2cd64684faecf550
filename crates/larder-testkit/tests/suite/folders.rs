//! A folder goes with its owner, or with the next one's if that is killed.

use std::path::PathBuf;

use larder_testkit::{
    OwnFolder,
    worker::{self, Worker},
};

/// Makes a folder, says where, and stands there until it is killed.
#[test]
fn folder_worker() {
    if worker::job::<()>().is_none() {
        return;
    }
    worker::ready();
    let folder = OwnFolder::new().expect("a folder");
    worker::report(&folder.path());
    std::thread::park();
}

fn owner() -> (Worker, PathBuf) {
    let mut worker = Worker::start("folders::folder_worker", &());
    worker.go();
    let folder = worker.next_record().expect("it says where");
    (worker, folder)
}

#[test]
fn a_folder_goes_when_it_is_dropped() {
    let folder = OwnFolder::new().expect("a folder");
    let path = folder.path().to_owned();
    std::fs::write(path.join("file"), "x").expect("it can be written");
    drop(folder);
    assert!(!path.exists());
}

#[test]
fn only_the_folders_of_the_dead_are_swept() {
    let own = OwnFolder::new().expect("a folder");
    let ((living, lived_in), (mut dead, abandoned)) = (owner(), owner());
    std::fs::write(abandoned.join("file"), "x").expect("it can be written");
    dead.kill();
    assert!(abandoned.exists(), "nobody was there to remove it");
    OwnFolder::sweep();
    assert!(!abandoned.exists());
    assert!(lived_in.exists() && own.path().exists());
    drop(living);
}
