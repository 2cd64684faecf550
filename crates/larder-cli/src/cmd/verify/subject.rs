//! Larder as a subject.

use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
    time::Duration,
};

use larder_base::Clock;
use larder_cache::{Cache, Delivery, Freshness, Lookup, Receipt, Tier};
use larder_testkit::{
    history::Served,
    verify::{Invalidated, Rows, Seen, Subject, Written},
};

use super::{
    Write,
    build::Build,
    ledger::as_number,
    member::{Live, Member},
    seat::Seat,
};
use crate::failure::Outcome;

/// A cache of Larder, as one process holds it.
pub(super) struct Larder {
    seat: Arc<Seat>,
    build: Build,
    member: Arc<Member>,
    /// What the store holds, seen past every near tier.
    below: Cache<u64, u64>,
    clock: Clock,
}

/// What could not be begun is tried again after so long: nothing is committed without a hold, or by nobody.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// How long what was written behind may take to reach the source, once all is quiet.
const FLUSH_MAX: Duration = Duration::from_secs(30);

impl Larder {
    pub(super) async fn new(seat: &Arc<Seat>, build: &Build, below: &Cache<u64, u64>) -> Outcome<Self> {
        let cache = build.on(seat).await?;
        Ok(Self {
            seat: seat.clone(),
            build: build.clone(),
            member: Member::new(Live {
                cache,
                gone: seat.gone(),
            }),
            below: below.clone(),
            clock: seat.store().clock().clone(),
        })
    }

    /// For what its caches count.
    pub(super) fn member(&self) -> Arc<Member> {
        self.member.clone()
    }

    /// Commits under a hold, and only under one.
    async fn commit_strictly(&self, key: u64, rows: &Rows) -> Written {
        let cache = self.member.live().cache;
        loop {
            let held_since = Some(rows.recorder().now());
            let visible = OnceLock::new();
            let commit = async {
                visible.get_or_init(|| rows.commit(key));
                Ok::<_, Infallible>(())
            };
            let ended = match cache.hold(&key).await {
                Ok(hold) => hold.commit(commit).await,
                Err(error) => Err(error),
            };
            let Some(&(version, committed)) = visible.get() else {
                self.clock.sleep(ASK_AGAIN).await;
                continue;
            };
            return Written {
                version,
                committed,
                invalidated: Invalidated {
                    acknowledged: ended.is_ok(),
                    everything: false,
                },
                held_since,
            };
        }
    }

    async fn commit_and_invalidate(&self, key: u64, choice: u64, rows: &Rows) -> Written {
        let (version, committed) = rows.commit(key);
        Written {
            version,
            committed,
            invalidated: self.invalidate(key, choice).await,
            held_since: None,
        }
    }

    /// `put` through or around the cache, until it is committed.
    async fn put(&self, key: u64, rows: &Arc<Rows>) -> Written {
        let cache = self.member.live().cache;
        self.build.commits.are_of(rows);
        loop {
            let (value, began) = (rows.draw(), rows.recorder().now());
            let put = cache.put(&key, value).await;
            let Some(committed) = self.build.commits.take(value) else {
                self.clock.sleep(ASK_AGAIN).await;
                continue;
            };
            let is_delivered = |receipt: Receipt| receipt.invalidation() == Delivery::Acknowledged;
            return Written {
                version: value,
                committed,
                invalidated: Invalidated {
                    acknowledged: put.is_ok_and(is_delivered),
                    everything: false,
                },
                held_since: (self.build.write == Write::Through || self.build.is_strict).then_some(began),
            };
        }
    }

    /// `put` behind: accepted, refused, or nobody knows.
    async fn put_behind(&self, key: u64, rows: &Rows) -> Written {
        let Live { cache, gone } = self.member.live();
        let (value, began) = (rows.draw(), rows.recorder().now());
        let put = gone.run_until_cancelled(cache.put(&key, value)).await;
        let acknowledged = match put {
            Some(Ok(receipt)) => {
                receipt
                    .tickets()
                    .iter()
                    .for_each(|ticket| rows.place(value, as_number(ticket.version)));
                true
            }
            Some(Err(_)) => false,
            None => {
                // Killed in the middle of it. Until the next one has sat down, nobody writes.
                self.clock.sleep(ASK_AGAIN).await;
                false
            }
        };
        Written {
            version: value,
            committed: began,
            invalidated: Invalidated {
                acknowledged,
                everything: false,
            },
            held_since: Some(began),
        }
    }

