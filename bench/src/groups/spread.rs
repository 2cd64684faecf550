//! From the call of `invalidate` in one process until the last near copy of another is gone.
//!
//! The other process reads the key over and over. As long as it has a copy, a read is answered within its first poll and
//! loads nothing; the first that has to wait or to load says that the copy is gone. (Waiting alone says too little: on few
//! cores the answer of a server may overtake the poll that asked for it.)

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use larder_base::Clock;

use super::Group;
use crate::{
    Lab,
    lab::{rounds::histogram, user::User},
    node::{Load, Node, Place},
    peers::PEERS,
    report::{Section, Table},
};

pub(crate) const GROUP: Group = Group {
    name: "spread",
    about: "invalidate in one process, the copy gone in another",
    run,
};

/// Invalidations of one round.
const INVALIDATIONS: u64 = 60;

/// A copy that lives longer is not going to be dropped.
const PATIENCE: Duration = Duration::from_secs(2);

fn run(lab: &Lab) -> anyhow::Result<Section> {
    let url = lab.redis.url();
    let mut pairs = Vec::new();
    for (i, peer) in PEERS.iter().enumerate() {
        let place = Place::new(&url, &format!("bench-spread-{i}"), 1_000);
        let (writer, reader) = lab
            .runtime
            .block_on(async { anyhow::Ok((peer.listening(place.clone()).await?, peer.listening(place).await?)) })?;
        pairs.push(Pair {
            name: peer.name,
            writer,
            reader,
            gone: histogram(),
            answered: histogram(),
            kept: 0,
        });
    }
    for round in 0..lab.rounds as u64 {
        for pair in &mut pairs {
            for i in 0..INVALIDATIONS {
                pair.invalidate(lab, round * INVALIDATIONS + i)?;
            }
        }
    }
    Ok(Section::Table(Table {
        title: format!("{} invalidations each", lab.rounds as u64 * INVALIDATIONS),
        columns: vec![
            "subject",
            "copy gone p50",
            "copy gone p99",
            "invalidate p50",
            "invalidate p99",
            "kept for 2 s",
        ],
        rows: pairs.iter().map(Pair::row).collect(),
    }))
}

/// Two processes with one peer, and what was measured.
struct Pair {
    name: &'static str,
    writer: Arc<dyn Node>,
    reader: Arc<dyn Node>,
    gone: Histogram<u64>,
    answered: Histogram<u64>,
    /// Copies that outlived [`PATIENCE`].
    kept: u64,
}

impl Pair {
    fn invalidate(&mut self, lab: &Lab, id: u64) -> anyhow::Result<()> {
        let (gone, answered) = one(lab, &self.writer, &*self.reader, id)?;
        self.answered.saturating_record(answered.as_nanos() as u64);
        match gone {
            Some(gone) => self.gone.saturating_record(gone.as_nanos() as u64),
            None => self.kept += 1,
        }
        Ok(())
    }

    fn row(&self) -> Vec<String> {
        let us = |times: &Histogram<u64>, quantile| format!("{:.0} µs", times.value_at_quantile(quantile) as f64 / 1e3);
        vec![
            self.name.to_owned(),
            us(&self.gone, 0.5),
            us(&self.gone, 0.99),
            us(&self.answered, 0.5),
            us(&self.answered, 0.99),
            self.kept.to_string(),
        ]
    }
}

/// How long until the reader's copy of `id` was gone, and until the writer had its answer.
fn one(lab: &Lab, writer: &Arc<dyn Node>, reader: &dyn Node, id: u64) -> anyhow::Result<(Option<Duration>, Duration)> {
    let clock = Clock::system();
    anyhow::ensure!(has_copy(lab, reader, id)?, "the reader keeps no copy");
    let called = clock.monotonic();
    let invalidating = {
        let (writer, clock) = (Arc::clone(writer), clock.clone());
        lab.runtime.spawn(async move {
            writer.invalidate(id).await?;
            anyhow::Ok(clock.monotonic())
        })
    };
    let gone = loop {
        let asked = clock.monotonic();
        if !is_at_hand(lab, reader, id)? {
            break Some(asked - called);
        }
        if asked - called > PATIENCE {
            break None;
        }
        std::thread::yield_now();
    };
    let answered = lab.runtime.block_on(invalidating).context("the writer")??;
    Ok((gone, answered.saturating_sub(called)))
}

/// Reads until a read is answered from a copy.
fn has_copy(lab: &Lab, reader: &dyn Node, id: u64) -> anyhow::Result<bool> {
    /// Some keep no copy of what they loaded until they read it once more.
    const READS: usize = 100;
    for _ in 0..READS {
        if is_at_hand(lab, reader, id)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads once; whether the answer came from a copy.
fn is_at_hand(lab: &Lab, reader: &dyn Node, id: u64) -> anyhow::Result<bool> {
    let _runtime = lab.runtime.enter();
    let loaded = Arc::new(AtomicBool::new(false));
    let mut read = reader.read(id, noting(&loaded, id));
    match Pin::new(&mut read).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer.map(|_| !loaded.load(Ordering::Acquire)),
        // What was begun is finished, so that nobody waits for it in vain; but the copy was gone when it began.
        Poll::Pending => lab.runtime.block_on(read).map(|_| false),
    }
}

/// Loads the user, and says that it did.
fn noting(loaded: &Arc<AtomicBool>, id: u64) -> Load {
    let loaded = Arc::clone(loaded);
    Arc::new(move || {
        loaded.store(true, Ordering::Release);
        Box::pin(async move { User::number(id) })
    })
}
