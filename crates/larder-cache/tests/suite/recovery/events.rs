//! What a cache tells its subscribers of an outage and its end.

use larder_cache::{CacheEvent, Delivery, Events, NewGeneration};
use larder_testkit::{RedisServer, Topology, for_each_topology};

use super::cut::{Cut, SOON};
use crate::behaviour::subject::{answers, meanwhile};

/// The events up to the first that is `last`, without loads.
async fn until(events: &mut Events, last: impl Fn(&CacheEvent) -> bool) -> Vec<CacheEvent> {
    let mut told = Vec::new();
    let search = async {
        while !told.last().is_some_and(&last) {
            let event = events.next().await.expect("the cache lives");
            if !matches!(event, CacheEvent::Loaded { .. }) {
                told.push(event);
            }
        }
    };
    tokio::time::timeout(SOON, search).await.expect("it is told");
    told
}

#[test]
fn what_is_pending_and_its_delivery_are_told() {
    for_each_topology(async |t: Topology| {
        let cut = Cut::of(&t).await;
        let cache = cut.cache(|b| b).await;
        let mut events = cache.events();
        cut.down();
        meanwhile(&t, cache.invalidate(&1)).await.unwrap_err();
        cut.up();
        let last = |event: &CacheEvent| matches!(event, CacheEvent::Delivered);
        let mut told = meanwhile(&t, until(&mut events, last)).await;
        told.retain(|event| !matches!(event, CacheEvent::Lost | CacheEvent::Restored));
        assert!(
            matches!(
                told.as_slice(),
                [
                    CacheEvent::Pending { waiting: 1 },
                    CacheEvent::Invalidated {
                        delivery: Delivery::Pending,
                        ..
                    },
                    CacheEvent::Delivered,
                ]
            ),
            "{told:?}"
        );
        assert_eq!(cache.stats().pending, 0, "it is told when it is so");
    });
}

/// Near copies are told to be served again only after the repair.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_generation_is_told_between_the_loss_of_the_stream_and_its_return() {
    for policy in [NewGeneration::Replay, NewGeneration::Fence] {
        let mut server = RedisServer::start().await;
        let cut = Cut::of_port(server.port()).await;
        let cache = cut.cache(|b| b.near(100).on_new_generation(policy)).await;
        cache.get_or_load(&1, || answers(1)).await.unwrap();
        let mut events = cache.events();
        server.restart_empty().await;
        let told = until(&mut events, |event| matches!(event, CacheEvent::Restored)).await;
        let known = |event: &CacheEvent| match event {
            CacheEvent::Lost => "lost",
            CacheEvent::NewGeneration { fenced: true } => "fenced",
            CacheEvent::NewGeneration { fenced: false } => "replayed",
            CacheEvent::Restored => "restored",
            _ => "something else",
        };
        let repaired = match policy {
            NewGeneration::Fence => "fenced",
            _ => "replayed",
        };
        let told: Vec<&str> = told.iter().map(known).collect();
        assert_eq!(told, ["lost", repaired, "restored"]);
    }
}
