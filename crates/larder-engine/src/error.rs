//! Every error that the engine answers with, in one place, so that the texts can be read side by side.
//!
//! They match Redis 7.0 byte for byte: client libraries parse them.

use std::{borrow::Cow, fmt};

/// An error reply, beginning with its code: `WRONGTYPE Operation against ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorReply(Cow<'static, str>);

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        impl ErrorReply { $($(#[$doc])* pub(crate) const $name: Self = Self(Cow::Borrowed($text));)* }
    };
}

texts! {
    WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value";
    SYNTAX = "ERR syntax error";
    NOT_INTEGER = "ERR value is not an integer or out of range";
    HASH_NOT_INTEGER = "ERR hash value is not an integer";
    HASH_NOT_FLOAT = "ERR hash value is not a float";
    COUNT_NOT_POSITIVE = "ERR value is out of range, must be positive";
    COUNT_NEGATIVE = "ERR COUNT can't be negative";
    COUNT_ZERO = "ERR count should be greater than 0";
    KEYS_ZERO = "ERR numkeys should be greater than 0";
    TOO_MANY_KEYS = "ERR Number of keys can't be greater than number of args";
    LIMIT_NEGATIVE = "ERR LIMIT can't be negative";
    BOUND_NOT_FLOAT = "ERR min or max is not a float";
    BOUND_NOT_LEX = "ERR min or max not valid string range item";
    WEIGHT_NOT_FLOAT = "ERR weight value is not a float";
    SCORE_NAN = "ERR resulting score is not a number (NaN)";
    NX_AND_XX = "ERR XX and NX options at the same time are not compatible";
    GT_LT_AND_NX = "ERR GT, LT, and/or NX options at the same time are not compatible";
    ONE_INCREMENT = "ERR INCR option supports a single increment-element pair";
    LIMIT_BY_RANK = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX";
    SCORES_BY_LEX = "ERR syntax error, WITHSCORES not supported in combination with BYLEX";
    MAXLEN_NEGATIVE = "ERR MAXLEN can't be negative";
    RANK_ZERO = "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list";
    VALUE_NOT_FINITE = "ERR value is NaN or Infinity";
    VALUE_OUT_OF_RANGE = "ERR value is out of range";
    NOT_FLOAT = "ERR value is not a valid float";
    OVERFLOW = "ERR increment or decrement would overflow";
    NAN_OR_INFINITY = "ERR increment would produce NaN or Infinity";
    OUT_OF_RANGE = "ERR index out of range";
    NO_SUCH_KEY = "ERR no such key";
    STRING_TOO_LONG = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    OUT_OF_MEMORY = "OOM command not allowed when used memory > 'maxmemory'.";
    NO_AUTH = "NOAUTH Authentication required.";
    NO_PASSWORD_SET = "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?";
    WRONG_PASSWORD = "WRONGPASS invalid username-password pair or user is disabled.";
    HELLO_FIRST = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time";
    CLIENT_CLOSED = "ERR the client was closed by QUIT, CLIENT KILL or a full output buffer; connect again";
    SAME_OBJECT = "ERR source and destination objects are the same";
    DB_OUT_OF_RANGE = "ERR DB index is out of range";
    NO_SCRIPT = "NOSCRIPT No matching script. Please use EVAL.";
    NOT_BUSY = "NOTBUSY No scripts in execution right now.";
    TOO_FEW_KEYS = "ERR Number of keys can't be greater than number of args";
    NEGATIVE_KEY_COUNT = "ERR Number of keys can't be negative";
    SCRIPT_FLUSH_MODE = "ERR SCRIPT FLUSH only support SYNC|ASYNC option";
    SCRIPT_DEBUG_MODE = "ERR Use SCRIPT DEBUG YES/SYNC/NO";
    NO_SCRIPT_DEBUGGER = "ERR scripts cannot be debugged in this engine";
    SCRIPT_NOT_READ_ONLY = "ERR Can not execute a script with write flag using *_ro command.";
    SCRIPT_UNKNOWN_COMMAND = "ERR Unknown Redis command called from script";
    SCRIPT_WRONG_ARITY = "ERR Wrong number of args calling Redis command from script";
    SCRIPT_NOT_ALLOWED = "ERR This Redis command is not allowed from script";
    SCRIPT_READ_ONLY = "ERR Write commands are not allowed from read-only scripts.";
    TRANSACTION_FLAWED = "EXECABORT Transaction discarded because of previous errors.";
    TRANSACTION_TOO_LARGE = "ERR the transaction exceeds client-query-buffer-limit";
    NO_HYPERLOGLOG = "WRONGTYPE Key is not a valid HyperLogLog string value.";
    CORRUPT_HYPERLOGLOG = "INVALIDOBJ Corrupted HLL object detected";
    INVALID_CURSOR = "ERR invalid cursor";
    STREAM_ID = "ERR Invalid stream ID specified as stream command argument";
    STREAM_ID_ZERO = "ERR The ID specified in XADD must be greater than 0-0";
    STREAM_ID_NOT_LARGER = "ERR The ID specified in XADD is equal or smaller than the target stream top item";
    STREAM_EXHAUSTED = "ERR The stream has exhausted the last possible ID, unable to add more items";
    STREAM_ENTRY_TOO_LARGE = "ERR Elements are too large to be stored";
    STREAM_MAXLEN_NEGATIVE = "ERR The MAXLEN argument must be >= 0.";
    STREAM_LIMIT_NEGATIVE = "ERR The LIMIT argument must be >= 0.";
    MAXLEN_AND_MINID = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible";
    LIMIT_WITHOUT_TRIM = "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy";
    LIMIT_OF_EXACT_TRIM = "ERR syntax error, LIMIT cannot be used without the special ~ option";
    TRIM_NOTHING = "ERR syntax error, XTRIM must be called with a trimming strategy";
    INTERVAL_START = "ERR invalid start ID for the interval";
    INTERVAL_END = "ERR invalid end ID for the interval";
    UNBALANCED_STREAMS = "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.";
    GROUP_OPTION = "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.";
    NOACK_OPTION = "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.";
    GROUP_ID = "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.";
    TIMEOUT_NOT_INTEGER = "ERR timeout is not an integer or out of range";
    TIMEOUT_NOT_FLOAT = "ERR timeout is not a float or out of range";
    UNBLOCKED = "UNBLOCKED client unblocked via CLIENT UNBLOCK";
    TIMEOUT_NEGATIVE = "ERR timeout is negative";
    DOLLAR_IN_GROUP = "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.";
    GROUP_EXISTS = "BUSYGROUP Consumer Group name already exists";
    GROUP_GONE = "NOGROUP the consumer group this client was blocked on no longer exists";
    STREAM_GONE = "UNBLOCKED the stream key no longer exists";
    GROUP_NEEDS_KEY = "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.";
    ENTRIES_READ_NEGATIVE = "ERR value for ENTRIESREAD must be positive or -1";
    CLAIM_MIN_IDLE = "ERR Invalid min-idle-time argument for XCLAIM";
    CLAIM_IDLE = "ERR Invalid IDLE option argument for XCLAIM";
    CLAIM_TIME = "ERR Invalid TIME option argument for XCLAIM";
    CLAIM_RETRYCOUNT = "ERR Invalid RETRYCOUNT option argument for XCLAIM";
    AUTOCLAIM_MIN_IDLE = "ERR Invalid min-idle-time argument for XAUTOCLAIM";
    AUTOCLAIM_MEMORY = "ERR Insufficient memory, failed allocating transient memory, COUNT too high.";
    COUNT_NOT_ABOVE_ZERO = "ERR COUNT must be > 0";
    GROUP_MISSING = "ERR Missing GROUP option for XREADGROUP";
    ENTRIES_ADDED_NEGATIVE = "ERR entries_added must be positive";
    ENTRIES_ADDED_BELOW_LENGTH = "ERR The entries_added specified in XSETID is smaller than the target stream length";
    LAST_ID_BELOW_GIVEN_DELETED = "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id";
    LAST_ID_BELOW_TOP = "ERR The ID specified in XSETID is smaller than the target stream top item";
}

impl ErrorReply {
    /// An error with this text, which begins with its code.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self(text.into())
    }

    /// The text, code included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The code: the first word.
    #[must_use]
    pub fn code(&self) -> &str {
        self.0.split(' ').next().unwrap_or_default()
    }

    pub(crate) fn wrong_arity(command: &str) -> Self {
        Self(
            format!(
                "ERR wrong number of arguments for '{}' command",
                command.to_ascii_lowercase()
            )
            .into(),
        )
    }

    pub(crate) fn no_input_keys(command: &[u8]) -> Self {
        let command = String::from_utf8_lossy(command).to_ascii_lowercase();
        Self(format!("ERR at least 1 input key is needed for '{command}' command").into())
    }

    pub(crate) fn no_wait_in_script(command: &[u8]) -> Self {
        let command = shown(command, usize::MAX);
        Self(one_line(&format!(
            "ERR {command} command is not allowed with BLOCK option from scripts"
        )))
    }

    pub(crate) fn outside(min: i64, max: i64) -> Self {
        Self(format!("ERR value is out of range, value must between {min} and {max}").into())
    }

    pub(crate) fn unsupported_option(word: &[u8]) -> Self {
        Self(format!("ERR Unsupported option {}", String::from_utf8_lossy(word)).into())
    }

    pub(crate) fn unknown_subcommand(container: &str, word: &[u8]) -> Self {
        let word = shown(word, SHOWN_MAX);
        Self(one_line(&format!(
            "ERR unknown subcommand '{word}'. Try {container} HELP."
        )))
    }

    pub(crate) fn no_group(group: &[u8], key: &[u8]) -> Self {
        let (group, key) = (shown(group, usize::MAX), shown(key, usize::MAX));
        Self(one_line(&format!(
            "NOGROUP No such consumer group '{group}' for key name '{key}'"
        )))
    }

    pub(crate) fn no_key_or_group(key: &[u8], group: &[u8], context: &str) -> Self {
        let (group, key) = (shown(group, usize::MAX), shown(key, usize::MAX));
        Self(one_line(&format!(
            "NOGROUP No such key '{key}' or consumer group '{group}'{context}"
        )))
    }

    pub(crate) fn claim_option(word: &[u8]) -> Self {
        let word = shown(word, usize::MAX);
        Self(one_line(&format!("ERR Unrecognized XCLAIM option '{word}'")))
    }

    /// The same of a command that reads its subcommand by itself.
    pub(crate) fn not_a_subcommand(command: &str, word: &[u8]) -> Self {
        let word = shown(word, SHOWN_MAX);
        Self(one_line(&format!(
            "ERR unknown subcommand or wrong number of arguments for '{word}'. Try {command} HELP."
        )))
    }

    pub(crate) fn hello_option(option: &[u8]) -> Self {
        let option = String::from_utf8_lossy(option);
        Self(one_line(&format!("ERR Syntax error in HELLO option '{option}'")))
    }

    pub(crate) fn subscriber_only(command: &str) -> Self {
        Self(
            format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
                command.to_ascii_lowercase()
            )
            .into(),
        )
    }

    pub(crate) fn invalid_expire(command: &str) -> Self {
        Self(format!("ERR invalid expire time in '{command}' command").into())
    }

    /// As Redis quotes it: the name cut at 128 bytes, then the arguments until 128 bytes are spent.
    pub(crate) fn unknown_command(args: &[&[u8]]) -> Self {
        let mut rest = String::new();
        for arg in &args[1..] {
            if rest.len() >= SHOWN_MAX {
                break;
            }
            rest.push_str(&format!("'{}' ", shown(arg, SHOWN_MAX - rest.len())));
        }
        let name = shown(args[0], SHOWN_MAX);
        Self(one_line(&format!(
            "ERR unknown command '{name}', with args beginning with: {rest}"
        )))
    }
}

/// How much of an argument an error repeats.
const SHOWN_MAX: usize = 128;

/// An argument as an error repeats it: cut at this length, and at a zero byte, which ends a string in C.
fn shown(bytes: &[u8], max: usize) -> Cow<'_, str> {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(&text[..text.len().min(max)])
}

/// A line break would end the reply early.
fn one_line(text: &str) -> Cow<'static, str> {
    text.replace(['\r', '\n'], " ").into()
}

impl fmt::Display for ErrorReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ErrorReply {}
