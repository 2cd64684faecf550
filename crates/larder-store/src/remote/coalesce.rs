//! Writes of several callers in one system call.
//!
//! The crate's connection writes as soon as its task runs, which under load is after one or two requests: most of a request's
//! cost is then the system call and the packet. Nagle's algorithm, which the crate leaves on, would gather more by holding
//! packets back for up to a round trip. Here the task steps back once before it writes, if other callers are about: what
//! is ready to run adds its request meanwhile, and nothing waits for the network.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::deadline::Deadlines;

/// A stream whose writes wait for one turn of the scheduler while several callers are under way.
pub(super) struct Coalesce<S> {
    stream: S,
    /// Who is under way; `None` for a connection with one user.
    load: Option<Arc<Deadlines>>,
    stepped_back: bool,
}

impl<S> Coalesce<S> {
    pub(super) fn new(stream: S, load: Option<Arc<Deadlines>>) -> Self {
        Self {
            stream,
            load,
            stepped_back: false,
        }
    }

    /// Whether to let others run first: once per write, and only if there may be others.
    fn steps_back(&mut self) -> bool {
        let crowded = self.load.as_ref().is_some_and(|load| load.is_crowded());
        self.stepped_back = crowded && !self.stepped_back;
        self.stepped_back
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Coalesce<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.steps_back() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Coalesce<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn write(stream: &mut Coalesce<Vec<u8>>) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        Pin::new(stream).poll_write(&mut cx, b"x").is_ready()
    }

    #[test]
    fn a_lone_caller_never_waits() {
        let load = Arc::new(Deadlines::default());
        let mut stream = Coalesce::new(Vec::new(), Some(load.clone()));
        let _alone = load.enter();
        assert!(write(&mut stream) && write(&mut stream));
        assert!(write(&mut Coalesce::new(Vec::new(), None)));
    }

    #[test]
    fn several_callers_wait_for_one_turn() {
        let load = Arc::new(Deadlines::default());
        let mut stream = Coalesce::new(Vec::new(), Some(load.clone()));
        let _callers = [load.enter(), load.enter()];
        assert_eq!([write(&mut stream), write(&mut stream)], [false, true]);
        assert_eq!([write(&mut stream), write(&mut stream)], [false, true]);
        assert_eq!(stream.stream, b"xx");
    }
}
