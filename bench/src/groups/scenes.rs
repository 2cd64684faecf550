//! What a reader gets after a row has changed and its invalidation was acknowledged, when the messages about it are late or
//! lost, or a clock is wrong. The correct answer is always the new row.
//!
//! A *writer* changes the row and invalidates; a *reader* caches it; a *newcomer* joins when all is over, and reads what is
//! left in Redis. Only what tells the reader of invalidations is disturbed: for most that is a subscription of its own, for
//! Larder its only connection, which carries everything else too.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use futures_util::future::{BoxFuture, try_join_all};
use larder_base::Clock;
use larder_testkit::Proxy;
use tokio::sync::Notify;

use super::Group;
use crate::{
    Lab,
    lab::user::User,
    node::{Load, Node, Peer, Place},
    peers::{BOUND, PEERS},
    report::{Section, Table},
};

pub(crate) const GROUP: Group = Group {
    name: "scenes",
    about: "what is read after an acknowledged invalidation: reader / newcomer",
    run: |lab| lab.runtime.block_on(run(lab)),
};

/// What happens.
struct Scene {
    name: &'static str,
    play: fn(Stage) -> BoxFuture<'static, anyhow::Result<String>>,
}

const SCENES: &[Scene] = &[
    Scene {
        name: "stale fill, message on time",
        play: |stage| Box::pin(stale_fill(stage, Message::OnTime)),
    },
    Scene {
        name: "stale fill, message 30 ms late",
        play: |stage| Box::pin(stale_fill(stage, Message::Late)),
    },
    Scene {
        name: "stale fill, message lost",
        play: |stage| Box::pin(stale_fill(stage, Message::Lost)),
    },
    Scene {
        name: "cut off since before the invalidation",
        play: |stage| Box::pin(missed(stage, Afterwards::StillCutOff)),
    },
    Scene {
        name: "missed message, connected again",
        play: |stage| Box::pin(missed(stage, Afterwards::ConnectedAgain)),
    },
    Scene {
        name: "the writer's clock a second behind",
        play: |stage| Box::pin(behind(stage)),
    },
];

const LATE: Duration = Duration::from_millis(30);

/// By when a message that is not disturbed has arrived.
const ARRIVED: Duration = Duration::from_millis(200);

/// After what everything that comes at all has come: reconnects back off, the slowest here for five seconds.
const SETTLED: Duration = Duration::from_secs(7);

const ID: u64 = 1;

async fn run(lab: &Lab) -> anyhow::Result<Section> {
    let mut rows = Vec::new();
    for (i, scene) in SCENES.iter().enumerate() {
        // All peers at once: a scene is mostly waiting.
        let played = PEERS.iter().enumerate().map(|(j, peer)| async move {
            let stage = Stage::new(lab, peer, &format!("bench-scene-{i}-{j}")).await?;
            (scene.play)(stage)
                .await
                .with_context(|| format!("{} in {}", peer.name, scene.name))
        });
        let mut row = vec![scene.name.to_owned()];
        row.extend(try_join_all(played).await?);
        rows.push(row);
    }
    let mut columns = vec!["reader / newcomer"];
    columns.extend(PEERS.iter().map(|peer| peer.name));
    let setups = PEERS.iter().map(|peer| format!("- {}: {}", peer.name, peer.setup));
    Ok(Section::Table(Table {
        title: setups.collect::<Vec<_>>().join("\n"),
        columns,
        rows,
    }))
}

/// A table of one row, which every load reads.
#[derive(Clone, Default)]
struct Source(Arc<AtomicU64>);

impl Source {
    fn change(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn row(&self) -> User {
        let mut user = User::number(ID);
        user.team = self.0.load(Ordering::SeqCst) as u32;
        user
    }

    fn load(&self) -> Load {
        let source = self.clone();
        Arc::new(move || {
            let source = source.clone();
            Box::pin(async move { source.row() })
        })
    }

    fn judge(&self, read: &User) -> &'static str {
        if read.team == self.row().team { "new" } else { "OLD" }
    }
}

/// Who plays, and what is between them.
struct Stage {
    peer: &'static Peer,
    place: Place,
    source: Source,
    network: Proxy,
    reader: Arc<dyn Node>,
    writer: Arc<dyn Node>,
}

