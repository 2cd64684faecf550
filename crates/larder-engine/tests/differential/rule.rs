//! How the replies of the two servers to one step are compared.

use crate::frame::Frame;

/// What has to hold of the two replies. Errors are the same byte for byte under every rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Byte for byte.
    Same,
    /// The same items in any order.
    Unordered,
    /// The same pairs in any order.
    Pairs,
    /// Numbers at most so far apart: times that pass between the two.
    Near(i64),
    /// The same kind of reply, whatever it says.
    Kind,
    /// What `COMMAND INFO` tells of commands, as far as clients go by it: not the notes for proxies.
    Entries,
    /// Pending entries as `XPENDING` lists them, but for how long ago they were given.
    Pending,
    /// Consumers as `XINFO CONSUMERS` lists them, but for how long ago they were seen.
    Consumers,
    /// Byte for byte, but for points in time, in milliseconds.
    Untimed,
    /// A scan's page: the same cursor, and the same items in any order.
    Page,
    /// The same of pairs.
    PagePairs,
    /// Items chosen at random among those of the step before: as many, and different ones unless the count is
    /// negative.
    Pick,
    /// The same of pairs.
    PickPairs,
    /// What is left after the step before took some of what the step before that showed.
    Rest,
}

/// Seconds and milliseconds that may pass between the two servers' looking at their clocks.
const SECONDS: i64 = 3;
const MILLISECONDS: i64 = 3_000;

impl Rule {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "same" => Self::Same,
            "unordered" => Self::Unordered,
            "pairs" => Self::Pairs,
            "seconds" => Self::Near(SECONDS),
            "millis" => Self::Near(MILLISECONDS),
            "kind" => Self::Kind,
            "entries" => Self::Entries,
            "pending" => Self::Pending,
            "consumers" => Self::Consumers,
            "untimed" => Self::Untimed,
            "page" => Self::Page,
            "pagepairs" => Self::PagePairs,
            "pick" => Self::Pick,
            "pickpairs" => Self::PickPairs,
            "rest" => Self::Rest,
            _ => return None,
        })
    }

    /// Whether the rule looks back at earlier replies.
    pub(crate) const fn looks_back(self) -> bool {
        matches!(self, Self::Pick | Self::PickPairs | Self::Rest)
    }

    /// Whether it holds of whatever arguments: a scan from any cursor is no whole page, nor are all commands told in
    /// one order.
    pub(crate) const fn survives_spoiling(self) -> bool {
        !matches!(self, Self::Entries | Self::Page | Self::PagePairs)
    }

    /// Whether the two replies keep a rule that looks at nothing else.
    pub(crate) fn holds(self, redis: &Frame, engine: &Frame) -> bool {
        if redis.is_error() || engine.is_error() {
            return without_script(redis) == without_script(engine);
        }
        match self {
            Self::Same => redis == engine,
            Self::Unordered => redis.kind() == engine.kind() && sorted(redis) == sorted(engine),
            Self::Pairs => redis.kind() == engine.kind() && sorted_pairs(redis) == sorted_pairs(engine),
            Self::Near(distance) => match (redis.int(), engine.int()) {
                (Some(a), Some(b)) if a >= 0 && b >= 0 => a.abs_diff(b) <= distance.unsigned_abs(),
                _ => redis == engine,
            },
            Self::Entries => entries(redis) == entries(engine),
            Self::Pending => without(redis, &[2]) == without(engine, &[2]),
            Self::Consumers => without(redis, &[5]) == without(engine, &[5]),
            Self::Untimed => untimed(redis) == untimed(engine),
            Self::Page => page(redis, engine, sorted),
            Self::PagePairs => page(redis, engine, sorted_pairs),
            Self::Kind | Self::Pick | Self::PickPairs | Self::Rest => redis.kind() == engine.kind(),
        }
    }

    /// Whether both replies, with those to the steps before in the same action, keep a rule that looks back.
    pub(crate) fn holds_after(self, args: &[Vec<u8>], redis: &[Frame], engine: &[Frame]) -> bool {
        let (Some((a, a_before)), Some((b, b_before))) = (redis.split_last(), engine.split_last()) else {
            return false;
        };
        if a.items().is_none() && b.items().is_none() && self != Self::Pick {
            return a == b;
        }
        let count = args.get(2).map(Vec::as_slice);
        let alike = a.kind() == b.kind() && size(a) == size(b);
        let each = [(a, a_before), (b, b_before)];
        alike && each.iter().all(|(reply, before)| self.fits(reply, before, count)) || self.holds_error(a, b)
    }

    fn holds_error(self, redis: &Frame, engine: &Frame) -> bool {
        redis.is_error() && Self::Same.holds(redis, engine)
    }

    /// Whether a reply fits the replies before it on the same server.
    fn fits(self, reply: &Frame, before: &[Frame], count: Option<&[u8]>) -> bool {
        let repeats = count.is_some_and(|count| count.starts_with(b"-"));
        match self {
            Self::Pick => {
                let population = before.last().and_then(sorted).unwrap_or_default();
                let picked = sorted(reply).unwrap_or_else(|| match reply {
                    Frame::Null(_) | Frame::Line(b'_', _) => Vec::new(),
                    one => vec![one.clone()],
                });
                is_pick(&picked, &population, repeats)
            }
            Self::PickPairs => {
                let population = before.last().and_then(sorted_pairs).unwrap_or_default();
                let picked = sorted_pairs(reply).unwrap_or_default();
                is_pick(&picked, &population, repeats)
            }
            Self::Rest => {
                let [.., whole, taken] = before else { return false };
                let mut all = sorted(reply).unwrap_or_default();
                match taken {
                    Frame::Bulk(..) => all.push(taken.clone()),
                    _ => all.extend(sorted(taken).unwrap_or_default()),
                }
                all.sort();
                all == sorted(whole).unwrap_or_default()
            }
            _ => true,
        }
    }
}

