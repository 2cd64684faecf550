//! Queues: jobs that are kept until they are done, whoever dies on the way.
//!
//! ```
//! use std::time::Duration;
//!
//! use larder_kit::queue::Queue;
//! use larder_store::Store;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Email {
//!     to: String,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::open("embedded:").await?; // or redis://127.0.0.1:6379
//! let emails: Queue<Email> = Queue::builder("emails").store(&store).build().await?;
//! emails.push(&Email { to: "ada@example.org".into() }).await?;
//!
//! let (sent, mut seen) = tokio::sync::mpsc::channel(1);
//! let worker = emails
//!     .worker(move |email: Email, _job| {
//!         let sent = sent.clone();
//!         async move { Ok(sent.send(email.to).await?) } // what fails with an error is tried again
//!     })
//!     .concurrency(8)
//!     .start()?;
//! assert_eq!(seen.recv().await.as_deref(), Some("ada@example.org"));
//! worker.stop(Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```
//!
//! # States
//! Every move is one Lua script, by the server's clock. A job is in exactly one state, and leaves the store only when it is
//! done or somebody removes it.
//!
//! | state | is | and goes |
//! |---|---|---|
//! | waiting | the first of the highest priority is the next to be taken | running, when a worker's turn takes it |
//! | delayed | not due yet: pushed with a delay, or to be tried again | waiting, when it is due |
//! | parked | behind another job of its group, which has not ended | waiting or delayed, when that has |
//! | running | with a worker, under a token, until its visibility timeout ends | done; delayed, to be tried again; dead; waiting, when given back or stalled |
//! | done | kept without its payload for a while, so that its id is known | gone, by age or count |
//! | dead | of no attempts left, past its deadline, undecodable, or refused by its worker; with the reason | waiting, when replayed; gone, when removed |
//!
//! | script | moves |
//! |---|---|
//! | `push` | nothing to waiting, delayed or parked; a known id changes nothing |
//! | `turn` | settles what ended (running to done, delayed, dead, waiting), takes back what stalled, brings up what is due, takes what waits (to running). One round trip does all of it |
//! | `beat` | nothing: leaves running jobs to their worker for another visibility timeout |
//! | `tick` | nothing to waiting: the one job of a schedule's tick |
//! | `replay`, `remove`, `purge` | dead to waiting; anything but running to nothing |
//!
//! A paused queue hands nothing out, to nobody; jobs are accepted, and those that run go on.
//!
//! # Keys
//! All of a queue is in one slot: `queue:{<namespace>:}` and `:job:<id>` (a hash for each job), `:wait` `:later` `:run` `:dead`
//! `:done` (sorted sets of ids), `:parked` and `:heads` (groups), `:ticks` `:specs` `:bodies` (schedules), `:paused`. Ids are in
//! the names of keys, so scripts make those names themselves.
//!
//! **A queue is data, not cache.** What belongs to jobs that are not done has no TTL, nor have schedules and a pause: they must
//! not vanish. Keys of done jobs have one. So a store that evicts any key (`maxmemory-policy allkeys-*`) is refused when the
//! queue is built; use `noeviction` or a `volatile-` policy. How safe a pushed job is against a crash of the server is
//! for the server's persistence to say.
//!
//! # What is promised
//! - A pushed job is done, or dead with a reason, or still there: never popped and lost. Each attempt that began and whose worker
//!   died begins again after [`visibility`](QueueBuilder::visibility).
//! - A job may therefore run more than once; it is *completed* exactly once, by the token of one attempt: a worker that was
//!   stalled and overtaken cannot complete it, and hears of it ([`JobContext::lost`]). For effects exactly once, record
//!   [`JobContext::id`] with the effect, in its transaction.
//! - One id is one job while it lives and, once done, for as long as it is [kept](QueueBuilder::keep_done).
//! - Jobs of one group run one at a time, in the order in which they were pushed, until they are done or dead.
//! - Everything is bounded: jobs ([`capacity`](QueueBuilder::capacity)), payloads, attempts, what a worker takes.

mod admin;
mod builder;
mod context;
mod core;
mod error;
mod failure;
mod figures;
mod handle;
mod held;
mod info;
mod options;
mod push;
mod runner;
mod schedule;
mod script;
mod turn;
mod worker;

pub use builder::QueueBuilder;
pub use context::JobContext;
pub use error::QueueError;
pub use failure::JobFailure;
pub use handle::Queue;
pub use info::{Counts, JobInfo, JobState};
pub use options::JobOptions;
pub use push::Pushed;
pub use schedule::Schedule;
pub use worker::{Stopped, Worker, WorkerBuilder};
