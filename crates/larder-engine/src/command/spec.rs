//! What is known of a command before it runs.

use crate::{ErrorReply, Reply, command::Args, ctx::Ctx};

/// What running a command gives.
pub(crate) type CommandResult = Result<Reply, ErrorReply>;

/// A command: its description as data, and its code.
pub(crate) struct CommandSpec {
    /// In capitals.
    pub(crate) name: &'static str,
    /// One line, without a full stop.
    pub(crate) summary: &'static str,
    /// The Redis version that had it first.
    pub(crate) since: &'static str,
    /// Cost, in the words of the command's page.
    pub(crate) complexity: &'static str,
    pub(crate) group: Group,
    pub(crate) arity: Arity,
    pub(crate) flags: Flags,
    pub(crate) keys: KeySpec,
    /// Subcommands of a container such as `CLIENT`; their names are `CLIENT|ID`.
    pub(crate) subcommands: &'static [&'static CommandSpec],
    pub(crate) run: fn(&mut Ctx<'_>, &Args<'_>) -> CommandResult,
}

impl CommandSpec {
    /// Whether this is the subcommand that a word names, in any case.
    pub(crate) fn is_subcommand(&self, word: &[u8]) -> bool {
        let (_, name) = self.name.split_once('|').expect("a subcommand is named CONTAINER|WORD");
        name.as_bytes().eq_ignore_ascii_case(word)
    }

    pub(crate) fn info(&self) -> CommandInfo {
        CommandInfo {
            name: self.name,
            summary: self.summary,
            since: self.since,
            complexity: self.complexity,
            group: self.group,
            arity: self.arity,
            flags: self.flags,
            subcommands: self.subcommands.iter().map(|command| command.info()).collect(),
        }
    }
}

/// A command, described.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommandInfo {
    /// Its name in capitals.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// The Redis version that had it first.
    pub since: &'static str,
    /// What it costs.
    pub complexity: &'static str,
    /// The family it belongs to.
    pub group: Group,
    /// How many arguments it takes, its name included.
    pub arity: Arity,
    /// What it does to data and to the connection.
    pub flags: Flags,
    /// What a container such as `CLIENT` contains, named `CLIENT|ID`.
    pub subcommands: Vec<CommandInfo>,
}

/// The families, as `COMMAND DOCS` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Group {
    String,
    Hash,
    List,
    Set,
    SortedSet,
    Stream,
    Bitmap,
    HyperLogLog,
    Generic,
    Connection,
    Server,
    Scripting,
    Transactions,
    PubSub,
}

/// How many arguments a command takes, its name included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arity(i32);

impl Arity {
    /// Exactly `n`.
    #[must_use]
    pub const fn exactly(n: i32) -> Self {
        Self(n)
    }

    /// `n` or more.
    #[must_use]
    pub const fn at_least(n: i32) -> Self {
        Self(-n)
    }

    /// Whether `n` arguments are right.
    #[must_use]
    pub const fn accepts(self, n: usize) -> bool {
        if self.0 >= 0 {
            n == self.0 as usize
        } else {
            n >= self.0.unsigned_abs() as usize
        }
    }

    /// As `COMMAND INFO` says it: negative for "or more".
    #[must_use]
    pub const fn signed(self) -> i32 {
        self.0
    }
}

/// What a command does: a set of the constants below, named as `COMMAND INFO` names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u32);

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $text:literal;)*) => {
        impl Flags {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*

            /// The names of the flags that are set, in Redis's order.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                [$((Self::$name, $text)),*].into_iter().filter(move |(flag, _)| self.has(*flag)).map(|(_, text)| text)
            }
        }
    };
}

flags! {
    /// May change data.
    WRITE = 0, "write";
    /// Never changes data.
    READONLY = 1, "readonly";
    /// Refused when memory is full.
    DENYOOM = 2, "denyoom";
    /// For operators.
    ADMIN = 3, "admin";
    /// Belongs to publish and subscribe.
    PUBSUB = 4, "pubsub";
    /// Not from a script.
    NOSCRIPT = 5, "noscript";
    /// May wait for data.
    BLOCKING = 6, "blocking";
    /// Answers while data is being loaded.
    LOADING = 7, "loading";
    /// Answers on a replica with stale data.
    STALE = 8, "stale";
    /// O(1) or O(log n).
    FAST = 9, "fast";
    /// Needs no authentication.
    NO_AUTH = 10, "no_auth";
    /// Keys are not at fixed positions.
    MOVABLEKEYS = 11, "movablekeys";
    /// Not inside a transaction.
    NO_MULTI = 12, "no_multi";
    /// Answers while a script runs too long.
    ALLOW_BUSY = 13, "allow_busy";
}

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);

    /// These flags and `other`.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every flag of `other` is set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Where a command's keys are among its arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeySpec {
    None,
    /// From `first` to `last` (negative: from the end), every `step`-th; as `COMMAND INFO` says it.
    Range {
        first: usize,
        last: i32,
        step: usize,
    },
    /// A count at `count`, then so many keys right after it.
    Counted {
        count: usize,
    },
    /// The first half of what follows this word, in any case, at `from` or later.
    HalfAfter {
        keyword: &'static str,
        /// The first argument that may be it.
        from: usize,
    },
    /// A destination first, then a count and so many keys, as in `ZUNIONSTORE destination numkeys key ...`.
    StoreCounted,
}

impl KeySpec {
    pub(crate) const fn first() -> Self {
        Self::Range {
            first: 1,
            last: 1,
            step: 1,
        }
    }

    pub(crate) const fn all() -> Self {
        Self::Range {
            first: 1,
            last: -1,
            step: 1,
        }
    }

    /// The keys among `args`; none where the arguments are too few or the count is nonsense.
    pub(crate) fn of<'a>(&self, args: &Args<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let counted = |count: usize| {
            let n = args.int(count).ok().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
            (count + 1, (count + 1).saturating_add(n), 1)
        };
        let (first, end, step) = match *self {
            Self::None => (0, 0, 1),
            Self::Range { first, last, step } => (first, from_end(last, args.len()).min(args.len()), step),
            Self::Counted { count } => counted(count),
            Self::StoreCounted => counted(2),
            Self::HalfAfter { keyword, from } => half_after(keyword, from, args),
        };
        // A count that promises more than there is makes the whole command invalid.
        let listed = args.all().get(first..end).unwrap_or_default();
        let has_destination = matches!(self, Self::StoreCounted) && !listed.is_empty();
        let destination = args.get(1).filter(|_| has_destination);
        destination.into_iter().chain(listed.iter().copied().step_by(step))
    }
}

/// The first half of what follows a word: first, end, step.
fn half_after(keyword: &str, from: usize, args: &Args<'_>) -> (usize, usize, usize) {
    let first = (from..args.len())
        .find(|i| args.is(*i, keyword))
        .map_or(args.len(), |at| at + 1);
    let rest = args.len().saturating_sub(first);
    // Without an id for each there are no keys: the command is invalid.
    (first, first + if rest % 2 == 0 { rest / 2 } else { 0 }, 1)
}

/// The end of a range whose last position may count from the end of `len` arguments.
fn from_end(last: i32, len: usize) -> usize {
    let last = if last < 0 {
        len as i64 + i64::from(last)
    } else {
        i64::from(last)
    };
    (last + 1).max(0) as usize
}
