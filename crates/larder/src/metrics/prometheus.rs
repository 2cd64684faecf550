//! The recorder behind the endpoint: one per process, for the façade knows one.

use std::{io, net::SocketAddr, time::Duration};

use larder_base::{Clock, Tasks};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use parking_lot::Mutex;
use tokio::{net::TcpListener, task::JoinHandle};

use super::{Endpoint, describe, publish};

/// Why metrics cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// The address is not free, not this machine's, or not an address.
    #[error("cannot serve metrics on {address}")]
    Listen {
        /// What was asked for.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// Other machines could read the metrics.
    #[error(
        "other machines can reach {address}, and whoever reaches it can read the metrics; bind a loopback address, or say \
         `serve_unprotected`"
    )]
    Exposed {
        /// What was asked for.
        address: String,
    },
    /// The program has installed a recorder of its own.
    #[error("this process has another metrics recorder; have that one collected, with `larder::metrics::describe`")]
    Taken,
}

impl MetricsError {
    /// Whether somebody else listens at the address.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse)
    }
}

/// Buckets of latencies, in seconds: from a command on the embedded engine to a source that is about to time out.
const LATENCIES: &[f64] = &[
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
    0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Buckets of ages, in seconds: from a heartbeat to an hour of grace.
const AGES: &[f64] = &[
    0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0,
];

/// How often samples of histograms are put into their buckets: until then each takes eight bytes, scraped or not.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The process's recorder, once it is installed.
struct Installed {
    handle: PrometheusHandle,
    upkeep: JoinHandle<Option<()>>,
    tasks: Tasks,
}

static INSTALLED: Mutex<Option<Installed>> = Mutex::new(None);

/// Serves this process's metrics to Prometheus at `http://address/metrics`, until the [`Endpoint`] is dropped. Port 0
/// takes a free one.
///
/// The first call installs the recorder, which then counts for the life of the process; caches and stores that exist
/// already are seen with everything they counted, histograms from now on.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let endpoint = larder::metrics::serve("127.0.0.1:0").await?;
/// println!("http://{}/metrics", endpoint.local_addr());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`MetricsError::Listen`] if the address is taken or no address of this machine; [`MetricsError::Exposed`] if other
/// machines can reach it (see [`serve_unprotected`]); [`MetricsError::Taken`] if another recorder is installed.
///
/// # Panics
/// Outside a Tokio runtime.
///
/// # Cancel safety
/// Dropping the future serves nothing; the recorder may be installed.
pub async fn serve(address: &str) -> Result<Endpoint, MetricsError> {
    let listener = listen(address).await?;
    let is_exposed = |addr: SocketAddr| !addr.ip().is_loopback();
    if listener.local_addr().map_or(true, is_exposed) {
        return Err(MetricsError::Exposed {
            address: address.to_owned(),
        });
    }
    start(address, listener)
}

/// As [`serve`], also where other machines can reach it: for a scraper elsewhere, in a network that only those can reach
/// who may read how this service is used. The metrics hold names of namespaces and commands, no keys and no values.
///
/// # Errors
/// As [`serve`].
///
/// # Panics
/// Outside a Tokio runtime.
///
/// # Cancel safety
/// As [`serve`].
pub async fn serve_unprotected(address: &str) -> Result<Endpoint, MetricsError> {
    let listener = listen(address).await?;
    start(address, listener)
}

/// The metrics of this process now, as Prometheus reads them: for a service that has an HTTP server of its own.
///
/// The first call installs the recorder.
///
/// # Errors
/// [`MetricsError::Taken`] if another recorder is installed.
///
/// # Panics
/// Outside a Tokio runtime.
pub fn render() -> Result<String, MetricsError> {
    let handle = recorder()?;
    publish();
    Ok(handle.render())
}

async fn listen(address: &str) -> Result<TcpListener, MetricsError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| cannot(address, source))
}

fn cannot(address: &str, source: io::Error) -> MetricsError {
    MetricsError::Listen {
        address: address.to_owned(),
        source,
    }
}

fn start(address: &str, listener: TcpListener) -> Result<Endpoint, MetricsError> {
    recorder()?;
    Endpoint::start(listener).map_err(|source| cannot(address, source))
}

/// The process's recorder, installed if need be, its upkeep running.
fn recorder() -> Result<PrometheusHandle, MetricsError> {
    let mut installed = INSTALLED.lock();
    if installed.is_none() {
        let handle = install()?;
        let tasks = Tasks::new();
        let upkeep = keep_up(&tasks, handle.clone());
        *installed = Some(Installed { handle, upkeep, tasks });
    }
    let installed = installed.as_mut().expect("installed above");
    if installed.upkeep.is_finished() {
        // The runtime that it ran on is gone.
        installed.upkeep = keep_up(&installed.tasks, installed.handle.clone());
    }
    Ok(installed.handle.clone())
}

fn install() -> Result<PrometheusHandle, MetricsError> {
    let buckets = |builder: PrometheusBuilder, suffix: &str, buckets| {
        let matcher = Matcher::Suffix(suffix.to_owned());
        builder.set_buckets_for_metric(matcher, buckets)
    };
    let builder = buckets(PrometheusBuilder::new(), "_duration_seconds", LATENCIES);
    let builder = builder.and_then(|builder| buckets(builder, "_age_seconds", AGES));
    let recorder = builder.expect("the lists of buckets are not empty").build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|_| MetricsError::Taken)?;
    describe();
    Ok(handle)
}

fn keep_up(tasks: &Tasks, handle: PrometheusHandle) -> JoinHandle<Option<()>> {
    tasks.spawn("metrics upkeep", async move {
        let clock = Clock::system();
        loop {
            clock.sleep(UPKEEP_EVERY).await;
            handle.run_upkeep();
        }
    })
}
