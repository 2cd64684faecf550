//! Pipelines of 100 against single commands, through the store handle.

use larder_store::Store;

use super::Group;
use crate::{Lab, lab::pipeline, report::Section};

pub(crate) const GROUP: Group = Group {
    name: "pipeline",
    about: "GET through the store handle, single and in pipelines",
    run: |lab| lab.runtime.block_on(run(lab)),
};

async fn run(lab: &Lab) -> anyhow::Result<Section> {
    let store = Store::open(&lab.redis.url()).await?;
    let figures = pipeline::run(&store, "GET, redis-server", lab.rounds).await?;
    store.close().await;
    Ok(Section::Figures(figures))
}
