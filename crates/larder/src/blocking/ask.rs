//! How a future has a closure run on the thread that waits for it.
//!
//! A user's closure blocks, so it must not run inside a future: leases would not be renewed and deadlines not kept
//! meanwhile, and the closure could not use the blocking face itself. So the future asks, and waits; the caller's thread
//! leaves the future, runs the closure, and hands back what it gave. From the first question on a worker polls the future
//! in the caller's place. A call that asks nothing, as a hit does, is never handed over.
//!
//! A closure that panics unwinds its own caller, and ends the future as a dropped caller does.

use std::{
    future::{pending, poll_fn},
    pin::Pin,
    task::Poll,
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::Runtime;

type Job<T> = Pin<Box<dyn Future<Output = T> + Send>>;

type Question<Q, A> = (Q, oneshot::Sender<A>);

/// The future's end. Questions come one after another: there is one thread to answer them.
pub(super) struct Ask<Q, A>(mpsc::Sender<Question<Q, A>>);

impl<Q, A> Clone for Ask<Q, A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<Q, A> Ask<Q, A> {
    /// What the closure makes of `question`. It does not end if the closure panics: the future is then dropped.
    pub(super) async fn ask(self, question: Q) -> A {
        let (reply, answer) = oneshot::channel();
        if self.0.send((question, reply)).await.is_err() {
            return pending().await;
        }
        match answer.await {
            Ok(answer) => answer,
            Err(_) => pending().await,
        }
    }
}

/// What came first.
enum Next<T, Q, A> {
    Done(T),
    Asked(Question<Q, A>),
}

/// Waits for what `begin` makes, and runs `answer` on this thread for each of its questions.
#[track_caller]
pub(super) fn answering<T, Q, A, F>(
    runtime: &Runtime,
    begin: impl FnOnce(Ask<Q, A>) -> F,
    mut answer: impl FnMut(Q) -> A,
) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let (sender, mut questions) = mpsc::channel(1);
    // One end is kept, so that no more questions does not look like a question.
    let ask = Ask(sender);
    let mut job: Job<T> = Box::pin(begin(ask.clone()));
    let first = match runtime.block_on(next(&mut job, &mut questions)) {
        Next::Done(done) => return done,
        Next::Asked(question) => question,
    };
    let mut task = Task(runtime.start(job));
    let mut asked = first;
    loop {
        let (question, reply) = asked;
        // Nobody waits for it any more after a timeout of the load.
        let _unheard = reply.send(answer(question));
        asked = match runtime.block_on(next(&mut task, &mut questions)) {
            Next::Done(done) => return done,
            Next::Asked(question) => question,
        };
    }
}

async fn next<T, Q, A>(
    job: &mut (impl Future<Output = T> + Unpin),
    questions: &mut mpsc::Receiver<Question<Q, A>>,
) -> Next<T, Q, A> {
    poll_fn(|cx| {
        if let Poll::Ready(done) = Pin::new(&mut *job).poll(cx) {
            return Poll::Ready(Next::Done(done));
        }
        match questions.poll_recv(cx) {
            Poll::Ready(Some(question)) => Poll::Ready(Next::Asked(question)),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// A job on a worker, which ends with whoever waits for it.
struct Task<T>(JoinHandle<Option<T>>);

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0).poll(cx).map(|ended| match ended {
            Ok(Some(done)) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Ok(None) | Err(_) => panic!("the Tokio runtime that this blocking call runs on was shut down during it"),
        })
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
