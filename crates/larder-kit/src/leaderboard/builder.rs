//! The settings of a leaderboard.

use std::{marker::PhantomData, sync::Arc};

use larder_base::CacheKey;
use larder_store::Store;

use super::{Leaderboard, LeaderboardError, SERIES, board::Inner};
use crate::{Retention, ToolKey, Window, figures::Tally, names::Namespace, window::Windows};

/// Which scores are ahead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// High scores, as of points.
    #[default]
    HighestFirst,
    /// Low scores, as of the time for a lap.
    LowestFirst,
}

/// Builds a [`Leaderboard`].
#[derive(Debug)]
#[must_use]
pub struct LeaderboardBuilder<M> {
    namespace: String,
    group: String,
    name: String,
    store: Option<Store>,
    order: Order,
    window: Option<Window>,
    retention: Option<Retention>,
    members: PhantomData<fn() -> M>,
}

impl<M: CacheKey> LeaderboardBuilder<M> {
    pub(super) fn new(namespace: String) -> Self {
        Self {
            namespace,
            group: "all".into(),
            name: "main".into(),
            store: None,
            order: Order::default(),
            window: None,
            retention: None,
            members: PhantomData,
        }
    }

    /// Where the board is kept. Required.
    pub fn store(mut self, store: &Store) -> Self {
        self.store = Some(store.clone());
        self
    }

    /// What the board is of, such as a level of a game: boards of one group are in one slot of a cluster and can be merged,
    /// boards of several groups spread. `all` unless said.
    pub fn group<K: ToolKey + ?Sized>(mut self, group: &K) -> Self {
        self.group = group.written().as_str().into();
        self
    }

    /// Which board of the group it is, such as a country: `[a-z0-9_.-]+`. `main` unless said.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Which scores are ahead: [`Order::HighestFirst`] unless said. All handles on a board have to say the same.
    pub const fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// A board for each window of time, by the server's clock. Without it there is one board.
    pub const fn window(mut self, window: Window) -> Self {
        self.window = Some(window);
        self
    }

    /// How long the board is kept. Required.
    pub const fn retention(mut self, retention: Retention) -> Self {
        self.retention = Some(retention);
        self
    }

    /// The board. Nothing is sent.
    ///
    /// # Errors
    /// [`LeaderboardError::Config`] for a setting that is missing or cannot be meant.
    pub fn build(self) -> Result<Leaderboard<M>, LeaderboardError> {
        let missing = |what| LeaderboardError::config(format!("the leaderboard {:?} has no {what}", self.namespace));
        let namespace = Namespace::new(&self.namespace)?;
        Namespace::new(&self.name)?;
        let store = self
            .store
            .clone()
            .ok_or_else(|| missing("store; say `.store(&store)`"))?;
        let retention = self.retention.ok_or_else(|| {
            missing("retention; say `.retention(Retention::For(..))`, or `Forever` for a permanent one")
        })?;
        if let Some(window) = self.window {
            window.check().map_err(LeaderboardError::config)?;
        }
        Ok(Leaderboard::of(Arc::new(Inner {
            stem: namespace.stem("board", &self.group),
            name: self.name,
            store,
            high: self.order == Order::HighestFirst,
            windows: Windows::new(self.window),
            keep: retention.millis().map_err(LeaderboardError::config)?,
            tally: Tally::of("board", namespace.text(), SERIES),
        })))
    }
}
