//! The libraries that Redis gives scripts beside Lua's own: one file each.

pub(super) mod bit;
pub(super) mod cjson;
mod cjson_read;
pub(super) mod cmsgpack;
mod cmsgpack_read;
pub(super) mod math;
pub(super) mod structs;

use super::stack::{Index, Kind, Stack};

/// What the keys of a table are.
struct Keys {
    /// How many there are.
    count: usize,
    /// The largest, if all are whole numbers from 1 upwards (0 for an empty table).
    largest: Option<usize>,
}

impl Keys {
    /// Of the table at a position.
    fn of(stack: &mut Stack, table: Index) -> Self {
        let table = stack.absolute(table);
        let mut keys = Self {
            count: 0,
            largest: Some(0),
        };
        stack.push_nil();
        while stack.next(table) {
            stack.pop(1);
            keys.count += 1;
            keys.largest = keys.largest.zip(item_number(stack)).map(|(most, key)| most.max(key));
        }
        keys
    }
}

/// The key on top as the number of an item.
fn item_number(stack: &Stack) -> Option<usize> {
    /// Beyond this a float cannot count.
    const NUMBER_MAX: f64 = 9_007_199_254_740_992.0;
    if stack.kind(-1) != Kind::Number {
        return None;
    }
    let key = stack.number(-1)?;
    ((1.0..NUMBER_MAX).contains(&key) && key.fract() == 0.0).then_some(key as usize)
}
