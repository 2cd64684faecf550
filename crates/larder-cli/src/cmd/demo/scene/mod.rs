//! The scenes, in the order in which they are played: one file each, and one line here.

mod around;
mod batch;
mod behind;
mod cold;
mod counters;
mod duel;
mod leaderboard;
mod limit;
mod lock;
mod outage;
mod pipeline;
mod plain;
mod queue;
mod race;
mod sessions;
mod stampede;
mod tags;
mod through;
mod timeline;
mod transaction;
mod ttl;
mod warm;

use std::pin::Pin;

use super::{report::Report, stage::Stage};
use crate::failure::{Failure, Outcome};

/// What a scene's `run` returns.
pub(super) type Playing<'a> = Pin<Box<dyn Future<Output = Outcome<Report>> + 'a>>;

/// One scene of the tour.
pub(super) struct Scene {
    /// What `--scene` calls it.
    pub(super) name: &'static str,
    /// What it shows, in one line.
    pub(super) shows: &'static str,
    /// Plays it. An error is a scene that could not be played; a broken promise is in the report.
    pub(super) run: for<'a> fn(&'a Stage) -> Playing<'a>,
}

/// All scenes.
pub(super) const SCENES: &[Scene] = &[
    cold::SCENE,
    warm::SCENE,
    batch::SCENE,
    stampede::SCENE,
    race::SCENE,
    through::SCENE,
    around::SCENE,
    behind::SCENE,
    outage::SCENE,
    tags::SCENE,
    counters::SCENE,
    lock::SCENE,
    limit::SCENE,
    transaction::SCENE,
    pipeline::SCENE,
    sessions::SCENE,
    leaderboard::SCENE,
    queue::SCENE,
    timeline::SCENE,
    ttl::SCENE,
    plain::SCENE,
];

/// The scenes with these names, in the order of [`SCENES`]; all of them if there are no names.
pub(super) fn chosen(names: &[String]) -> Outcome<Vec<&'static Scene>> {
    let known = |name: &String| SCENES.iter().any(|scene| scene.name == name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let all: Vec<&str> = SCENES.iter().map(|scene| scene.name).collect();
        return Err(Failure::usage(format_args!("there is no scene `{unknown}`"))
            .hint(format_args!("choose from {}", all.join(", "))));
    }
    let wanted = |scene: &&Scene| names.is_empty() || names.iter().any(|name| name == scene.name);
    Ok(SCENES.iter().filter(wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenes_are_chosen_by_name_and_played_in_their_order() {
        let names = ["warm".to_owned(), "cold".to_owned()];
        let chosen: Vec<&str> = chosen(&names)
            .expect("both exist")
            .iter()
            .map(|scene| scene.name)
            .collect();
        assert_eq!(chosen, ["cold", "warm"]);
    }

    #[test]
    fn an_unknown_scene_is_wrong_usage() {
        let failure = chosen(&["colder".to_owned()]).err().expect("no such scene");
        assert_eq!(failure.code, 2);
        assert!(failure.hint_text().is_some_and(|hint| hint.contains("cold, warm")));
    }
}
