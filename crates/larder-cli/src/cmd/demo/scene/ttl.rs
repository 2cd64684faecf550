//! TTL: a value lives as long as it was given, and can be given more.

use std::time::Duration;

use super::{Playing, Scene};
use crate::{
    cmd::demo::{report::Report, stage::Stage, users},
    failure::Outcome,
};

pub(super) const SCENE: Scene = Scene {
    name: "ttl",
    shows: "a value expires on time, and can be given more of it",
    run: |stage| -> Playing<'_> { Box::pin(play(stage)) },
};

const TTL: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(200);

async fn play(stage: &Stage) -> Outcome<Report> {
    // Without jitter, so that what is left can be compared with what was given.
    let cache = stage.cache("ttl").ttl(TTL).jitter(0.0).build().await?;
    let (short, touched) = ("1".to_owned(), "2".to_owned());
    for key in [&short, &touched] {
        let _receipt = cache.put_with(key, users::row(1), |options| options.ttl(SHORT)).await?;
    }
    let left = cache.ttl(&short).await?;
    let before = cache.contains(&short).await?;
    cache.touch(&touched, TTL).await?;
    stage.clock.sleep(2 * SHORT).await;
    let after = cache.contains(&short).await?;
    let kept = cache.contains(&touched).await?;

    let mut report = Report::default();
    report.span("given", SHORT);
    report.span("left_at_once", left.unwrap_or_default());
    report.flag("there_at_once", before);
    report.flag("there_after_twice_that", after);
    report.flag("there_if_touched", kept);
    report.claim(before && !after, "a value is there until its TTL ends, and not after");
    report.claim(
        left.is_some_and(|left| left <= SHORT),
        "what is left is at most what was given",
    );
    report.claim(kept, "touch gives a value more time");
    report.lesson("every value has a TTL; one that should never expire must say so (Ttl::never())");
    Ok(report)
}
