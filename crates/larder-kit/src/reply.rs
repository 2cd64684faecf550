//! Reading the replies of the tools' scripts, which are integers, texts of integers, and lists of those.

use redis::Value;

use larder_store::StoreError;

/// The whole number in `value`: an integer, or its text where Lua wrote it exactly (`%.0f`).
pub(crate) fn integer(value: &Value) -> Result<i64, StoreError> {
    Ok(redis::from_redis_value_ref(value).map_err(redis::RedisError::from)?)
}

/// The items of a list of at least `least`.
pub(crate) fn items<'a>(value: &'a Value, least: usize, script: &'static str) -> Result<&'a [Value], StoreError> {
    match value {
        Value::Array(items) if items.len() >= least => Ok(items),
        _ => Err(unexpected(script)),
    }
}

/// A reply that the script does not give: the server is no Redis, or something rewrote the answer.
pub(crate) fn unexpected(script: &'static str) -> StoreError {
    let kind = redis::ErrorKind::UnexpectedReturnType;
    redis::RedisError::from((kind, "a script answered what it never answers", script.to_owned())).into()
}
