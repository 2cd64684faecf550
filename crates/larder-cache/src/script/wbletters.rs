//! `wbletters`: dead letters without their values.

use bytes::Bytes;
use larder_store::{Script, ScriptCall};
use redis::Value;

use super::{BadReply, Step, pack::Pack, reply::Items};

static SCRIPT: Script = Script::new("wbletters", include_str!("wbletters.lua"));

#[derive(Clone, Debug)]
pub(crate) struct BehindLetters<'a> {
    pub(crate) x: &'a Bytes,
    /// Under which they lie in X.
    pub(crate) ids: &'a [Vec<u8>],
}

/// One letter.
#[derive(Debug)]
pub(crate) struct LetterHead {
    pub(crate) id: Vec<u8>,
    pub(crate) died_ms: f64,
    pub(crate) key: Vec<u8>,
    pub(crate) is_removal: bool,
    /// Of the record.
    pub(crate) bytes: u64,
    pub(crate) why: Vec<u8>,
}

impl Step for BehindLetters<'_> {
    /// Those that are there.
    type Reply = Vec<LetterHead>;

    fn call(&self) -> ScriptCall {
        let pack = Pack::new(&SCRIPT, std::slice::from_ref(self.x));
        self.ids.iter().fold(pack, |pack, id| pack.bytes(id)).done()
    }

    fn parse(value: Value) -> Result<Vec<LetterHead>, BadReply> {
        let mut items = Items::of(value)?;
        let mut letters = Vec::new();
        while items.left() > 0 {
            letters.push(LetterHead {
                id: items.bytes()?,
                died_ms: f64::from_be_bytes(items.fixed()?),
                key: items.bytes()?,
                is_removal: items.bytes()? == REMOVAL,
                bytes: items.number()? as u64,
                why: items.bytes()?,
            });
        }
        Ok(letters)
    }
}

/// The kind of a record that removes its key.
const REMOVAL: [u8; 1] = [2];
