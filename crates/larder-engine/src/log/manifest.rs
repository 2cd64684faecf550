//! The manifest: which files make up the log, in Redis 7's own form.
//!
//! ```text
//! file appendonly.aof.1.base.aof seq 1 type b
//! file appendonly.aof.2.incr.aof seq 2 type i
//! ```
//!
//! A base (`b`) holds the data as it was at one moment, increments (`i`) what happened since, history (`h`) what is to be
//! removed. The manifest is replaced as a whole by a rename, so a crash leaves the old one or the new one.

use std::{
    fmt::{self, Write as _},
    io,
    path::{Path, PathBuf},
};

use super::{disk::Disk, error::LogError};

/// Under the folder that the user names, as Redis's `appenddirname`.
pub(super) const SUBFOLDER: &str = "appendonlydir";

/// Redis's `appendfilename`: what all files begin with.
pub(super) const STEM: &str = "appendonly.aof";

const NAME: &str = "appendonly.aof.manifest";
const NAME_NEW: &str = "temp-appendonly.aof.manifest";

/// A base while it is being written; found at a start, it is what a crash left.
pub(super) const BASE_NEW: &str = "temp-rewrite.base.aof";

/// More than a manifest ever takes.
const BYTES_MAX: u64 = 1 << 20;

/// The files of a log, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) base: Option<File>,
    pub(super) increments: Vec<File>,
    pub(super) history: Vec<File>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) seq: u64,
}

impl Manifest {
    /// Where it lies.
    pub(super) fn path(folder: &Path) -> PathBuf {
        folder.join(NAME)
    }

    /// The manifest in `folder`; `None` if there is none.
    pub(super) fn load(disk: &dyn Disk, folder: &Path) -> Result<Option<Self>, LogError> {
        let path = Self::path(folder);
        let mut text = String::new();
        let read = disk
            .read(&path, 0)
            .and_then(|(file, _)| io::Read::read_to_string(&mut io::Read::take(file, BYTES_MAX), &mut text));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
            done => _ = done.map_err(LogError::io("read the manifest", &path))?,
        }
        let read = Self::parse(&text);
        read.map(Some).map_err(|what| LogError::Foreign {
            what: format!(
                "not a manifest as Redis 7 writes it: {what}; open it with the server that wrote it, or bring it back \
                 from a copy"
            ),
            path,
        })
    }

    /// Puts this manifest in place of the one that is there, for good.
    pub(super) fn save(&self, disk: &dyn Disk, folder: &Path) -> io::Result<()> {
        let temporary = folder.join(NAME_NEW);
        let mut file = disk.create(&temporary)?;
        file.append(self.to_string().as_bytes())?;
        file.sync()?;
        drop(file);
        disk.rename(&temporary, &Self::path(folder))?;
        disk.sync_folder(folder)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut manifest = Self::default();
        if !text.ends_with('\n') {
            return Err("it is empty or has no end".into());
        }
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            manifest
                .take(line)
                .map_err(|what| format!("{what} in `{}`", line.escape_debug()))?;
        }
        Ok(manifest)
    }

    fn take(&mut self, line: &str) -> Result<(), &'static str> {
        let words: Vec<&str> = line.split(' ').collect();
        let [b"file", b"seq", b"type"] = [0, 2, 4].map(|i| words.get(i).copied().unwrap_or_default().as_bytes()) else {
            return Err("a line that does not say file, seq and type");
        };
        let &[_, name, _, seq, _, kind] = &words[..] else {
            return Err("more than file, seq and type");
        };
        if !is_plain(name) {
            return Err("a name that is none of a file in this folder");
        }
        let file = File {
            name: name.to_owned(),
            seq: seq.parse().ok().filter(|seq| *seq > 0).ok_or("a number that is none")?,
        };
        match kind {
            "b" if self.base.is_some() => Err("a second base"),
            "b" => {
                self.base = Some(file);
                Ok(())
            }
            "i" if self.increments.last().is_some_and(|last| last.seq >= file.seq) => Err("an increment out of order"),
            "i" => {
                self.increments.push(file);
                Ok(())
            }
            "h" => {
                self.history.push(file);
                Ok(())
            }
            _ => Err("a type that is not known"),
        }
    }

    /// The file that an increment after the last one is to be.
    pub(super) fn next_increment(&self) -> File {
        let seq = self.increments.last().map_or(0, |last| last.seq) + 1;
        File {
            name: format!("{STEM}.{seq}.incr.aof"),
            seq,
        }
    }

    /// The file that a base after this one is to be.
    pub(super) fn next_base(&self) -> File {
        let seq = self.base.as_ref().map_or(0, |base| base.seq) + 1;
        File {
            name: format!("{STEM}.{seq}.base.aof"),
            seq,
        }
    }

    /// The manifest after a rewrite: `base` stands for all that came before the increments from `first` on.
    pub(super) fn rewritten(&self, base: File, first: u64) -> Self {
        let (increments, old): (Vec<_>, Vec<_>) = self.increments.iter().cloned().partition(|file| file.seq >= first);
        Self {
            history: self
                .history
                .iter()
                .cloned()
                .chain(self.base.clone())
                .chain(old)
                .collect(),
            base: Some(base),
            increments,
        }
    }

    /// What the log consists of, in the order in which it is read.
    pub(super) fn files(&self) -> impl Iterator<Item = &File> {
        self.base.iter().chain(&self.increments)
    }
}

/// Names with spaces and the like stand in quotes; this engine's files have none, nor have Redis's by default.
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    name.bytes().all(plain) && !name.is_empty() && !name.starts_with('.')
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = String::new();
        let mut add = |file: &File, kind: char| writeln!(lines, "file {} seq {} type {kind}", file.name, file.seq);
        if let Some(file) = &self.base {
            add(file, 'b')?;
        }
        for file in &self.history {
            add(file, 'h')?;
        }
        for file in &self.increments {
            add(file, 'i')?;
        }
        f.write_str(&lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_of_redis_reads_back_as_it_was() {
        let text = "file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.1.incr.aof seq 1 type h\n\
                    file appendonly.aof.2.incr.aof seq 2 type i\nfile appendonly.aof.3.incr.aof seq 3 type i\n";
        let manifest = Manifest::parse(text).expect("as Redis writes it");
        assert_eq!(manifest.to_string(), text);
        assert_eq!(manifest.next_increment().name, "appendonly.aof.4.incr.aof");
        assert_eq!(manifest.next_base().name, "appendonly.aof.3.base.aof");
        let rewritten = manifest.rewritten(manifest.next_base(), 3);
        assert_eq!(
            rewritten.to_string(),
            "file appendonly.aof.3.base.aof seq 3 type b\nfile appendonly.aof.1.incr.aof seq 1 type h\n\
             file appendonly.aof.2.base.rdb seq 2 type h\nfile appendonly.aof.2.incr.aof seq 2 type h\n\
             file appendonly.aof.3.incr.aof seq 3 type i\n"
        );
    }

    #[test]
    fn what_redis_would_not_write_is_refused() {
        for text in [
            "",
            "file a seq 1 type i",
            "file a seq 1 type z\n",
            "file a seq 0 type i\n",
            "file a seq x type i\n",
            "file ../a seq 1 type i\n",
            "file .. seq 1 type i\n",
            "file \"a b\" seq 1 type i\n",
            "file a seq 1 type i sum 77\n",
            "name a seq 1 type i\n",
            "file a seq 2 type i\nfile b seq 1 type i\n",
            "file a seq 1 type b\nfile b seq 2 type b\n",
            "\n",
        ] {
            assert!(Manifest::parse(text).is_err(), "{text:?}");
        }
    }
}
