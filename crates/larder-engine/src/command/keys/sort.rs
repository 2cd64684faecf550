//! `SORT key [BY pattern] [LIMIT offset count] [GET pattern ...] [ASC | DESC] [ALPHA] [STORE destination]`, `SORT_RO`:
//! the elements of a list, set or sorted set in order, or what they point at.
//!
//! Reference: <https://redis.io/commands/sort/>. A pattern with a `*` names a key for each element; `key->field` names
//! a field of a hash, `#` the element itself. `BY` without a `*` leaves the order as it is.

use std::cmp::Ordering;

use crate::{
    ErrorReply, Reply,
    command::{Args, Arity, CommandResult, CommandSpec, Flags, Group, KeySpec},
    ctx::Ctx,
    notify::Class,
    number::read_in_range,
    value::{End, Hash, Kind, List, SortedSet, Text, Value},
};

pub(super) const SORT: CommandSpec = CommandSpec {
    name: "SORT",
    summary: "Sorts the elements in a list, a set, or a sorted set, optionally storing the result",
    since: "1.0.0",
    complexity: "O(N+M*log(M)) where N is the number of elements to sort, and M the number of returned elements",
    group: Group::Generic,
    arity: Arity::at_least(2),
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::MOVABLEKEYS),
    keys: KeySpec::first(),
    subcommands: &[],
    run: |ctx, args| sort(ctx, args, true),
};

pub(super) const SORT_RO: CommandSpec = CommandSpec {
    name: "SORT_RO",
    summary: "Returns the sorted elements of a list, a set, or a sorted set",
    since: "7.0.0",
    flags: Flags::READONLY.and(Flags::MOVABLEKEYS),
    run: |ctx, args| sort(ctx, args, false),
    ..SORT
};

#[derive(Default)]
struct Options<'a> {
    by: Option<&'a [u8]>,
    limit: Option<(i64, i64)>,
    get: Vec<&'a [u8]>,
    descending: bool,
    alpha: bool,
    store: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(args: &Args<'a>, may_store: bool) -> Result<Self, ErrorReply> {
        let mut options = Self::default();
        let mut i = 2;
        while i < args.len() {
            let left = args.len() - 1 - i;
            i += match () {
                () if args.is(i, "ASC") => options.flag(|options| options.descending = false),
                () if args.is(i, "DESC") => options.flag(|options| options.descending = true),
                () if args.is(i, "ALPHA") => options.flag(|options| options.alpha = true),
                () if args.is(i, "LIMIT") && left >= 2 => {
                    options.limit = Some((args.int(i + 1)?, args.int(i + 2)?));
                    3
                }
                () if args.is(i, "STORE") && left >= 1 && may_store => {
                    options.store = Some(args.bytes(i + 1));
                    2
                }
                () if args.is(i, "BY") && left >= 1 => {
                    options.by = Some(args.bytes(i + 1));
                    2
                }
                () if args.is(i, "GET") && left >= 1 => {
                    options.get.push(args.bytes(i + 1));
                    2
                }
                () => return Err(ErrorReply::SYNTAX),
            };
        }
        Ok(options)
    }

    /// Takes an option without an argument; how many words that was.
    fn flag(&mut self, set: fn(&mut Self)) -> usize {
        set(self);
        1
    }

    /// Whether the elements are to be put in order at all.
    fn sorts(&self) -> bool {
        self.by.is_none_or(|pattern| pattern.contains(&b'*'))
    }

    /// The positions to answer with, among `len`.
    fn range(&self, len: usize) -> std::ops::Range<usize> {
        let Some((offset, count)) = self.limit else {
            return 0..len;
        };
        let start = usize::try_from(offset).unwrap_or(0).min(len);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        start..start.saturating_add(count).min(len)
    }
}

/// What an element is ordered by.
enum Weight {
    Number(f64),
    /// Absent for a key that is not there.
    Text(Option<Vec<u8>>),
}

