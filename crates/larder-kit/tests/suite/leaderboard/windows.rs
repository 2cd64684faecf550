//! Boards of days, weeks and months, and how long they are kept.

use larder_base::Clock;
use larder_kit::{
    Retention, Window,
    leaderboard::{Leaderboard, LeaderboardError, Merge},
};
use larder_store::{Store, StoreConfig};
use larder_testkit::{Topology, UNIT, for_each_topology};

use super::{DAY, Outcome, building, name, names};
use crate::immortal::no_immortal_keys;

/// Windows that a test sees pass: long enough that a slow machine does not miss one unseen.
const UNITS: u32 = 40;

async fn windowed(t: &Topology) -> Result<Leaderboard<String>, LeaderboardError> {
    let window = Window::Every(t.units(UNITS));
    building(t, "game").await.window(window).build()
}

/// Lets time pass until `board` is empty, which is when its window is over.
async fn over(t: &Topology, board: &Leaderboard<String>) -> Outcome {
    for _ in 0..=UNITS {
        if board.count().await? == 0 {
            return Ok(());
        }
        t.advance(1).await;
    }
    panic!("the window does not end");
}

#[test]
pub(super) fn a_window_that_is_over_is_the_previous_one_and_only_read() {
    for_each_topology(async |t: Topology| -> Outcome {
        let board = windowed(&t).await?;
        // At the beginning of a window, so that what follows is in one.
        board.set(&name("first"), 1.0).await?;
        over(&t, &board).await?;
        board.set(&name("ada"), 5.0).await?;
        board.set(&name("bob"), 3.0).await?;
        over(&t, &board).await?;
        board.set(&name("bob"), 4.0).await?;
        assert_eq!(names(&board.top(9).await?), ["bob"]);
        assert_eq!(names(&board.previous(1).top(9).await?), ["ada", "bob"]);
        assert_eq!(names(&board.previous(1).previous(1).top(9).await?), ["first"]);
        let sum = board.last(2, Merge::Sum, 9).await?;
        assert_eq!((names(&sum), sum[0].score), (vec!["bob", "ada"], 7.0));
        let refused = board.previous(1).set(&name("ada"), 9.0).await;
        assert!(matches!(refused, Err(LeaderboardError::Over)), "{refused:?}");
        assert!(board.previous(1).clear().await.is_err());
        no_immortal_keys(&t, 4);
        Ok(())
    });
}

#[test]
pub(super) fn windows_vanish_when_their_retention_is_over() {
    for_each_topology(async |t: Topology| -> Outcome {
        let window = Window::Every(t.units(UNITS));
        let board = building(&t, "game")
            .await
            .window(window)
            .retention(Retention::For(UNIT))
            .build()?;
        board.set(&name("ada"), 1.0).await?;
        let ttl = |key: &str| t.wire().call(&["PTTL", key]).expect("the server answers").int();
        let keys = t.wire().call(&["KEYS", "*"]).expect("the server answers");
        for key in keys.list() {
            let left = ttl(&key.text());
            // From its end on, which is up to a window away.
            assert!((1..=t.units(UNITS + 1).as_millis() as i64).contains(&left), "{left}");
        }
        over(&t, &board).await?;
        t.advance(2).await;
        assert_eq!(board.previous(1).count().await?, 0);
        assert_eq!(
            t.wire().call(&["KEYS", "*"]).expect("the server answers").list().len(),
            0
        );
        Ok(())
    });
}

#[test]
pub(super) fn a_board_without_windows_lives_on_while_it_is_written() {
    for_each_topology(async |t: Topology| -> Outcome {
        let board = building(&t, "game")
            .await
            .retention(Retention::For(t.units(20)))
            .build()?;
        board.set(&name("ada"), 1.0).await?;
        for _ in 0..3 {
            t.advance(10).await;
            // Also a write that changes nothing is one.
            board.set_if_better(&name("ada"), 0.0).await?;
        }
        assert_eq!(board.count().await?, 1);
        t.advance(21).await;
        assert_eq!(board.count().await?, 0);
        let forever = building(&t, "ever").await.retention(Retention::Forever).build()?;
        forever.set(&name("ada"), 1.0).await?;
        let ttl = t
            .wire()
            .call(&["PTTL", "board:{ever:all}main"])
            .expect("the server answers")
            .int();
        assert_eq!(ttl, -1, "as it was told to");
        Ok(())
    });
}

/// A client whose clock is wrong writes to the window that is open by the server's clock, and learns the time with its first call.
#[test]
pub(super) fn the_servers_clock_says_which_window_is_open() {
    for_each_topology(async |t: Topology| -> Outcome {
        let (wrong, _hand) = Clock::manual();
        wrong.as_manual().expect("it is manual").step_wall(-3 * 86_400);
        let config = match t.port() {
            Some(port) => StoreConfig::tcp("127.0.0.1", port).clock(wrong),
            None => StoreConfig::embedded().clock(wrong),
        };
        let store = match t.engine() {
            Some(engine) if t.port().is_none() => Store::embedded_with(engine.clone(), config)?,
            _ => Store::connect(config).await?,
        };
        let days = |store: &Store| {
            let builder = Leaderboard::<String>::builder("game").store(store);
            builder.window(Window::Day).retention(Retention::For(DAY)).build()
        };
        let (right, off) = (days(&t.store().await)?, days(&store)?);
        off.set(&name("ada"), 1.0).await?;
        right.set(&name("bob"), 2.0).await?;
        assert_eq!(names(&right.top(9).await?), ["bob", "ada"]);
        assert_eq!(names(&off.top(9).await?), ["bob", "ada"]);
        assert_eq!(off.last(2, Merge::Best, 9).await?.len(), 2);
        Ok(())
    });
}

/// A call is one round trip: of a script that the server knows, one command.
#[test]
fn each_call_is_one_command() {
    for_each_topology(async |t: Topology| -> Outcome {
        let board = building(&t, "game")
            .await
            .window(Window::Every(DAY * 365 * 50))
            .build()?;
        let calls = || {
            let info = t
                .wire()
                .call(&["INFO", "commandstats"])
                .expect("the server answers")
                .text();
            let line = info
                .lines()
                .find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
            line.and_then(|rest| rest.split(',').next()?.parse::<u64>().ok())
                .unwrap_or(0)
        };
        // Once for each script, so that the server knows it.
        board.set(&name("ada"), 1.0).await?;
        board.rank(&name("ada")).await?;
        board.around(&name("ada"), 1).await?;
        board.last(2, Merge::Sum, 1).await?;
        board.remove(&name("ada")).await?;
        let before = calls();
        board.set(&name("ada"), 1.0).await?;
        board.rank(&name("ada")).await?;
        board.around(&name("ada"), 1).await?;
        board.top(1).await?;
        board.last(2, Merge::Sum, 1).await?;
        board.remove(&name("ada")).await?;
        assert_eq!(calls() - before, 6);
        Ok(())
    });
}