    /// Before some writes, an invalidation beside those of others: of tags, or of everything. Whether it was everything.
    async fn disturb(&self, key: u64, choice: u64) -> bool {
        let kinds = choice % 20;
        kinds < 5 && self.invalidate(key, choice).await.everything
    }
}

impl Subject for Larder {
    async fn read(&self, process: u32, key: u64, rows: &Arc<Rows>) -> Option<Seen> {
        let Live { cache, gone } = self.member.live();
        let asked = rows.recorder().now();
        let ledger = self.build.ledger.as_ref();
        let load = || async move {
            match ledger {
                Some(ledger) => {
                    rows.load_from(process, key, asked, async || ledger.value(key).await)
                        .await
                }
                None => Ok(rows.load_for(process, key, asked).await),
            }
        };
        let found = gone.run_until_cancelled(cache.lookup_or_load(&key, load)).await?.ok()?;
        Some(Seen {
            version: **found.value()?,
            served: served(&found),
            overdue: 0,
        })
    }

    async fn invalidate(&self, key: u64, choice: u64) -> Invalidated {
        let cache = self.member.live().cache;
        let everything = choice.is_multiple_of(20);
        let done = match choice % 20 {
            0 => cache.clear().await,
            1..=4 => cache.invalidate_tag("all").await,
            _ => cache.invalidate(&key).await,
        };
        Invalidated {
            acknowledged: done.is_ok(),
            everything,
        }
    }

    async fn write(&self, key: u64, choice: u64, rows: &Arc<Rows>) -> Written {
        match self.build.write {
            Write::Invalidate if self.build.is_strict => return self.commit_strictly(key, rows).await,
            Write::Invalidate => return self.commit_and_invalidate(key, choice, rows).await,
            Write::Around | Write::Through | Write::Behind => {}
        }
        // Not after it: what is wrong with the write itself must have time to show.
        let began = rows.recorder().now();
        let everything = self.disturb(key, choice).await;
        let mut written = match self.build.write {
            Write::Behind => self.put_behind(key, rows).await,
            _ => self.put(key, rows).await,
        };
        written.invalidated.everything = everything;
        if everything {
            written.held_since = Some(began);
        }
        written
    }

    fn unleased(&self) -> u64 {
        self.member.figures().unleased
    }

    fn is_settled(&self) -> bool {
        self.member.live().cache.stats().pending == 0
    }

    async fn finish(&self, rows: &Arc<Rows>) {
        let Some(ledger) = &self.build.ledger else { return };
        let cache = self.member.live().cache;
        let flushed = async {
            while !cache.lag().await.is_ok_and(|lag| lag.entries == 0) {
                self.clock.sleep(ASK_AGAIN).await;
            }
        };
        // What is left then is lost, and shows.
        let _ = self.clock.timeout(FLUSH_MAX, flushed).await;
        ledger.tell(rows).await;
    }

    async fn crash(&self) {
        self.seat.crash().await;
        loop {
            match self.build.on(&self.seat).await {
                Ok(cache) => {
                    let gone = self.seat.gone();
                    return self.member.replace(Live { cache, gone });
                }
                // The server is away.
                Err(error) => tracing::debug!(?error, "the next process cannot begin yet"),
            }
            self.clock.sleep(ASK_AGAIN).await;
        }
    }

    async fn cached(&self, key: u64) -> Vec<(&'static str, u64)> {
        let mut tiers = Vec::new();
        for cache in [&self.member.live().cache, &self.below] {
            let Ok(found) = cache.lookup(&key).await else { continue };
            let tier = if found.tier() == Tier::Near { "near" } else { "store" };
            tiers.extend(found.value().map(|version| (tier, **version)));
        }
        tiers
    }
}

fn served(found: &Lookup<u64>) -> Served {
    match (found.tier(), found.freshness()) {
        (_, Freshness::Stale) => Served::Stale,
        (Tier::Near, _) => Served::Near,
        (Tier::Store | Tier::Behind, _) => Served::Store,
        _ => Served::Loaded,
    }
}
