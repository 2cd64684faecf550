//! 17: the server is slow: it sleeps, it is paused, or its answers are long on their way. By hand, an answer that does not come
//! is a miss, and every caller goes to the source at once. Larder gives the server its deadline, and the source its cap.

use std::{
    io::Write as _,
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use larder_base::Clock;
use larder_cache::{Cache, OnStoreDown};
use larder_store::Store;
use larder_testkit::{Kind, RedisServer, Topology, Wire, eventually};
use redis::AsyncCommands as _;
use tokio::task::JoinSet;

use super::{
    far::Far,
    row::{Baseline, Turn, Verdict, row},
};

/// Callers of one key, and as many others of a key each.
const CALLERS: u64 = 64;

/// Loads at a time that the source is promised.
const CAP: usize = 8;

/// Loads of the one key: its callers share a flight, those who come later the next one.
const HOT_MOST: usize = 4;

/// How long the server is slow: whoever waits for it stands out.
const SLOW: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug)]
enum Slow {
    /// `DEBUG SLEEP`: the server does nothing.
    Sleeps,
    /// `CLIENT PAUSE`: it takes no command.
    Paused,
    /// It is quick, and far away.
    Far,
}

impl Slow {
    fn all(kind: Kind) -> &'static [Self] {
        if kind == Kind::Redis {
            &[Self::Sleeps, Self::Paused, Self::Far]
        } else {
            &[Self::Far]
        }
    }

    /// Makes the server slow, and waits until it is. It sleeps for as long as whoever told it so is connected.
    async fn begin(self, server: &Server, far: &Far) -> Option<TcpStream> {
        let seconds = SLOW.as_secs();
        let mut asleep = None;
        match self {
            Self::Far => far.proxy.delay_replies(SLOW),
            Self::Paused => {
                let paused = Wire::tcp(server.port()).call(&["CLIENT", "PAUSE", &format!("{seconds}000")]);
                paused.expect("the server is up");
            }
            Self::Sleeps => {
                // Nobody waits for the answer, which comes when it wakes.
                let mut wire = TcpStream::connect(("127.0.0.1", server.port())).expect("the server is up");
                write!(wire, "DEBUG SLEEP {seconds}\r\n").expect("the server is up");
                asleep = Some(wire);
            }
        }
        eventually(SLOW / 2, async || far.store.ping().await.is_err()).await;
        asleep
    }
}

/// A server that may be told to sleep, where it knows how to.
enum Server {
    Redis(RedisServer),
    Other(Topology),
}

impl Server {
    async fn start(turn: &Turn) -> Self {
        match turn.kind {
            Kind::Redis => Self::Redis(RedisServer::start_with(&["--enable-debug-command", "yes"]).await),
            _ => Self::Other(turn.topology().await),
        }
    }

    fn port(&self) -> u16 {
        match self {
            Self::Redis(server) => server.port(),
            Self::Other(topology) => topology.port().expect("it is a server"),
        }
    }
}

/// A source that knows how many asked it at once.
#[derive(Default)]
struct Source {
    now: AtomicUsize,
    most: AtomicUsize,
    hot: AtomicUsize,
}

impl Source {
    async fn load(&self, key: u64) -> u64 {
        self.most
            .fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        self.hot.fetch_add(usize::from(key == 0), Ordering::SeqCst);
        Clock::system().sleep(Duration::from_millis(20)).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        key
    }
}

#[derive(Clone)]
enum Reader {
    ByHand(Store),
    Larder(Cache<u64, u64>),
}

impl Reader {
    async fn new(baseline: Baseline, store: &Store) -> Self {
        if baseline == Baseline::Naive {
            return Self::ByHand(store.clone());
        }
        let bypass = OnStoreDown::Bypass { max_concurrency: CAP };
        let cache = Cache::builder("slow")
            .store(store)
            .ttl(Duration::from_secs(60))
            .max_loads(CAP)
            .on_store_down(bypass);
        Self::Larder(cache.build().await.expect("the settings agree"))
    }

    async fn read(&self, key: u64, source: &Source) -> Option<u64> {
        match self {
            Self::Larder(cache) => {
                let load = || async { Ok::<_, std::convert::Infallible>(source.load(key).await) };
                cache.get_or_load(&key, load).await.ok().map(|value| *value)
            }
            Self::ByHand(store) => {
                // An error of the cache is a miss: what else could be done?
                if let Ok(Some(value)) = store.clone().get(key).await {
                    return Some(value);
                }
                let value = source.load(key).await;
                let _ = store.clone().set::<_, _, ()>(key, value).await;
                Some(value)
            }
        }
    }
}

async fn slow_server(turn: Turn) -> Verdict {
    let mut verdict = Verdict::default();
    for slow in Slow::all(turn.kind) {
        let server = Server::start(&turn).await;
        let far = Far::from(server.port()).await;
        let reader = Reader::new(turn.baseline, &far.store).await;
        let source = Arc::new(Source::default());
        let _asleep = slow.begin(&server, &far).await;
        let began = Clock::system().monotonic();
        let mut callers = JoinSet::new();
        for n in 0..2 * CALLERS {
            let (reader, source) = (reader.clone(), source.clone());
            let key = n.saturating_sub(CALLERS - 1);
            callers.spawn(async move { reader.read(key, &source).await == Some(key) });
        }
        let all = tokio::time::timeout(SLOW, callers.join_all()).await;
        let took = Clock::system().monotonic() - began;
        let answered = all.is_ok_and(|all| all.into_iter().all(|right| right));
        let (most, hot) = (source.most.load(Ordering::SeqCst), source.hot.load(Ordering::SeqCst));
        verdict.expect(
            answered && took < SLOW,
            format!("{slow:?}: not all were answered before the server was quick again"),
        );
        verdict.expect(most <= CAP, format!("{slow:?}: {most} loads at a time"));
        verdict.expect(hot <= HOT_MOST, format!("{slow:?}: {hot} loads of one key"));
    }
    verdict
}

#[test]
fn fault_17() {
    row(17, &[Baseline::Naive], &[Kind::Serve, Kind::Redis], slow_server);
}
