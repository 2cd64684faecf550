//! What a timeline does, on every store.

use larder_kit::{
    Retention,
    timeline::{Added, Cursor, PAGE_MAX, Timeline, TimelineError},
};
use larder_testkit::{Topology, for_each_topology};

use super::{DAY, Outcome, building, ids, timeline};
use crate::immortal::no_immortal_keys;

#[test]
pub(super) fn items_are_newest_first_once_and_capped() {
    for_each_topology(async |t: Topology| -> Outcome {
        let home = building(&t).await.capacity(4).build()?;
        for (id, at) in [(3, 30), (1, 10), (2, 20)] {
            assert_eq!(home.append(&7, &id, at).await?, Added::New);
        }
        assert_eq!(ids(&home.page(&7, None, 10).await?), [3, 2, 1]);
        assert_eq!(home.append(&7, &1, 99).await?, Added::Known, "it stays where it is");
        assert_eq!(ids(&home.page(&7, None, 10).await?), [3, 2, 1]);
        home.append(&7, &4, 40).await?;
        assert_eq!(home.append(&7, &5, 50).await?, Added::New);
        assert_eq!(home.append(&7, &6, 5).await?, Added::TooOld);
        let page = home.page(&7, None, 10).await?;
        assert_eq!((ids(&page), page.items[0].at, page.next), (vec![5, 4, 3, 2], 50, None));
        assert_eq!((home.count(&7).await?, home.count(&8).await?), (4, 0));
        assert!(ids(&home.page(&8, None, 10).await?).is_empty());
        assert!(ids(&home.page(&7, None, 0).await?).is_empty());
        no_immortal_keys(&t, 1);
        Ok(())
    });
}

/// All ids, by following the cursors as texts, with `meanwhile` done after each page.
async fn followed(
    home: &Timeline<u64, u64>,
    size: usize,
    mut meanwhile: impl AsyncFnMut(usize) -> Outcome,
) -> Result<Vec<u64>, TimelineError> {
    let (mut seen, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = home.page(&7, after.as_ref(), size).await?;
        seen.extend(ids(&page));
        assert!(seen.len() < 1_000, "the pages go round");
        let Some(next) = page.next else { return Ok(seen) };
        after = Some(next.to_string().parse::<Cursor>()?);
        meanwhile(pages).await?;
        pages += 1;
    }
}

#[test]
pub(super) fn pages_repeat_nothing_and_leave_nothing_out_while_items_come_and_go() {
    for_each_topology(async |t: Topology| -> Outcome {
        let home = timeline(&t).await?;
        // Several at each position, so that pages end within one; ids of one and two digits, which sort as bytes do.
        for id in 1..=40u64 {
            home.append(&7, &id, id / 10).await?;
        }
        let all = ids(&home.page(&7, None, 100).await?);
        assert_eq!(all.len(), 40);
        for size in [1, 3, 7, 39, 40, 41] {
            assert_eq!(followed(&home, size, async |_| Ok(())).await?, all, "pages of {size}");
        }
        // New ones come in, and each page's last item is removed after it was shown, so that its place is nobody's.
        let seen = followed(&home, 3, async |page| {
            home.append(&7, &(1_000 + page as u64), 100 + page as u64).await?;
            home.remove(&7, &all[3 * page + 2]).await?;
            Ok(())
        })
        .await?;
        assert_eq!(seen, all);
        Ok(())
    });
}

#[test]
pub(super) fn what_was_removed_stays_so_for_a_while() {
    for_each_topology(async |t: Topology| -> Outcome {
        let home = timeline(&t).await?;
        home.append(&7, &1, 10).await?;
        assert!(home.remove(&7, &1).await?);
        assert!(!home.remove(&7, &1).await?);
        assert_eq!(home.append(&7, &1, 10).await?, Added::Removed);
        // Also before it came: a retraction that overtook its post.
        home.remove(&7, &2).await?;
        assert_eq!(home.append(&7, &2, 20).await?, Added::Removed);
        assert_eq!(home.append(&8, &2, 20).await?, Added::New, "of one owner only");
        no_immortal_keys(&t, 2);
        assert!(home.clear(&7).await?);
        assert!(!home.clear(&7).await?);
        assert_eq!(home.append(&7, &1, 10).await?, Added::New);
        if t.kind() == larder_testkit::Kind::Embedded {
            home.remove(&7, &1).await?;
            // Ten minutes, which on the embedded clock are soon over.
            t.clock()
                .as_manual()
                .expect("it is moved")
                .advance(2 * larder_kit::timeline::REMOVED_FOR);
            assert_eq!(home.append(&7, &1, 10).await?, Added::New);
        }
        Ok(())
    });
}

