//! What an entry costs in process: the bytes that the allocator gave out, less the 64 of the value. The key (8 bytes, or
//! text where a peer takes nothing else) and the `Arc` count as cost.

use larder_store::Store;

use super::Group;
use crate::{
    Lab, allocations,
    peers::{HOLDERS, Holder, Size},
    report::{Section, Table},
    row::PAYLOAD,
};

pub(crate) const GROUP: Group = Group {
    name: "memory",
    about: "bytes of an entry in process over the 64 of its value, room for as many as there are",
    run: |lab| lab.runtime.block_on(run(lab)),
};

const ENTRIES: u64 = 100_000;

async fn run(lab: &Lab) -> anyhow::Result<Section> {
    let mut rows = Vec::new();
    allocations::count_bytes(true);
    for holder in HOLDERS {
        let mut row = vec![holder.name.to_owned()];
        for inserts in [ENTRIES, 3 * ENTRIES] {
            let size = Size {
                capacity: ENTRIES,
                inserts,
            };
            row.push(if inserts == ENTRIES || holder.evicts {
                format!("{:.0} B", each(lab, holder, size).await?)
            } else {
                String::new()
            });
        }
        rows.push(row);
    }
    allocations::count_bytes(false);
    Ok(Section::Table(Table {
        title: format!("room for {ENTRIES} entries"),
        columns: vec!["subject", "just full", "after three times as many"],
        rows,
    }))
}

async fn each(lab: &Lab, holder: &Holder, size: Size) -> anyhow::Result<f64> {
    // Its connection is there before, and not in the figure.
    let store = Store::open(&lab.redis.url()).await?;
    let before = allocations::bytes();
    let full = (holder.full)(store.clone(), size).await?;
    let after = allocations::bytes();
    drop(full);
    store.close().await;
    Ok((after - before) as f64 / size.capacity as f64 - PAYLOAD as f64)
}