fn sort(ctx: &mut Ctx<'_>, args: &Args<'_>, may_store: bool) -> CommandResult {
    let options = Options::parse(args, may_store)?;
    let (elements, alpha) = elements(ctx, args.bytes(1), &options)?;
    let elements = if options.sorts() || alpha {
        in_order(ctx, elements, &options, alpha)?
    } else {
        elements
    };
    let range = options.range(elements.len());
    let mut replies = Vec::new();
    for element in &elements[range] {
        if options.get.is_empty() {
            replies.push(Some(element.clone()));
        }
        for pattern in &options.get {
            replies.push(look_up(ctx, pattern, element));
        }
    }
    match options.store {
        Some(destination) => Ok(store(ctx, destination, &replies)),
        None => Ok(Reply::Array(replies.into_iter().map(Reply::bulk_or_null).collect())),
    }
}

/// The elements as they are, and whether they must be ordered as text though no order was asked for: a set has none
/// of its own, and what is stored must not depend on how it is held.
fn elements(ctx: &mut Ctx<'_>, key: &[u8], options: &Options<'_>) -> Result<(Vec<Vec<u8>>, bool), ErrorReply> {
    let stores = options.store.is_some();
    let Some(entry) = ctx.entry(key) else {
        return Ok((Vec::new(), false));
    };
    Ok(match &entry.value {
        Value::List(list) => (list.iter().map(<[u8]>::to_vec).collect(), false),
        Value::Set(set) => {
            let elements = set.iter().map(<[u8]>::to_vec).collect();
            (elements, stores && !options.sorts())
        }
        Value::SortedSet(zset) => {
            let mut elements: Vec<Vec<u8>> = zset
                .order()
                .range(0..zset.len())
                .map(|item| item.member.to_vec())
                .collect();
            if options.descending {
                elements.reverse();
            }
            // As a side effect of sorting, Redis gives up the compact encoding.
            ctx.update(key, SortedSet::outgrow)?;
            (elements, false)
        }
        Value::String(_) | Value::Hash(_) | Value::Stream(_) => return Err(ErrorReply::WRONG_TYPE),
    })
}

fn in_order(
    ctx: &mut Ctx<'_>,
    elements: Vec<Vec<u8>>,
    options: &Options<'_>,
    forced: bool,
) -> Result<Vec<Vec<u8>>, ErrorReply> {
    let by = options.by.filter(|_| options.sorts());
    let alpha = options.alpha || forced;
    let mut weighed = Vec::with_capacity(elements.len());
    for element in elements {
        let text = match by {
            Some(pattern) => look_up(ctx, pattern, &element),
            None => Some(element.clone()),
        };
        weighed.push((weigh(text, alpha)?, element));
    }
    weighed.sort_by(|(a, first), (b, second)| {
        let ordering = match (a, b) {
            // Equal numbers go by their elements, so that the result is always the same.
            (Weight::Number(a), Weight::Number(b)) => a.total_cmp(b).then_with(|| first.cmp(second)),
            (Weight::Text(a), Weight::Text(b)) => a.cmp(b),
            _ => Ordering::Equal,
        };
        if options.descending {
            ordering.reverse()
        } else {
            ordering
        }
    });
    Ok(weighed.into_iter().map(|(_, element)| element).collect())
}

fn weigh(text: Option<Vec<u8>>, alpha: bool) -> Result<Weight, ErrorReply> {
    if alpha {
        return Ok(Weight::Text(text));
    }
    let number = match text {
        None => Some(0.0),
        // So close to zero, C reports a loss.
        Some(text) => read_in_range(&text).filter(|number| !number.is_subnormal()),
    };
    // Zero has two signs and one place in the order.
    number
        .map(|number| Weight::Number(if number == 0.0 { 0.0 } else { number }))
        .ok_or_else(|| ErrorReply::new("ERR One or more scores can't be converted into double"))
}

