//! After a loss the cache caches again: within two reads, whatever was lost.

use larder_testkit::{Case, Wire};

use super::{
    larder,
    network::Faults,
    subject::{Subject as _, tag_of},
    world::{Process, Story, World, lose},
};

/// Stories after which each kind of key is lost once.
const WORLDS: u64 = 100;

const STORY: Story = Story {
    processes: 2,
    by_tag: true,
    faults: Faults::NONE,
    pauses: false,
    losses: true,
    logged: false,
};

#[test]
fn a_key_is_cached_again_within_two_reads_after_each_loss() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime can be built");
    for case in Case::each(WORLDS, 1) {
        runtime.block_on(async {
            let world = World::new(case.random(), STORY, larder).await;
            world.run().await;
            world.drive(lose_each(&world)).await;
        });
    }
}

async fn lose_each(world: &World<super::Larder>) {
    let mut wire = Wire::embedded(&world.engine);
    let reader = &world.processes[0];
    for lost in ["*:m", "*:t0", "*:t1", "*:e:*"] {
        read(world, reader).await;
        // Leave stamps behind, of this tag and of another.
        for tag in [tag_of(0), "another".to_owned()] {
            reader.subject.invalidate_tag(&tag).await.expect("the store is up");
        }
        read(world, reader).await;
        lose(&mut wire, lost);
        read(world, reader).await;
        read(world, reader).await;
        let loads = world.rows.loads();
        read(world, reader).await;
        assert_eq!(
            world.rows.loads(),
            loads,
            "not cached two reads after the loss of {lost}"
        );
    }
}

async fn read(world: &World<super::Larder>, reader: &Process<super::Larder>) {
    let loader = world.loader()(reader);
    reader.subject.read(0, loader).await.expect("the store is up");
}
