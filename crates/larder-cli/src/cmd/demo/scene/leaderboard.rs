//! Leaderboard: results that arrive at once, and ties.

use std::time::Duration;

use larder::{
    Retention,
    leaderboard::Leaderboard,
    redis::{AsyncCommands as _, RedisError},
};

use super::{Playing, Scene, duel::Duel};
use crate::{
    cmd::demo::{report::Report, stage::Stage},
    failure::Outcome,
};

pub(super) const SCENE: Scene = Scene {
    name: "leaderboard",
    shows: "two results of one player arrive at once, and two players tie",
    run: |stage| -> Playing<'_> { Box::pin(play(stage)) },
};

/// Longer than the scene.
const KEPT: Duration = Duration::from_secs(600);
/// What both players of a tie have: less than the two results, so that nobody else is between them.
const TIE: f64 = 15.0;

async fn play(stage: &Stage) -> Outcome<Report> {
    let board: Leaderboard<u64> = Leaderboard::builder(stage.namespace("leaderboard"))
        .store(&stage.store)
        .retention(Retention::For(KEPT))
        .build()?;
    let players = stage.user_count;
    let (loaded, load) = stage.timed(board.load((1..=players).map(|id| (id, 0.0)))).await;
    loaded?;
    let by_hand = stage.namespace("leaderboard-naive");
    let lost = Duel::play(
        stage,
        async |_, id| two_results(&board, id).await,
        async |round, _| Ok(two_results_by_hand(stage, &by_hand, round).await?),
    )
    .await?;
    let ties = Duel::play(
        stage,
        async |round, _| tie(&board, players + 2 * round).await,
        async |round, _| Ok(tie_by_hand(stage, &by_hand, round).await?),
    )
    .await?;
    let (around, look) = stage.timed(board.around(&1, 2)).await;
    let neighbours = around?.unwrap_or_default();

    let mut report = lost.report("rounds", "better_scores_lost");
    ties.tell(&mut report, "ties_won_by_the_later");
    report.count("players", board.count().await?);
    report.span("load_all", load);
    report.span("rank_and_neighbours", look);
    report.claim(
        lost.larder == 0,
        format_args!("the better score stays: {} were lost", lost.larder),
    );
    report.claim(
        ties.larder == 0,
        format_args!("who was first is ahead: {} ties went wrong", ties.larder),
    );
    let in_order = neighbours.windows(2).all(|pair| pair[0].rank + 1 == pair[1].rank);
    report.claim(
        in_order && neighbours.iter().any(|standing| standing.member == 1),
        "neighbours are in order",
    );
    report.lesson(
        "let the store compare, and keep when a score was reached; ZADD compares nothing and sorts ties by name",
    );
    board.clear().await?;
    Ok(report)
}

/// Two servers report results of one player at once; whether the better one is lost.
async fn two_results(board: &Leaderboard<u64>, id: u64) -> Outcome<bool> {
    let (one, other) = tokio::join!(board.set_if_better(&id, 30.0), board.set_if_better(&id, 20.0));
    one?;
    other?;
    Ok(board.score(&id).await? != Some(30.0))
}

/// The same by hand: both read, both find that they have something better, and one of them writes last.
async fn two_results_by_hand(stage: &Stage, key: &str, round: u64) -> Result<bool, RedisError> {
    let (mut one, mut other) = (stage.store.clone(), stage.store.clone());
    let player = format!("player-{round}");
    let seen_by_one: Option<f64> = one.zscore(key, &player).await?;
    let seen_by_other: Option<f64> = other.zscore(key, &player).await?;
    if seen_by_one.is_none_or(|seen| seen < 30.0) {
        one.zadd::<_, _, _, ()>(key, &player, 30).await?;
    }
    if seen_by_other.is_none_or(|seen| seen < 20.0) {
        other.zadd::<_, _, _, ()>(key, &player, 20).await?;
    }
    Ok(one.zscore::<_, _, Option<f64>>(key, &player).await? != Some(30.0))
}

/// Two players come to the same score, the one with the lower number first; whether the other is ahead.
async fn tie(board: &Leaderboard<u64>, first: u64) -> Outcome<bool> {
    let (first, second) = (first + 1, first + 2);
    board.set(&first, TIE).await?;
    board.set(&second, TIE).await?;
    Ok(board.rank(&first).await? > board.rank(&second).await?)
}

async fn tie_by_hand(stage: &Stage, key: &str, round: u64) -> Result<bool, RedisError> {
    let mut store = stage.store.clone();
    let (first, second) = (format!("tie-{round}-a"), format!("tie-{round}-b"));
    store.zadd::<_, _, _, ()>(key, &first, TIE).await?;
    store.zadd::<_, _, _, ()>(key, &second, TIE).await?;
    let ranks: (u64, u64) = (store.zrevrank(key, &first).await?, store.zrevrank(key, &second).await?);
    Ok(ranks.0 > ranks.1)
}
