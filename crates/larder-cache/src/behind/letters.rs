//! Dead letters: changes that the source refused for good, or that this process cannot read. They lie in the store until
//! somebody replays or drops them; while there is no room for more, the partition is not flushed.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use larder_base::{CacheKey, failpoint};
use redis::Value;
use serde::{Serialize, de::DeserializeOwned};
use xxhash_rust::xxh3::Xxh3;

use super::{
    Behind, Map,
    record::{self, Kind, Record},
    settle::{Batch, Item},
};
use crate::{
    CacheEvent, Change, Error, SinkError, Version, core::Core, layout::PARTITIONS, script::BehindDead, stats::Count,
};

/// Bytes that are kept of why a change was refused.
const WHY_MAX: usize = 1_024;

/// When it died, and the lengths of key and record.
const HEAD: usize = 16;

/// Which dead letter, as it is shown and parsed: `partition-epoch-seq`, such as `7-3-121`. Where the version is damaged, or another
/// letter has it, 16 hexadecimal digits follow, which are those of the key and of what was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId {
    partition: u8,
    version: Version,
    digest: Option<u64>,
}

impl LetterId {
    /// Of a change, by its version alone if it has one.
    fn of(item: &Item) -> Self {
        let version = record::sound_version(&item.record);
        let id = Self {
            partition: item.partition,
            version: version.unwrap_or_default(),
            digest: None,
        };
        if version.is_some() { id } else { id.with_digest(item) }
    }

    /// One that no other change has, whatever its version: not even another of the same key.
    fn with_digest(mut self, item: &Item) -> Self {
        let mut digest = Xxh3::new();
        digest.update(&(item.field.len() as u64).to_be_bytes());
        digest.update(&item.field);
        digest.update(&item.record);
        self.digest = Some(digest.digest());
        self
    }

    /// Under which it lies in X.
    pub(super) fn field(self) -> String {
        let Version { epoch, seq } = self.version;
        match self.digest {
            None => format!("{epoch}-{seq}"),
            Some(digest) => format!("{epoch}-{seq}-{digest:016x}"),
        }
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.partition, self.field())
    }
}

impl FromStr for LetterId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = || {
            let mut parts = text.splitn(4, '-');
            let (partition, epoch, seq) = (parts.next()?, parts.next()?, parts.next()?);
            let digest = match parts.next() {
                None => None,
                Some(digits) if digits.len() == 16 => Some(u64::from_str_radix(digits, 16).ok()?),
                Some(_) => return None,
            };
            let partition = partition.parse().ok().filter(|p| usize::from(*p) < PARTITIONS)?;
            let version = Version {
                epoch: epoch.parse().ok()?,
                seq: seq.parse().ok()?,
            };
            Some(Self {
                partition,
                version,
                digest,
            })
        };
        parse().ok_or_else(|| {
            Error::config(format!(
                "`{}` is no dead letter: they look like `7-3-121`",
                text.escape_default()
            ))
        })
    }
}

/// A change that the source refused for good.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// What [`replay_dead_letter`](crate::Cache::replay_dead_letter) takes.
    pub id: LetterId,
    /// The key, as it is written in the store.
    pub key: String,
    /// The value as JSON, whatever type wrote it; `None` for a removal, for what could not be read at all, and in
    /// [`dead_letters`](crate::Cache::dead_letters), which leaves it out.
    pub value: Option<serde_json::Value>,
    /// Whether the key was to be removed.
    pub is_removal: bool,
    /// Bytes of what was to be written, as it lies in the store.
    pub bytes: u64,
    /// Why it is here, as the source or the codec said.
    pub why: String,
    /// When it came here: time since 1970-01-01 UTC, by the store's clock.
    pub died: Duration,
}

/// A letter as it lies in X.
struct Letter<'a> {
    died_ms: f64,
    field: &'a [u8],
    record: &'a [u8],
    why: &'a [u8],
}

impl<'a> Letter<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(HEAD)?;
        let length = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize;
        let (field, rest) = rest.split_at_checked(length(8))?;
        let (record, why) = rest.split_at_checked(length(12))?;
        Some(Self {
            died_ms: f64::from_be_bytes(std::array::from_fn(|i| head[i])),
            field,
            record,
            why,
        })
    }
}

/// Milliseconds of the store's clock. A letter that is damaged may have any.
pub(super) fn since_1970(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default()
}

/// What became of a change that is to be put aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Buried {
    /// It lies among the dead letters, or was written again meanwhile.
    Done,
    /// There is no room: its partition stops.
    NoRoom,
}