fn size(frame: &Frame) -> usize {
    frame.items().map_or(0, <[Frame]>::len)
}

fn is_pick<T: PartialEq + Ord>(picked: &[T], population: &[T], repeats: bool) -> bool {
    let distinct = picked.windows(2).all(|two| two[0] != two[1]);
    picked.iter().all(|item| population.binary_search(item).is_ok()) && (repeats || distinct)
}

fn page<T: PartialEq>(redis: &Frame, engine: &Frame, sort: fn(&Frame) -> Option<Vec<T>>) -> bool {
    match (redis.items(), engine.items()) {
        (Some([cursor, found]), Some([other_cursor, other])) => cursor == other_cursor && sort(found) == sort(other),
        _ => redis == engine,
    }
}

/// Without points in time, which are the only numbers of that size.
fn untimed(frame: &Frame) -> Frame {
    const POINTS: std::ops::Range<i64> = 1_000_000_000_000..10_000_000_000_000;
    match frame {
        Frame::Line(b':', _) if frame.int().is_some_and(|at| POINTS.contains(&at)) => {
            Frame::Line(b':', b"time".to_vec())
        }
        Frame::List(kind, items) => Frame::List(*kind, items.iter().map(untimed).collect()),
        Frame::Map(pairs) => Frame::Map(
            pairs
                .iter()
                .map(|(name, value)| (untimed(name), untimed(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// A list of lists or of maps without what is at these places of each; names and values of a map count one by one.
fn without(frame: &Frame, places: &[usize]) -> Option<Vec<Vec<Frame>>> {
    let parts = |item: &Frame| match item {
        Frame::Map(pairs) => Some(
            pairs
                .iter()
                .flat_map(|(name, value)| [name.clone(), value.clone()])
                .collect(),
        ),
        _ => item.items().map(<[Frame]>::to_vec),
    };
    let kept = |item: &Frame| {
        let parts: Vec<Frame> = parts(item)?;
        let kept = parts.into_iter().enumerate().filter(|(i, _)| !places.contains(i));
        Some(kept.map(|(_, part)| part).collect())
    };
    frame.items()?.iter().map(kept).collect()
}

/// Of each command its name, arity, flags, key positions; `None` for one that does not exist.
fn entries(reply: &Frame) -> Option<Vec<Option<Vec<Frame>>>> {
    /// Name, arity, flags, first key, last key, step.
    const TOLD: usize = 6;
    let entry = |entry: &Frame| {
        let parts = entry.items()?.get(..TOLD)?;
        Some(parts.iter().map(sorted_flags).collect())
    };
    Some(reply.items()?.iter().map(entry).collect())
}

/// The flags that say something to a client, in order; anything else as it is.
fn sorted_flags(part: &Frame) -> Frame {
    const FOR_THE_SERVER_ALONE: &[&str] = &["skip_slowlog", "skip_monitor", "may_replicate", "no_mandatory_keys"];
    let Some(flags) = sorted(part) else {
        return part.clone();
    };
    let told = |flag: &Frame| !FOR_THE_SERVER_ALONE.iter().any(|name| flag.is_status(name));
    Frame::List(part.kind(), flags.into_iter().filter(told).collect())
}

/// The items in order; none if it is no list.
pub(crate) fn sorted(frame: &Frame) -> Option<Vec<Frame>> {
    let mut items = frame.items()?.to_vec();
    items.sort();
    Some(items)
}

fn sorted_pairs(frame: &Frame) -> Option<Vec<(Frame, Frame)>> {
    let mut pairs = frame.pairs()?;
    pairs.sort();
    Some(pairs)
}

/// An error without the name of the script that it came from.
fn without_script(frame: &Frame) -> Frame {
    match frame {
        Frame::Line(b'-', text) => {
            const SUFFIX: &[u8] = b" script: ";
            let end = text.windows(SUFFIX.len()).position(|window| window == SUFFIX);
            Frame::Line(b'-', text[..end.unwrap_or(text.len())].to_vec())
        }
        other => other.clone(),
    }
}
