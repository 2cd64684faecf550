//! The options that `XADD` and `XTRIM` share: `NOMKSTREAM`, `MAXLEN | MINID [= | ~] threshold [LIMIT count]`.

use super::ids;
use crate::{
    ErrorReply,
    command::Args,
    value::{Keep, NewId, Trim},
};

/// How many entries an approximate trim may remove unless told otherwise: a hundred full blocks.
const LIMIT_DEFAULT: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) no_create: bool,
    pub(super) trim: Option<Trim>,
    /// The id to add under, and the number of its argument.
    pub(super) id: Option<(NewId, usize)>,
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    keep: Option<Keep>,
    approximate: bool,
    limit: Option<usize>,
}

impl Options {
    /// Reads the options of `XADD` from argument 2 on, up to the id. From a log, Redis's `LIMIT` is left in place where it has
    /// put an exact threshold for an approximate one, and means nothing.
    pub(super) fn of_add(args: &Args<'_>, from_log: bool) -> Result<Self, ErrorReply> {
        Self::parse(args, true, from_log)
    }

    /// Reads those of `XTRIM`, which has to say what to keep.
    pub(super) fn of_trim(args: &Args<'_>, from_log: bool) -> Result<Trim, ErrorReply> {
        Self::parse(args, false, from_log)?.trim.ok_or(ErrorReply::TRIM_NOTHING)
    }

    fn parse(args: &Args<'_>, adds: bool, from_log: bool) -> Result<Self, ErrorReply> {
        let (mut options, mut reading, mut i) = (Self::default(), Reading::default(), 2);
        while i < args.len() {
            let has_more = i + 1 < args.len();
            if adds && args.bytes(i) == b"*" {
                options.id = Some((NewId::Next, i));
                break;
            } else if has_more && (args.is(i, "MAXLEN") || args.is(i, "MINID")) {
                i = reading.threshold(args, i)?;
            } else if has_more && args.is(i, "LIMIT") {
                reading.limit = Some(limit(args, i + 1)?);
                i += 2;
            } else if adds && args.is(i, "NOMKSTREAM") {
                options.no_create = true;
                i += 1;
            } else if adds {
                let id = NewId::parse(args.bytes(i)).ok_or(ErrorReply::STREAM_ID)?;
                options.id = Some((id, i));
                break;
            } else {
                return Err(ErrorReply::SYNTAX);
            }
        }
        if from_log && !reading.approximate {
            reading.limit = None;
        }
        options.trim = reading.finish(adds)?;
        Ok(options)
    }
}

impl Reading {
    /// Reads `MAXLEN` or `MINID` at `i`; where the next option is.
    fn threshold(&mut self, args: &Args<'_>, i: usize) -> Result<usize, ErrorReply> {
        if self.keep.is_some() {
            return Err(ErrorReply::MAXLEN_AND_MINID);
        }
        let is_marked = i + 2 < args.len() && matches!(args.bytes(i + 1), b"~" | b"=");
        self.approximate = is_marked && args.bytes(i + 1) == b"~";
        let at = i + 1 + usize::from(is_marked);
        self.keep = Some(if args.is(i, "MAXLEN") {
            let count = usize::try_from(args.int(at)?).map_err(|_| ErrorReply::STREAM_MAXLEN_NEGATIVE)?;
            Keep::Count(count)
        } else {
            Keep::From(ids::id(args, at)?)
        });
        Ok(at + 1)
    }

    fn finish(self, adds: bool) -> Result<Option<Trim>, ErrorReply> {
        let Some(keep) = self.keep else {
            return match self.limit {
                Some(1..) => Err(ErrorReply::LIMIT_WITHOUT_TRIM),
                _ if !adds => Err(ErrorReply::TRIM_NOTHING),
                Some(0) => Err(ErrorReply::LIMIT_OF_EXACT_TRIM),
                None => Ok(None),
            };
        };
        let limit = match (self.limit, self.approximate) {
            (Some(_), false) => return Err(ErrorReply::LIMIT_OF_EXACT_TRIM),
            (Some(limit), true) => Some(limit).filter(|limit| *limit > 0),
            (None, approximate) => approximate.then_some(LIMIT_DEFAULT),
        };
        let approximate = self.approximate;
        Ok(Some(Trim {
            keep,
            approximate,
            limit,
        }))
    }
}

fn limit(args: &Args<'_>, i: usize) -> Result<usize, ErrorReply> {
    usize::try_from(args.int(i)?).map_err(|_| ErrorReply::STREAM_LIMIT_NEGATIVE)
}
