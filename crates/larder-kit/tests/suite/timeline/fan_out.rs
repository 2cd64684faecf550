//! One item to many, and many to one.

use larder_kit::timeline::{Added, CHUNK, Cursor};
use larder_testkit::{Topology, for_each_topology};

use super::{Outcome, ids, timeline};
use crate::immortal::no_immortal_keys;

#[test]
fn an_item_comes_to_all_who_follow_in_chunks_and_again_without_harm() {
    for_each_topology(async |t: Topology| -> Outcome {
        let home = timeline(&t).await?;
        let followers = 2 * CHUNK as u64 + 1;
        let mut fan_out = home.fan_out(&99, 1_000, 0..followers)?;
        let first = fan_out.next().await.expect("there are three chunks");
        assert_eq!((first.changed, first.kept, first.failed.len()), (CHUNK as u64, 0, 0));
        assert_eq!(first.done, CHUNK as u64);
        assert_eq!(home.count(&followers.saturating_sub(1)).await?, 0, "not sent to yet");
        // Dropped in the middle, and begun again: nobody has it twice.
        drop(fan_out);
        let report = home.fan_out(&99, 1_000, 0..followers)?.finish().await;
        assert_eq!((report.changed, report.kept), (followers - CHUNK as u64, CHUNK as u64));
        assert!(report.failed.is_empty());
        for follower in [0, CHUNK as u64, followers - 1] {
            assert_eq!(ids(&home.page(&follower, None, 9).await?), [99]);
        }
        no_immortal_keys(&t, followers as usize);
        let report = home.retract(&99, 0..followers)?.finish().await;
        assert_eq!((report.changed, report.kept), (followers, 0));
        assert_eq!(home.append(&0, &99, 1_000).await?, Added::Removed);
        Ok(())
    });
}

#[test]
fn who_could_not_be_reached_is_named_and_the_others_have_it() {
    for_each_topology(async |t: Topology| -> Outcome {
        let home = timeline(&t).await?;
        t.wire()
            .call(&["SET", "timeline:{home:2}", "in the way"])
            .expect("the server answers");
        let report = home.fan_out(&99, 1_000, 1..=3)?.finish().await;
        assert_eq!((report.changed, report.failed.len()), (2, 1));
        let (who, why) = &report.failed[0];
        assert_eq!(*who, 2);
        assert!(why.is_wrong_type(), "{why}");
        Ok(())
    });
}

#[test]
pub(super) fn timelines_are_merged_while_reading_page_by_page() {
    for_each_topology(async |t: Topology| -> Outcome {
        let posts = timeline(&t).await?;
        let authors: Vec<u64> = (0..7).collect();
        for id in 0..60u64 {
            // Several at one position, of several authors.
            posts.append(&(id % 7), &id, id / 4).await?;
        }
        // One that two authors have.
        posts.append(&4, &59, 59 / 4).await?;
        let all = ids(&posts.merged(&authors, None, 100).await?);
        assert_eq!(all.len(), 60);
        assert_eq!(all[..4], [59, 58, 57, 56]);
        for (round, size) in (0u64..).zip([1, 4, 9, 59, 60]) {
            let (mut seen, mut after): (Vec<u64>, Option<Cursor>) = (Vec::new(), None);
            loop {
                let page = posts.merged(&authors, after.as_ref(), size).await?;
                // Those that came in while an earlier round was read are not its subject.
                seen.extend(ids(&page).into_iter().filter(|id| *id < 1_000));
                posts
                    .append(&1, &(1_000 * (round + 1) + seen.len() as u64), 1_000)
                    .await?;
                assert!(seen.len() < 1_000, "the pages go round");
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, all, "pages of {size}");
        }
        assert!(ids(&posts.merged(&[], None, 10).await?).is_empty());
        Ok(())
    });
}
