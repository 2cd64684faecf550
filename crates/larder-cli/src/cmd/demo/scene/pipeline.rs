//! Pipeline: many commands, of which one fails. What becomes of the others, and how many round trips they take.

use larder::{
    redis::{self, AsyncCommands as _, Cmd},
    transaction::Pipelined,
};

use super::{Playing, Scene};
use crate::{
    cmd::demo::{report::Report, stage::Stage},
    failure::Outcome,
};

pub(super) const SCENE: Scene = Scene {
    name: "pipeline",
    shows: "1,000 commands, of which one fails",
    run: |stage| -> Playing<'_> { Box::pin(play(stage)) },
};

const COMMANDS: usize = 1_000;
const CHUNK: usize = 250;
const FAILS: usize = 7;
const TTL_S: u64 = 60;

async fn play(stage: &Stage) -> Outcome<Report> {
    let name = stage.namespace("pipeline");
    let mut store = stage.store.clone();
    let set = |n: usize| -> Cmd {
        let mut cmd = redis::cmd("SET");
        cmd.arg(format!("{name}:{n}")).arg(n).arg("EX").arg(TTL_S).to_owned()
    };
    // The key of one is a list, and counting on it fails.
    let step = |n: usize| redis::cmd("INCR").arg(format!("{name}:{n}")).to_owned();
    let prepared = Pipelined::on(&store).run::<()>((0..COMMANDS).map(set)).await;
    prepared.into_iter().collect::<Result<(), _>>()?;
    let _: () = store.set_ex(format!("{name}:{FAILS}"), "no number", TTL_S).await?;

    let pipelined = Pipelined::on(&store).chunk(CHUNK);
    let (outcomes, took) = stage.timed(pipelined.run::<i64>((0..COMMANDS).map(step))).await;
    let counted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let in_place = outcomes.iter().enumerate().all(|(n, outcome)| match outcome {
        Ok(count) => *count == n as i64 + 1 && n != FAILS,
        Err(error) => n == FAILS && !error.is_connection(),
    });

    let mut naive = redis::pipe();
    (0..COMMANDS).for_each(|n| _ = naive.add_command(step(n)));
    let known_naive = match naive.query_async::<Vec<i64>>(&mut store).await {
        Ok(counts) => counts.len(),
        // It does not say which one failed, nor what the others came to.
        Err(_) => 0,
    };
    let (failed, took_one_by_one) = stage
        .timed(async {
            let mut failed = 0;
            for n in 0..COMMANDS {
                failed += usize::from(step(n).query_async::<i64>(&mut store).await.is_err());
            }
            failed
        })
        .await;

    let mut report = Report::default();
    report.count("commands", COMMANDS as u64);
    report.count("round_trips", COMMANDS.div_ceil(CHUNK) as u64);
    report.count("outcomes_known", outcomes.len() as u64);
    report.count("succeeded", counted as u64);
    report.count("outcomes_known_naive", known_naive as u64);
    report.span("took", took);
    report.span("took_one_by_one", took_one_by_one);
    report.claim(
        in_place && outcomes.len() == COMMANDS,
        "every command has its own outcome in its place",
    );
    report.claim(failed == 1, format_args!("one command fails, and it is one: {failed}"));
    report.lesson("send many commands in few round trips, a bounded number in each, and let each have its own outcome");
    Ok(report)
}