#[test]
pub(super) fn what_is_touched_comes_to_the_front() {
    for_each_topology(async |t: Topology| -> Outcome {
        let seen: Timeline<u64, String> = Timeline::builder("seen")
            .store(&t.store().await)
            .capacity(3)
            .retention(Retention::For(DAY))
            .build()?;
        // On the embedded clock, which stands still, also within one microsecond.
        for item in ["tea", "mug", "pot", "tea", "jar"] {
            seen.touch(&7, &item.to_owned()).await?;
        }
        let page = seen.page(&7, None, 10).await?;
        let items: Vec<&str> = page.items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!(items, ["jar", "tea", "pot"]);
        seen.remove(&7, &"jar".to_owned()).await?;
        seen.touch(&7, &"jar".to_owned()).await?;
        assert_eq!(
            seen.page(&7, None, 1).await?.items[0].id,
            "jar",
            "looking again is looking again"
        );
        assert_eq!(seen.append(&7, &"jar".to_owned(), 1).await?, Added::Known);
        no_immortal_keys(&t, 1);
        Ok(())
    });
}

#[test]
pub(super) fn a_timeline_lives_on_while_it_is_written() {
    for_each_topology(async |t: Topology| -> Outcome {
        let home = building(&t).await.retention(Retention::For(t.units(20))).build()?;
        for _ in 0..4 {
            home.append(&7, &1, 10).await?;
            t.advance(10).await;
        }
        assert_eq!(home.count(&7).await?, 1);
        t.advance(21).await;
        assert_eq!(home.count(&7).await?, 0);
        Ok(())
    });
}

#[test]
fn what_cannot_be_meant_is_refused_by_name() {
    for_each_topology(async |t: Topology| -> Outcome {
        let store = t.store().await;
        let builder = || Timeline::<u64, u64>::builder("home").retention(Retention::Forever);
        for (wrong, names) in [
            (builder().build(), "store"),
            (Timeline::builder("home").store(&store).build(), "retention"),
            (builder().store(&store).capacity(0).build(), "capacity"),
            (builder().store(&store).capacity(10_001).build(), "capacity"),
            (Timeline::builder("{}").store(&store).build(), "{}"),
        ] {
            let error = wrong.expect_err("it is wrong");
            assert!(error.is_config() && error.to_string().contains(names), "{error}");
        }
        let home = timeline(&t).await?;
        assert!(matches!(
            home.append(&7, &1, 1 << 53).await,
            Err(TimelineError::BadPosition { .. })
        ));
        assert_eq!(home.append(&7, &1, (1 << 53) - 1).await?, Added::New);
        assert_eq!(home.page(&7, None, 1).await?.items[0].at, (1 << 53) - 1);
        assert!(matches!(
            home.page(&7, None, PAGE_MAX + 1).await,
            Err(TimelineError::TooMany)
        ));
        assert!(matches!(
            home.merged(&[7; 1_001], None, 1).await,
            Err(TimelineError::TooMany)
        ));
        assert!(matches!(
            home.merged(&[7; 1_000], None, 101).await,
            Err(TimelineError::TooMany)
        ));
        let words: Timeline<u64, String> = Timeline::builder("home")
            .store(&store)
            .retention(Retention::For(DAY))
            .build()?;
        let long = words.append(&7, &"x".repeat(513), 1).await;
        assert!(
            matches!(long, Err(TimelineError::ItemTooLong { bytes: 513 })),
            "{long:?}"
        );
        words.append(&7, &"post".to_owned(), 1).await?;
        let other = home.page(&7, None, 9).await.expect_err("it is no number");
        assert!(other.to_string().contains("post"), "{other}");
        t.wire()
            .call(&["SET", "timeline:{home:9}", "x"])
            .expect("the server answers");
        let taken = home.append(&9, &1, 1).await.expect_err("a string");
        assert!(
            taken.store().is_some_and(larder_store::StoreError::is_wrong_type),
            "{taken}"
        );
        Ok(())
    });
}
