//! A feed: posts go to those who follow, pages neither repeat nor leave out, and a lost feed is made anew beside all of that.
//!
//! `cargo run -p larder --example timeline [redis://127.0.0.1:6379]`

use std::time::Duration;

use larder::{
    BoxError, Retention, Store,
    timeline::{Added, Cursor, Timeline},
};

const DAY: Duration = Duration::from_secs(86_400);

/// Stands for a database: the posts that somebody should see, with when they were written.
async fn posts_for(_reader: u64) -> Result<Vec<(u64, u64)>, BoxError> {
    Ok((1..=50).map(|id| (id, 1_795_000_000_000 + id)).collect())
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "embedded:".to_owned());
    let store = Store::open(&url).await?;
    let home: Timeline<u64, u64> = Timeline::builder("example-home")
        .store(&store)
        .capacity(800)
        .retention(Retention::For(30 * DAY)) // after the last write; then it is rebuilt
        .build()?;
    for reader in 1..=2_000 {
        home.clear(&reader).await?;
    }
    write(&home).await?;
    read(&home).await?;
    celebrities(&home).await?;
    last_seen(&store).await?;
    Ok(())
}

async fn write(home: &Timeline<u64, u64>) -> Result<(), BoxError> {
    let (post, written_at, followers) = (99, 1_795_000_000_099, 1..=1_200);

    let mut fan_out = home.fan_out(&post, written_at, followers)?;
    while let Some(chunk) = fan_out.next().await {
        println!("sent to {} followers, {} failed", chunk.done, chunk.failed.len());
    }

    let again = home.append(&7, &post, written_at).await?; // Added::Known
    home.retract(&post, 1..=3)?.finish().await; // deleted, also where it has yet to come
    assert_eq!(again, Added::Known);
    assert_eq!(home.append(&3, &post, written_at).await?, Added::Removed);
    Ok(())
}

async fn read(home: &Timeline<u64, u64>) -> Result<(), BoxError> {
    let reader = 7;

    let rebuild = home.rebuild(&reader).await?; // first this,
    let posts = posts_for(reader).await?; // then the source,
    let rebuilt = rebuild.finish(posts).await?; // then both; beside appends, and other rebuilds
    println!("{} posts added, {} dropped", rebuilt.added, rebuilt.dropped);
    assert_eq!((rebuilt.added, rebuilt.dropped), (50, 1));

    let first = home.page(&reader, None, 20).await?; // newest first
    let link = first.next.map(|cursor| cursor.to_string()); // for "more", as text
    home.append(&reader, &100, 1_795_000_000_100).await?;
    let cursor: Option<Cursor> = link.map(|text| text.parse()).transpose()?;
    let second = home.page(&reader, cursor.as_ref(), 20).await?;
    let seen: Vec<u64> = first.items.iter().chain(&second.items).map(|item| item.id).collect();
    println!("two pages, with a post in between: {} to {}", seen[0], seen[39]);
    assert!(seen.iter().copied().eq((11..=50).rev()));
    Ok(())
}

async fn celebrities(posts: &Timeline<u64, u64>) -> Result<(), BoxError> {
    posts.append(&1_500, &3_000, 1_795_000_000_300).await?;
    posts.append(&1_600, &3_001, 1_795_000_000_301).await?;
    let page = posts.merged(&[7, 1_500, 1_600], None, 20).await?; // three timelines, read as one
    assert_eq!(page.items[0].id, 3_001);
    Ok(())
}

async fn last_seen(store: &Store) -> Result<(), BoxError> {
    let seen: Timeline<u64, String> = Timeline::builder("example-seen")
        .store(store)
        .capacity(2)
        .retention(Retention::For(DAY))
        .build()?;
    for product in ["tea", "mug", "tea", "pot"] {
        seen.touch(&7, &product.to_owned()).await?; // to the front
    }
    let last = seen.page(&7, None, 2).await?;
    let names: Vec<&str> = last.items.iter().map(|item| item.id.as_str()).collect();
    println!("last seen: {names:?}");
    assert_eq!(names, ["pot", "tea"]);
    Ok(())
}