/// What a pattern points at for an element.
fn look_up(ctx: &mut Ctx<'_>, pattern: &[u8], element: &[u8]) -> Option<Vec<u8>> {
    if pattern == b"#" {
        return Some(element.to_vec());
    }
    let star = pattern.iter().position(|byte| *byte == b'*')?;
    let (prefix, rest) = (&pattern[..star], &pattern[star + 1..]);
    let arrow = rest.windows(2).position(|pair| pair == b"->");
    let (suffix, field) = match arrow {
        Some(at) if at + 2 < rest.len() => (&rest[..at], Some(&rest[at + 2..])),
        _ => (rest, None),
    };
    let key = [prefix, element, suffix].concat();
    match field {
        Some(field) => ctx.read::<Hash>(&key).ok()??.get(field).map(<[u8]>::to_vec),
        None => Some(ctx.read::<Text>(&key).ok()??.bytes().to_vec()),
    }
}

fn store(ctx: &mut Ctx<'_>, destination: &[u8], elements: &[Option<Vec<u8>>]) -> Reply {
    if elements.is_empty() {
        if ctx.remove(destination).is_some() {
            ctx.tell(&[b"DEL", destination]);
            ctx.modified(destination, Class::Generic, "del");
        }
        return Reply::Int(0);
    }
    let mut list = List::default();
    for element in elements {
        list.push(End::Right, element.as_deref().unwrap_or_default());
    }
    ctx.put(destination, list.into_value(), None);
    // What it was made of may have had no order of its own.
    ctx.tell(&[b"DEL", destination]);
    let effect: Vec<&[u8]> = [&b"RPUSH"[..], destination]
        .into_iter()
        .chain(elements.iter().map(|element| element.as_deref().unwrap_or_default()))
        .collect();
    ctx.tell(&effect);
    ctx.modified(destination, Class::List, "sortstore");
    Reply::count(elements.len())
}

#[cfg(test)]
mod tests {
    use crate::testing::Shell;

    #[test]
    fn elements_come_in_order_of_number_text_or_what_they_point_at() {
        Shell::new().check(
            r#"
            RPUSH l 3 1 10 2 => (int) 4
            SORT l => ["1" "2" "3" "10"]
            SORT l DESC LIMIT 1 2 => ["3" "2"]
            SORT l ALPHA => ["1" "10" "2" "3"]
            SORT l LIMIT 10 5 => []
            SORT l LIMIT -5 2 => ["1" "2"]
            SORT l BY nosort => ["3" "1" "10" "2"]
            MSET w_1 5 w_2 4 w_3 3 => OK
            SORT l BY w_* => ["10" "3" "2" "1"]
            HSET h_1 f one => (int) 1
            SORT l GET # GET h_*->f GET w_* LIMIT 0 2 => ["1" "one" "5" "2" nil "4"]
            SORT none => []
            SORT w_1 => WRONGTYPE Operation against a key holding the wrong kind of value
            SORT l NOPE => ERR syntax error
            RPUSH l a => (int) 5
            SORT l => ERR One or more scores can't be converted into double
            "#,
        );
    }

    #[test]
    fn the_result_can_be_stored_but_not_by_the_read_only_form() {
        Shell::new().check(
            r#"
            SADD s 3 1 2 => (int) 3
            SORT s STORE d => (int) 3
            LRANGE d 0 -1 => ["1" "2" "3"]
            SORT s BY nosort STORE d => (int) 3
            LRANGE d 0 -1 => ["1" "2" "3"]
            SORT none STORE d => (int) 0
            EXISTS d => (int) 0
            SORT_RO s STORE d => ERR syntax error
            SORT_RO s DESC => ["3" "2" "1"]
            ZADD z 1 b 2 a 1 c => (int) 3
            SORT z BY nosort => ["b" "c" "a"]
            SORT z BY nosort DESC => ["a" "c" "b"]
            SORT z BY nosort LIMIT 1 1 DESC => ["c"]
            SORT z ALPHA => ["a" "b" "c"]
            OBJECT ENCODING z => "skiplist"
            "#,
        );
    }
}
