//! Random stories of several browsers and users, step by step beside a model of plain maps: whatever comes, both know the same
//! sessions with the same fields.

use std::collections::BTreeMap;

use larder_base::Random;
use larder_kit::session::{Login, Session, SessionError, Sessions};
use larder_testkit::Case;

use super::lab::{checks, cookie};

/// What a session is in the model.
#[derive(Clone, Debug, Default, PartialEq)]
struct Known {
    user: Option<u64>,
    fields: BTreeMap<String, i64>,
}

/// All that stands, by cookie, and every cookie that ever was.
#[derive(Default)]
struct Model {
    standing: BTreeMap<String, Known>,
    ended: Vec<String>,
}

impl Model {
    fn end(&mut self, id: &str) -> Option<Known> {
        let known = self.standing.remove(id)?;
        self.ended.push(id.to_owned());
        Some(known)
    }

    fn end_where(&mut self, goes: impl Fn(&str, &Known) -> bool) -> usize {
        let going: Vec<String> = self
            .standing
            .iter()
            .filter(|(id, known)| goes(id, known))
            .map(|(id, _)| id.clone())
            .collect();
        going.iter().for_each(|id| drop(self.end(id)));
        going.len()
    }
}

const USERS: u64 = 3;
const FIELDS: [&str; 3] = ["a", "b", "c"];
const STEPS: usize = 150;

/// A story: handles that may be old by now, logins that may have ended, and the model.
struct Story {
    random: Random,
    sessions: Sessions,
    model: Model,
    handles: Vec<Session>,
    logins: Vec<(u64, bool, Login)>,
}

impl Story {
    fn pick(&self, n: usize) -> usize {
        self.random.below(n as u64) as usize
    }

    async fn step(&mut self) {
        let user = self.random.below(USERS);
        match self.random.below(10) {
            0 => {
                let session = self.sessions.create().await.expect("created");
                self.model.standing.insert(cookie(&session), Known::default());
                self.handles.push(session);
            }
            1 => {
                let session = self.sessions.create_for(&user).await.expect("created");
                let known = Known {
                    user: Some(user),
                    ..Known::default()
                };
                self.model.standing.insert(cookie(&session), known);
                self.handles.push(session);
            }
            2 => {
                let login = self.sessions.begin_login(&user).await.expect("begun");
                self.logins.push((user, true, login));
            }
            3 => {
                let ended = self.sessions.revoke_all(&user).await.expect("revoked");
                let expected = self.model.end_where(|_, known| known.user == Some(user));
                assert_eq!(ended, expected as u64);
                self.logins
                    .iter_mut()
                    .filter(|(of, ..)| *of == user)
                    .for_each(|(_, stands, _)| *stands = false);
            }
            _ if self.handles.is_empty() => {}
            4 => self.load_again().await,
            5 => self.rotate().await,
            6 if !self.logins.is_empty() => self.sign_in().await,
            7 => {
                let at = self.pick(self.handles.len());
                let session = self.handles.swap_remove(at);
                self.model.end(&cookie(&session));
                session.delete().await.expect("answered");
            }
            _ => self.change().await,
        }
    }

    /// The session of a handle is loaded once more: two requests of one browser.
    async fn load_again(&mut self) {
        let id = cookie(&self.handles[self.pick(self.handles.len())]);
        if let Some(session) = self.sessions.load(&id).await.expect("answered") {
            self.handles.push(session);
        }
    }

    async fn rotate(&mut self) {
        let at = self.pick(self.handles.len());
        let old = cookie(&self.handles[at]);
        match self.handles[at].rotate().await {
            Ok(()) => {
                let known = self.model.end(&old).expect("it stood");
                self.model.standing.insert(cookie(&self.handles[at]), known);
            }
            Err(error) => assert!(error.is_gone() && !self.model.standing.contains_key(&old), "{error}"),
        }
    }

    async fn sign_in(&mut self) {
        let (at, login) = (self.pick(self.handles.len()), self.pick(self.logins.len()));
        let (user, stands, login) = &self.logins[login];
        let session = &mut self.handles[at];
        let old = cookie(session);
        match session.sign_in(login).await {
            Ok(()) => {
                assert!(stands);
                let known = self.model.end(&old).expect("it stood");
                self.model.standing.insert(
                    cookie(session),
                    Known {
                        user: Some(*user),
                        ..known
                    },
                );
            }
            Err(SessionError::LoginEnded) => assert!(!stands),
            Err(SessionError::OtherUser) => assert!(!session.is_anonymous() && session.user() != Some(*user)),
            Err(error) => assert!(error.is_gone() && !self.model.standing.contains_key(&old), "{error}"),
        }
    }

    async fn change(&mut self) {
        let (at, field) = (self.pick(self.handles.len()), FIELDS[self.pick(FIELDS.len())]);
        let (kind, value) = (self.random.below(4), self.random.below(100) as i64);
        let id = cookie(&self.handles[at]);
        let session = &mut self.handles[at];
        let changed = match kind {
            0 => session.set(field, &value).await,
            1 => session.remove(field).await,
            2 => session.incr(field, value).await.map(drop),
            _ => session.update(field, |old: Option<i64>| old.unwrap_or(0) - value).await,
        };
        let Some(known) = self.model.standing.get_mut(&id) else {
            assert!(changed.expect_err("it ended").is_gone());
            return;
        };
        changed.expect("it stands");
        let old = known.fields.get(field).copied();
        let new = match kind {
            0 => Some(value),
            1 => None,
            2 => Some(old.unwrap_or(0) + value),
            _ => Some(old.unwrap_or(0) - value),
        };
        match new {
            Some(new) => _ = known.fields.insert(field.to_owned(), new),
            None => _ = known.fields.remove(field),
        }
    }

    /// What stands is as in the model, what ended is not there, and the lists know the same.
    async fn compare(&self) {
        for (id, known) in &self.model.standing {
            let session = self.sessions.load(id).await.expect("answered").expect("it stands");
            let read = |name: &str| session.get::<i64>(name).expect("a number").expect("there");
            let fields = session.fields().map(|name| (name.to_owned(), read(name))).collect();
            assert_eq!(
                Known {
                    user: session.user(),
                    fields
                },
                *known
            );
        }
        for id in &self.model.ended {
            assert!(self.sessions.load(id).await.expect("answered").is_none(), "it ended");
        }
        for user in 0..USERS {
            let listed = self.sessions.list(&user).await.expect("listed").len();
            let standing = self
                .model
                .standing
                .values()
                .filter(|known| known.user == Some(user))
                .count();
            assert_eq!(listed, standing, "user {user}");
        }
    }
}

/// How many stories are told on the embedded engine.
fn stories() -> u64 {
    let asked = std::env::var("LARDER_STORIES").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(40)
}

checks! {
    async fn random_stories_are_as_a_model_has_them(lab) {
        // Embedded worlds cost nothing; a server shows that it is no matter of the engine.
        let stories = if lab.t.port().is_none() { stories() } else { 4 };
        for case in Case::each(stories, 1) {
            let mut story = Story {
                random: case.random(),
                sessions: lab.sessions().await,
                model: Model::default(),
                handles: Vec::new(),
                logins: Vec::new(),
            };
            for _ in 0..STEPS {
                story.step().await;
            }
            story.compare().await;
            for user in 0..USERS {
                story.sessions.revoke_all(&user).await.expect("revoked");
            }
            story.model.end_where(|_, known| known.user.is_some());
            story.compare().await;
        }
    }
}
