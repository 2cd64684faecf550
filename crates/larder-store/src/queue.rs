//! A bounded queue from where pushes arrive to a stream, which never loses anything without saying so.
//!
//! A push arrives in the task that reads the connection, or under the engine's lock: whoever puts it in must not wait, so
//! what does not fit is counted, and the count takes its place in the stream.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

/// An item that can stand for others that were dropped.
pub(crate) trait Gap {
    /// Adds one more to the dropped ones if this is such an item.
    fn widen(&mut self) -> bool;
    /// Stands for one dropped item.
    fn one() -> Self;
}

/// Marks of connection changes come on top of what fits, this many, before they are folded into a gap as well.
const MARKS_MAX: usize = 16;

#[derive(Debug)]
pub(crate) struct Queue<T> {
    capacity: usize,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    reader: Option<Waker>,
    closed: bool,
}

impl<T: Gap> Queue<T> {
    pub(crate) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            capacity,
            state: Mutex::new(State {
                items: VecDeque::new(),
                reader: None,
                closed: false,
            }),
        })
    }

    /// Adds an item, or counts it as dropped.
    pub(crate) fn push(&self, item: T) {
        self.put(item, self.capacity);
    }

    /// Adds a mark that the reader should see even when the queue is full.
    pub(crate) fn mark(&self, item: T) {
        self.put(item, self.capacity + MARKS_MAX);
    }

    fn put(&self, item: T, limit: usize) {
        let mut state = self.state.lock();
        if state.items.len() < limit {
            state.items.push_back(item);
        } else if !state.items.back_mut().is_some_and(T::widen) {
            state.items.push_back(T::one());
        }
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Nothing comes after what is in the queue now.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// The next item; `None` at the end.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Option<T>> {
        let mut state = self.state.lock();
        match state.items.pop_front() {
            Some(item) => Poll::Ready(Some(item)),
            None if state.closed => Poll::Ready(None),
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    enum Item {
        Number(u32),
        Dropped(u32),
    }

    impl Gap for Item {
        fn widen(&mut self) -> bool {
            match self {
                Self::Dropped(n) => {
                    *n += 1;
                    true
                }
                Self::Number(_) => false,
            }
        }

        fn one() -> Self {
            Self::Dropped(1)
        }
    }

    fn drain(queue: &Queue<Item>) -> Vec<Item> {
        let cx = Context::from_waker(Waker::noop());
        std::iter::from_fn(|| match queue.poll(&cx) {
            Poll::Ready(item) => item,
            Poll::Pending => None,
        })
        .collect()
    }

    #[test]
    fn what_does_not_fit_leaves_a_gap_in_its_place() {
        let queue = Queue::new(2);
        (1..=5).for_each(|n| queue.push(Item::Number(n)));
        assert_eq!(drain(&queue), [Item::Number(1), Item::Number(2), Item::Dropped(3)]);
        queue.push(Item::Number(6));
        assert_eq!(drain(&queue), [Item::Number(6)]);
    }

    #[test]
    fn the_queue_is_bounded_whatever_comes() {
        let queue = Queue::new(2);
        for n in 0..10_000 {
            queue.push(Item::Number(n));
            queue.mark(Item::Number(n));
        }
        assert!(drain(&queue).len() <= 2 + MARKS_MAX + 1);
    }

    #[test]
    fn a_closed_queue_ends_after_its_items() {
        let queue = Queue::new(2);
        queue.push(Item::Number(1));
        queue.close();
        let cx = Context::from_waker(Waker::noop());
        assert_eq!(queue.poll(&cx), Poll::Ready(Some(Item::Number(1))));
        assert_eq!(queue.poll(&cx), Poll::Ready(None));
    }
}
