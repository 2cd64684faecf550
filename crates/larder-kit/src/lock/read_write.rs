//! Many readers or one writer, by key.

use std::{sync::Arc, time::Duration};

use larder_store::Script;

use super::{
    LockBuilder,
    kind::{Hold, Kind, Step},
    leases::{Leases, Own},
    member::member,
    pause,
    store_lock::{EXTEND, FENCE, RELEASE},
};

static READ: Script = Script::new("read_acquire", include_str!("read_acquire.lua"));
static WRITE: Script = Script::new("write_acquire", include_str!("write_acquire.lua"));

const WRITER: &str = ":writer";
const READERS: &str = ":readers";
/// There while a writer waits.
const WAITING: &str = ":waiting";

/// For how long a writer who was not granted keeps new readers out: it asks again at least every [`pause::LONGEST`], and
/// may be late. One that gives up or dies keeps them out for as long.
const WAITS: Duration = Duration::from_millis(4 * pause::LONGEST.as_millis() as u64);

static READER: Kind = Kind {
    tool: "rw",
    acquire: Step {
        script: &READ,
        parts: &[WRITER, READERS, WAITING],
    },
    hold: member(&[READERS]),
};

static SOLE_WRITER: Kind = Kind {
    tool: "rw",
    acquire: Step {
        script: &WRITE,
        parts: &[WRITER, FENCE, READERS, WAITING],
    },
    hold: Hold {
        extend: Step {
            script: &EXTEND,
            parts: &[WRITER, FENCE],
        },
        release: Step {
            script: &RELEASE,
            parts: &[WRITER],
        },
        adopt: None,
    },
};

/// Many readers or one writer per key, across processes. A cheap clone.
///
/// Writers come first: while one waits, no reader is let in, so that readers who come and go do not keep it out for ever.
/// Writers who never stop coming do keep readers out.
///
/// [`reading`](Self::reading) and [`writing`](Self::writing) are each a [`Lock`](super::Lock). Each reader has a lease of its own;
/// writers have a [fence](super::Fence). Neither becomes the other while it is held.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use larder_kit::lock::{Lock, ReadWriteLock};
///
/// let store = larder_store::Store::open("embedded:").await?;
/// let sheets = ReadWriteLock::builder("sheets").store(&store).build()?;
///
/// let (one, other) = (sheets.reading().acquire(&7).await?, sheets.reading().acquire(&7).await?);
/// assert!(sheets.writing().try_acquire(&7).await?.is_none(), "somebody reads");
/// one.release().await?;
/// other.release().await?;
/// let writer = sheets.writing().acquire(&7).await?;
/// assert!(writer.fence().is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ReadWriteLock {
    reading: Reading,
    writing: Writing,
}

/// The readers' side of a [`ReadWriteLock`].
#[derive(Clone, Debug)]
pub struct Reading(pub(super) Arc<Leases>);

/// The writers' side of a [`ReadWriteLock`].
#[derive(Clone, Debug)]
pub struct Writing(pub(super) Arc<Leases>);

impl ReadWriteLock {
    /// Builds the locks of `namespace` (`[a-z0-9_.-]+`). In the store they are `rw:{sheets:7}:writer` and others beside it.
    pub fn builder(namespace: impl Into<String>) -> LockBuilder<Self> {
        LockBuilder::new(namespace, |settings| {
            Ok(Self {
                reading: Reading(Leases::new(settings, &READER, Own::Nothing)?),
                writing: Writing(Leases::new(settings, &SOLE_WRITER, Own::Waits(WAITS))?),
            })
        })
    }

    /// The lock of those who only read.
    #[must_use]
    pub const fn reading(&self) -> &Reading {
        &self.reading
    }

    /// The lock of those who write.
    #[must_use]
    pub const fn writing(&self) -> &Writing {
        &self.writing
    }
}
