//! Timelines made anew, beside each other and beside what comes in.

use larder_kit::timeline::{Added, Timeline, TimelineError};
use larder_testkit::{Topology, for_each_topology};

use super::{Outcome, building, ids, timeline};
use crate::immortal::no_immortal_keys;

/// A source: the posts 1 to 30, oldest first, as a database may well give them.
fn source() -> impl Iterator<Item = (u64, u64)> {
    (1..=30).map(|id| (id, id * 10))
}

fn newest_first() -> Vec<u64> {
    (1..=30).rev().collect()
}

#[test]
pub(super) fn a_rebuilt_timeline_is_what_its_source_has() {
    for_each_topology(async |t: Topology| -> Outcome {
        let home = timeline(&t).await?;
        home.append(&7, &5, 50).await?;
        home.append(&7, &77, 55).await?;
        let rebuilt = home.rebuild(&7).await?.finish(source()).await?;
        assert_eq!((rebuilt.added, rebuilt.known, rebuilt.dropped), (29, 1, 1));
        assert_eq!(ids(&home.page(&7, None, 100).await?), newest_first());
        // Those that the source lacked were not removed by anybody.
        assert_eq!(home.append(&7, &77, 55).await?, Added::New);
        no_immortal_keys(&t, 1);
        let small = building(&t).await.capacity(3).build()?;
        small.rebuild(&8).await?.finish(source()).await?;
        assert_eq!(ids(&small.page(&8, None, 100).await?), [30, 29, 28]);
        let nothing = home.rebuild(&7).await?.finish([]).await?;
        assert_eq!((nothing.dropped, home.count(&7).await?), (31, 0));
        Ok(())
    });
}

#[test]
pub(super) fn two_rebuilds_at_once_leave_no_duplicate_and_lose_nothing_that_comes_in() {
    for_each_topology(async |t: Topology| -> Outcome {
        let (home, other) = (timeline(&t).await?, {
            let builder = Timeline::<u64, u64>::builder("home").store(&t.another_store().await);
            builder.retention(larder_kit::Retention::For(super::DAY)).build()?
        });
        home.append(&7, &1, 10).await?;
        let (one, two) = (home.rebuild(&7).await?, other.rebuild(&7).await?);
        // Appended after the sources were read: neither has it.
        home.append(&7, &31, 310).await?;
        let appended = async {
            for id in 32..=40 {
                other.append(&7, &id, id * 10).await?;
            }
            Ok::<_, TimelineError>(())
        };
        let (one, two, appended) = tokio::join!(one.finish(source()), two.finish(source()), appended);
        assert_eq!(one?.added + two?.added, 29, "each once");
        appended?;
        let expected: Vec<u64> = (1..=40).rev().collect();
        assert_eq!(ids(&home.page(&7, None, 100).await?), expected);
        Ok(())
    });
}

#[test]
pub(super) fn what_was_removed_while_the_source_was_read_does_not_come_back() {
    for_each_topology(async |t: Topology| -> Outcome {
        let home = timeline(&t).await?;
        let rebuild = home.rebuild(&7).await?;
        home.remove(&7, &13).await?;
        rebuild.finish(source()).await?;
        let shown = ids(&home.page(&7, None, 100).await?);
        assert!(shown.len() == 29 && !shown.contains(&13), "{shown:?}");
        Ok(())
    });
}