impl Stage {
    async fn new(lab: &Lab, peer: &'static Peer, namespace: &str) -> anyhow::Result<Self> {
        let network = Proxy::start(lab.redis.port()).await?;
        let place = Place::new(&lab.redis.url(), namespace, 1_000);
        let mut disturbed = place.clone();
        disturbed.messages = network.url();
        Ok(Self {
            reader: peer.listening(disturbed).await?,
            writer: peer.listening(place.clone()).await?,
            peer,
            place,
            source: Source::default(),
            network,
        })
    }

    async fn change_and_invalidate(&self) -> anyhow::Result<()> {
        self.source.change();
        self.writer.invalidate(ID).await
    }

    async fn read(&self, node: &dyn Node) -> anyhow::Result<&'static str> {
        let read = node.read(ID, self.source.load()).await?;
        Ok(self.source.judge(&read))
    }

    /// The reader's near tier holds the row, and serves it.
    async fn cached_by_the_reader(&self) -> anyhow::Result<()> {
        for _ in 0..3 {
            self.read(&*self.reader).await?;
            sleep(ARRIVED).await;
        }
        Ok(())
    }

    /// What the reader reads now, and then one who has just joined.
    async fn verdict(&self) -> anyhow::Result<String> {
        let reader = self.read(&*self.reader).await?;
        let newcomer = (self.peer.join)(self.place.clone()).await?;
        Ok(format!("{reader} / {}", self.read(&*newcomer).await?))
    }

    fn cut(&self) {
        self.network.refuse(true);
        self.network.cut();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Message {
    OnTime,
    Late,
    Lost,
}

/// The reader's load begins and reads the old row; the row changes and is invalidated; then the load ends and fills.
async fn stale_fill(stage: Stage, message: Message) -> anyhow::Result<String> {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow: Load = {
        let (source, begun, go) = (stage.source.clone(), Arc::clone(&begun), Arc::clone(&go));
        Arc::new(move || {
            let (old, begun, go) = (source.row(), Arc::clone(&begun), Arc::clone(&go));
            Box::pin(async move {
                begun.notify_one();
                go.notified().await;
                old
            })
        })
    };
    let reader = Arc::clone(&stage.reader);
    let reading = tokio::spawn(async move { reader.read(ID, slow).await });
    begun.notified().await;
    match message {
        Message::OnTime => {}
        Message::Late => stage.network.delay_replies(LATE),
        Message::Lost => stage.cut(),
    }
    stage.change_and_invalidate().await?;
    if message == Message::OnTime {
        sleep(ARRIVED).await;
    }
    if message == Message::Lost {
        sleep(ARRIVED).await;
        stage.network.normal();
        sleep(SETTLED).await;
    }
    go.notify_one();
    // Whatever it returns was read before the invalidation was acknowledged, or it fails: both are its right.
    _ = reading.await?;
    // Beyond every bound: what is old now stays old.
    sleep(2 * BOUND).await;
    stage.verdict().await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Afterwards {
    StillCutOff,
    ConnectedAgain,
}

/// The reader holds a copy and cannot be told that it is invalidated.
async fn missed(stage: Stage, afterwards: Afterwards) -> anyhow::Result<String> {
    stage.cached_by_the_reader().await?;
    stage.cut();
    sleep(ARRIVED).await;
    stage.change_and_invalidate().await?;
    sleep(2 * BOUND).await;
    if afterwards == Afterwards::ConnectedAgain {
        stage.network.normal();
        sleep(SETTLED).await;
    }
    stage.verdict().await
}

/// The writer's clock on the wall is a second behind, and the row changes as soon as it is cached.
async fn behind(mut stage: Stage) -> anyhow::Result<String> {
    let mut late = stage.place.clone();
    late.clock_behind = Duration::from_secs(1);
    stage.writer = stage.peer.listening(late).await?;
    stage.read(&*stage.reader).await?;
    stage.change_and_invalidate().await?;
    sleep(ARRIVED).await;
    stage.verdict().await
}

async fn sleep(span: Duration) {
    Clock::system().sleep(span).await;
}
