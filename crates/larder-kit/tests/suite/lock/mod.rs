//! Locks of all kinds.

mod exclusion;
mod full;
mod kinds;
mod late;
mod mutants;
mod naive;
mod network;
mod scripts;
mod trouble;

use std::time::Duration;

use larder_kit::lock::StoreLock;
use larder_store::Store;
use larder_testkit::Topology;

/// How long a lock lasts in these tests, in units: long against a busy machine's scheduler, short enough to wait for.
const TTL: u32 = 20;

/// Bounds a hang, nothing else.
const DEADLINE: Duration = Duration::from_secs(30);

/// Locks that are not renewed by themselves, so that tests say when they end.
fn fixed(t: &Topology, store: &Store) -> StoreLock {
    let builder = StoreLock::builder("invoices").store(store).ttl(t.units(TTL));
    builder.watchdog(false).build().expect("the settings are good")
}

/// Locks as they are by default, with the tests' ttl.
fn watched(t: &Topology, store: &Store) -> StoreLock {
    let builder = StoreLock::builder("invoices").store(store).ttl(t.units(TTL));
    builder.build().expect("the settings are good")
}
