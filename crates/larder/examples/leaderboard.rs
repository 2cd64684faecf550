//! A weekly board: who is ahead, who is next to me, who won last week, and ties won by who was first.
//!
//! `cargo run -p larder --example leaderboard [redis://127.0.0.1:6379]`

use std::time::Duration;

use larder::{
    BoxError, Retention, Store, Window,
    leaderboard::{Leaderboard, Merge, Order},
};

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "embedded:".to_owned());
    let store = Store::open(&url).await?;
    points(&store).await?;
    laps(&store).await?;
    countries(&store).await?;
    Ok(())
}

async fn points(store: &Store) -> Result<(), BoxError> {
    let weekly: Leaderboard<u64> = Leaderboard::builder("example-points")
        .store(store)
        .window(Window::Week)
        .retention(Retention::For(60 * DAY)) // from the end of each week on
        .build()?;
    weekly.clear().await?;

    let now = weekly.increment(&42, 15.0).await?; // score 15, rank 1
    println!("player 42 has {} points and is number {}", now.score, now.rank);
    weekly.load((1..=1000).map(|id| (id, (id % 100) as f64))).await?;

    let top = weekly.top(10).await?; // of equal scores the first reached is ahead
    let page = weekly.page(20, 10).await?; // ranks 21 to 30
    let around = weekly.around(&42, 2).await?.unwrap_or_default(); // two above, me, two below
    let friends = weekly.places(&[7, 8, 5000]).await?; // Some, Some, None
    for standing in &around {
        println!(
            "{:>5}  player {:<4} {:>4}",
            standing.rank, standing.member, standing.score
        );
    }
    assert_eq!(
        (top[0].member, top[1].member),
        (99, 199),
        "both have 99 points; 99 was first"
    );
    assert_eq!((page.len(), page[0].rank), (10, 21));
    assert!(around.len() == 5 && around[2].member == 42);
    assert!(friends[1].is_some() && friends[2].is_none());

    let winner = weekly.previous(1).top(1).await?; // last week, which is final
    let month = weekly.last(4, Merge::Sum, 10).await?; // this week and the three before it
    assert!(winner.is_empty() && month[0].score == 99.0);
    weekly.clear().await?;
    Ok(())
}

async fn laps(store: &Store) -> Result<(), BoxError> {
    let laps: Leaderboard<String> = Leaderboard::builder("example-laps")
        .store(store)
        .group("monza")
        .order(Order::LowestFirst)
        .retention(Retention::Forever) // the records of all time
        .build()?;
    laps.set_if_better(&"ada".to_owned(), 81.3).await?;
    let slower = laps.set_if_better(&"ada".to_owned(), 82.0).await?; // changed: false
    println!("ada's best lap is {} s", slower.score);
    assert!(!slower.changed && slower.score == 81.3);
    laps.clear().await?;
    Ok(())
}

async fn countries(store: &Store) -> Result<(), BoxError> {
    let country = |name: &str| {
        Leaderboard::<u64>::builder("example-cup")
            .store(store)
            .name(name)
            .retention(Retention::For(30 * DAY))
            .build()
    };
    let (fi, pt) = (country("fi")?, country("pt")?);
    fi.set(&1, 10.0).await?;
    pt.set(&2, 20.0).await?;
    let all = Leaderboard::merged(&[fi.clone(), pt.clone()], Merge::Best, 10).await?;
    println!("of all countries, player {} is ahead", all[0].member);
    assert_eq!((all.len(), all[0].member), (2, 2));
    fi.clear().await?;
    pt.clear().await?;
    Ok(())
}
