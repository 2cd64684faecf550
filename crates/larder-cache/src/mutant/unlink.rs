//! M25: what a pattern finds is deleted, whatever it is.

use larder_store::{Store, StoreError};

pub(crate) async fn unlink(store: &Store, entries: Vec<Vec<u8>>) -> Result<(), StoreError> {
    let mut unlink = redis::cmd("UNLINK");
    unlink.arg(entries);
    store.run(&unlink).await.map(drop)
}
