//! Timeline: rebuilt by two at once, and paged while posts come in.

use std::time::Duration;

use larder::{
    Retention,
    redis::{AsyncCommands as _, RedisError},
    timeline::Timeline,
};

use super::{Playing, Scene, duel::Duel};
use crate::{
    cmd::demo::{report::Report, stage::Stage},
    failure::Outcome,
};

pub(super) const SCENE: Scene = Scene {
    name: "timeline",
    shows: "a feed is rebuilt by two processes at once, and paged while posts come in",
    run: |stage| -> Playing<'_> { Box::pin(play(stage)) },
};

/// Longer than the scene.
const KEPT: Duration = Duration::from_secs(600);
const POSTS: u64 = 30;
const PAGE: usize = 10;
/// More than a round has posts.
const ALL: usize = 100;

async fn play(stage: &Stage) -> Outcome<Report> {
    let home: Timeline<u64, u64> = Timeline::builder(stage.namespace("timeline"))
        .store(&stage.store)
        .retention(Retention::For(KEPT))
        .build()?;
    let by_hand = stage.namespace("timeline-naive");
    let rebuilt = Duel::play(
        stage,
        async |round, _| rebuilt_by_two(&home, round).await,
        async |round, _| Ok(rebuilt_by_two_by_hand(stage, &format!("{by_hand}:{round}")).await?),
    )
    .await?;
    let paged = Duel::play(
        stage,
        async |round, _| paged(&home, round).await,
        async |round, _| Ok(paged_by_hand(stage, &format!("{by_hand}:{round}")).await?),
    )
    .await?;
    // From 1,000 on, where no round has been.
    let followers = stage.user_count;
    let fan_out = home.fan_out(&(POSTS + 2), POSTS + 2, (1_000..1_000 + followers).collect::<Vec<_>>())?;
    let (fanned_out, took) = stage.timed(fan_out.finish()).await;

    let mut report = rebuilt.report("rounds", "feeds_with_duplicates");
    paged.tell(&mut report, "pages_that_repeat");
    report.count("followers", followers);
    report.span("fan_out_to_all", took);
    report.claim(
        rebuilt.larder == 0,
        format_args!(
            "each post is there once, newest first: {} feeds were not",
            rebuilt.larder
        ),
    );
    report.claim(
        paged.larder == 0,
        format_args!("no page repeats what an earlier one had: {} did", paged.larder),
    );
    report.claim(
        fanned_out.changed == followers && fanned_out.failed.is_empty(),
        format_args!("the post reached all: {} of {followers}", fanned_out.changed),
    );
    report.lesson("a feed is a set in order of time, and a page ends at a post; lists append twice, and offsets move");
    Ok(report)
}

/// Two processes find the feed missing and fill it at once; whether it is anything but the posts, newest first.
async fn rebuilt_by_two(home: &Timeline<u64, u64>, owner: u64) -> Outcome<bool> {
    let (one, other) = (home.rebuild(&owner).await?, home.rebuild(&owner).await?);
    let posts = || (1..=POSTS).map(|id| (id, id));
    let (one, other) = tokio::join!(one.finish(posts()), other.finish(posts()));
    one?;
    other?;
    let page = home.page(&owner, None, ALL).await?;
    Ok(!page.items.iter().map(|item| item.id).eq((1..=POSTS).rev()))
}

async fn rebuilt_by_two_by_hand(stage: &Stage, key: &str) -> Result<bool, RedisError> {
    let (mut one, mut other) = (stage.store.clone(), stage.store.clone());
    let missing: (bool, bool) = (one.exists(key).await?, other.exists(key).await?);
    let posts: Vec<u64> = (1..=POSTS).rev().collect();
    for (there, store) in [(missing.0, &mut one), (missing.1, &mut other)] {
        if !there {
            store.rpush::<_, _, ()>(key, &posts).await?;
        }
    }
    one.expire::<_, ()>(key, KEPT.as_secs() as i64).await?;
    Ok(one.lrange::<_, Vec<u64>>(key, 0, -1).await? != posts)
}

/// A post comes in between two pages; whether the second repeats something of the first.
async fn paged(home: &Timeline<u64, u64>, owner: u64) -> Outcome<bool> {
    let first = home.page(&owner, None, PAGE).await?;
    home.append(&owner, &(POSTS + 1), POSTS + 1).await?;
    let second = home.page(&owner, first.next.as_ref(), PAGE).await?;
    Ok(second.items.len() != PAGE || second.items.iter().any(|item| first.items.contains(item)))
}

async fn paged_by_hand(stage: &Stage, key: &str) -> Result<bool, RedisError> {
    let mut store = stage.store.clone();
    let page = PAGE as isize;
    let first: Vec<u64> = store.lrange(key, 0, page - 1).await?;
    store.lpush::<_, _, ()>(key, POSTS + 1).await?;
    let second: Vec<u64> = store.lrange(key, page, 2 * page - 1).await?;
    Ok(second.iter().any(|post| first.contains(post)))
}
