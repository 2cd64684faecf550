//! Why a log was not opened, and what to do about it.

use std::{
    io,
    path::{Path, PathBuf},
};

/// A log could not be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// Another engine has it open.
    #[error(
        "{} is in use by {}; a log has one owner: stop that one, or choose another folder",
        folder.display(), owner_text(owner.as_deref())
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The owner's process id, if it could be read.
        owner: Option<String>,
    },
    /// The file system said no.
    #[error("{}: could not {doing}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// There is something wrong inside a file, and not at the end of the last one, where a crash would leave it.
    #[error(
        "{} is damaged at byte {offset}: {what}; bring it back from a copy, or give up what follows with \
         `truncate -s {offset} {}`{}",
        path.display(), path.display(), later_text(*later)
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        what: String,
        /// Whether the manifest names files after this one.
        later: bool,
    },
    /// A command in the log cannot be carried out by this engine.
    #[error(
        "{}, byte {offset}: {what}; open this log with the server that wrote it",
        path.display()
    )]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// The command, and why not.
        what: String,
    },
    /// The base of the log is a snapshot in Redis's RDB format.
    #[error(
        "{} is an RDB snapshot, which this engine does not read; on the redis-server that wrote it run \
         `CONFIG SET aof-use-rdb-preamble no` and `BGREWRITEAOF`, and stop it when `INFO persistence` says \
         aof_rewrite_in_progress:0",
        path.display()
    )]
    Rdb {
        /// The file.
        path: PathBuf,
    },
    /// The folder holds something that is not a log as Redis 7 and this engine write it.
    #[error("{}: {what}", path.display())]
    Foreign {
        /// The file or folder.
        path: PathBuf,
        /// What is foreign, and what to do.
        what: String,
    },
}

fn owner_text(owner: Option<&str>) -> String {
    owner.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}

fn later_text(later: bool) -> &'static str {
    if later {
        " and by taking the files after it out of the manifest"
    } else {
        ""
    }
}

impl LogError {
    /// Names what was tried, and where.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, doing, source }
    }
}
