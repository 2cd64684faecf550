//! A folder has one owner, in this process and among processes.

use larder_engine::{Fsync, LogError, Reply};

use super::{open_folder, run};

#[test]
fn a_second_opener_is_told_who_has_the_folder() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let first = open_folder(folder.path(), Fsync::Always).expect("the folder is new");
    let error = open_folder(folder.path(), Fsync::Always)
        .map(drop)
        .expect_err("it has an owner");
    let LogError::InUse { owner, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(owner.as_deref(), Some(std::process::id().to_string().as_str()));
    let text = error.to_string();
    assert!(
        text.contains(&format!("process {}", std::process::id())) && text.contains("another folder"),
        "{text}"
    );
    assert_eq!(run(&first.connect(), "SET k v"), Reply::Ok, "the owner goes on");
    drop(first);
    let again = open_folder(folder.path(), Fsync::No).expect("it is free again");
    assert_eq!(run(&again.connect(), "GET k"), Reply::bulk("v"));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("file");
    std::fs::write(&file, b"no folder").expect("a file can be written");
    let error = open_folder(&file, Fsync::Always).map(drop).expect_err("it is a file");
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
}

#[test]
fn folders_above_are_made_too() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let deep = folder.path().join("a/b/c");
    drop(open_folder(&deep, Fsync::Always).expect("all of them are made"));
    assert!(deep.join("appendonlydir/appendonly.aof.manifest").exists());
}