impl<K, V> Core<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Puts a change among the dead letters.
    pub(super) async fn bury(&self, behind: &Behind, map: Map, item: &Item, why: &str) -> Result<Buried, Error> {
        let keys = &behind.keys[usize::from(item.partition)];
        let (d, z) = map.of(keys);
        let id = LetterId::of(item);
        let other_id = id.with_digest(item);
        let why = &why[..why.floor_char_boundary(WHY_MAX)];
        let step = BehindDead {
            d,
            z,
            w: &keys.w,
            x: &keys.x,
            field: &item.field,
            version: item.version(),
            capacity: behind.settings.dead_letters as u64,
            id: &id.field(),
            other_id: &other_id.field(),
            why,
        };
        failpoint::reach("letter unsent");
        let buried = self.ask(&step).await?;
        failpoint::reach("letter unheard");
        match buried {
            -1 => {
                tracing::error!(
                    namespace = %self.layout.namespace(), partition = item.partition,
                    "no room for more dead letters: the partition is not flushed until some are replayed or dropped"
                );
                behind.stop(item.partition);
                self.events.tell(|| CacheEvent::DeadLettersFull {
                    partition: item.partition,
                });
                Ok(Buried::NoRoom)
            }
            1 | 2 => {
                let id = if buried == 1 { id } else { other_id };
                tracing::warn!(namespace = %self.layout.namespace(), letter = %id, why, "a change is a dead letter");
                self.count(Count::BehindDead);
                self.events.tell(|| CacheEvent::DeadLettered { id });
                Ok(Buried::Done)
            }
            _ => Ok(Buried::Done),
        }
    }

    /// Of `partitions` those that are flushed: one that stopped goes on when there is room again.
    pub(super) async fn going(&self, behind: &Behind, partitions: &[u8]) -> Vec<u8> {
        let mut going = Vec::with_capacity(partitions.len());
        for partition in partitions {
            if behind.is_stopped(*partition) {
                let mut count = redis::cmd("HLEN");
                count.arg(behind.keys[usize::from(*partition)].x.as_ref());
                match self.store.run(&count).await {
                    Ok(Value::Int(letters)) if letters.unsigned_abs() < behind.settings.dead_letters as u64 => {
                        behind.go_on(*partition);
                    }
                    _ => continue,
                }
            }
            going.push(*partition);
        }
        going
    }

    /// One of them; `None` if there is none of that id.
    pub(crate) async fn find_dead_letter(&self, id: LetterId) -> Result<Option<DeadLetter>, Error> {
        let behind = self.behind_for("dead_letter")?;
        let found = self.letter(behind, id).await?;
        let letter = found.as_deref().and_then(Letter::parse);
        Ok(letter.map(|letter| self.shown(id, &letter)))
    }

    /// A letter's bytes; `None` if there is none of that id.
    async fn letter(&self, behind: &Behind, id: LetterId) -> Result<Option<Vec<u8>>, Error> {
        let mut command = redis::cmd("HGET");
        command
            .arg(behind.keys[usize::from(id.partition)].x.as_ref())
            .arg(id.field());
        match self.store.run(&command).await {
            Ok(Value::BulkString(bytes)) => Ok(Some(bytes)),
            Ok(_) => Ok(None),
            Err(error) => Err(self.store_error("HGET", error)),
        }
    }

    fn shown(&self, id: LetterId, letter: &Letter<'_>) -> DeadLetter {
        let key = self.label_of_field(letter.field);
        let record = Record::parse(letter.record);
        let value = record
            .as_ref()
            .and_then(|record| record.value(&self.settings.codec, &key).ok()?);
        DeadLetter {
            id,
            key,
            value,
            is_removal: record.is_some_and(|record| record.kind == Kind::Remove),
            bytes: letter.record.len() as u64,
            why: String::from_utf8_lossy(letter.why).into_owned(),
            died: since_1970(letter.died_ms),
        }
    }

    /// Commits a dead letter with the version that it had, so that what was written after it stands.
    pub(crate) async fn replay(self: &Arc<Self>, id: LetterId) -> Result<bool, Error> {
        let behind = self.behind_for("replay_dead_letter")?;
        let Some(bytes) = self.letter(behind, id).await? else {
            return Ok(false);
        };
        let refused = |error: SinkError| self.sink_error("replay_dead_letter", format!("dead letter {id}"), error);
        let unreadable = |why: record::Unreadable| refused(SinkError::permanent(why));
        let letter = Letter::parse(&bytes).ok_or_else(|| unreadable(record::Unreadable::Damaged))?;
        let record = Record::parse(letter.record).ok_or_else(|| unreadable(record::Unreadable::Damaged))?;
        let change: Change<K, V> = record.change(&self.settings.codec, letter.field).map_err(unreadable)?;
        let key = change.key.clone();
        let batch = [change];
        self.commit_batch(behind, Batch::Values(&batch), 0..1)
            .await
            .map_err(refused)?;
        self.invalidate(&[key]).await?;
        self.drop_letter(id).await
    }

    pub(crate) async fn drop_letter(&self, id: LetterId) -> Result<bool, Error> {
        let behind = self.behind_for("drop_dead_letter")?;
        let mut command = redis::cmd("HDEL");
        command
            .arg(behind.keys[usize::from(id.partition)].x.as_ref())
            .arg(id.field());
        let dropped = self
            .store
            .run(&command)
            .await
            .map_err(|error| self.store_error("HDEL", error))?;
        Ok(dropped == Value::Int(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_shown_as_it_is_parsed() {
        let id: LetterId = "7-3-121".parse().expect("it is one");
        assert_eq!((id.to_string(), id.field()), ("7-3-121".to_owned(), "3-121".to_owned()));
        let id: LetterId = "7-0-0-00c0ffee00c0ffee".parse().expect("it is one");
        assert_eq!(id.to_string(), "7-0-0-00c0ffee00c0ffee");
        assert_eq!(id.field(), "0-0-00c0ffee00c0ffee");
        for wrong in [
            "",
            "7",
            "7-3",
            "64-1-1",
            "x-1-1",
            "1-1-1-1",
            "1-1-1-00c0ffee00c0ffeg",
            "1-1-1-00c0ffee-0c0ffee",
            "1-1-1-00c0ffee00c0ffee-1",
        ] {
            assert!(wrong.parse::<LetterId>().is_err(), "{wrong}");
        }
    }
}
