//! A short queue in a word, so that states stay small: up to sixteen symbols of four bits, the oldest lowest.

use super::state::{Kind, Message, Request};

const KINDS: [Kind; 4] = [Kind::Key, Kind::Tag, Kind::OtherTag, Kind::Clear];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Queue(u64);

impl Queue {
    pub(super) const EMPTY: Self = Self(0);

    fn len(self) -> u32 {
        (64 - self.0.leading_zeros()).div_ceil(4)
    }

    fn put(&mut self, symbol: u64) {
        let at = 4 * self.len();
        assert!(at < 64, "a queue of the model is full");
        self.0 |= symbol << at;
    }

    fn take(&mut self) -> Option<u64> {
        let symbol = self.0 & 15;
        self.0 >>= 4;
        (symbol != 0).then_some(symbol)
    }

    /// Replaces the oldest symbol that `which` knows another form of, or drops it.
    fn change(&mut self, which: impl Fn(u64) -> Option<Option<u64>>) {
        let (mut old, mut done) = (*self, false);
        *self = Self::EMPTY;
        while let Some(symbol) = old.take() {
            match which(symbol).filter(|_| !done) {
                None => self.put(symbol),
                Some(other) => {
                    done = true;
                    other.into_iter().for_each(|other| self.put(other));
                }
            }
        }
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn ask(&mut self, request: Request) {
        self.put(request.symbol());
    }

    pub(super) fn request(&mut self) -> Option<Request> {
        self.take().map(Request::of)
    }

    /// Nobody waits for the write under way any more.
    pub(super) fn orphan_write(&mut self) {
        self.change(|symbol| match Request::of(symbol) {
            Request::Write(kind) => Some(Some(Request::Orphan(kind).symbol())),
            _ => None,
        });
    }

    /// Queues a message; a push that repeats the last one says nothing.
    pub(super) fn send(&mut self, message: Message) {
        let last = self.len().checked_sub(1).map(|last| self.0 >> (4 * last));
        if last != Some(message.symbol()) {
            self.put(message.symbol());
        }
    }

    pub(super) fn message(&mut self) -> Option<Message> {
        self.take().map(Message::of)
    }

    pub(super) fn drop_write_reply(&mut self) {
        self.change(|symbol| (symbol == Message::WriteReply.symbol()).then_some(None));
    }
}

impl Request {
    fn symbol(self) -> u64 {
        let of = |kind: Kind| kind as u64;
        match self {
            Self::Get => 1,
            Self::Fill => 2,
            Self::Marker => 3,
            Self::Ping => 4,
            Self::Write(kind) => 5 + of(kind),
            Self::Orphan(kind) => 9 + of(kind),
        }
    }

    fn of(symbol: u64) -> Self {
        match symbol {
            1 => Self::Get,
            2 => Self::Fill,
            3 => Self::Marker,
            4 => Self::Ping,
            5..=8 => Self::Write(KINDS[symbol as usize - 5]),
            _ => Self::Orphan(KINDS[symbol as usize - 9]),
        }
    }
}

impl Message {
    const ALL: [Self; 7] = [
        Self::PushEntry,
        Self::PushMarker,
        Self::PushAll,
        Self::ReadReply,
        Self::WriteReply,
        Self::MarkerReply,
        Self::Pong,
    ];

    const fn symbol(self) -> u64 {
        self as u64 + 1
    }

    fn of(symbol: u64) -> Self {
        Self::ALL[symbol as usize - 1]
    }
}
