//! A store behind a network of its own.

use std::time::Duration;

use larder_store::{RetryPolicy, Store, StoreConfig};
use larder_testkit::Proxy;

/// A client of a server, and the proxy between them.
pub(crate) struct Far {
    pub(crate) proxy: Proxy,
    pub(crate) store: Store,
}

impl Far {
    /// Far from the server on this port. The client gives up soon, so that scenarios with a silent server are short; not so
    /// soon that a busy machine is taken for one.
    pub(crate) async fn from(port: u16) -> Self {
        let retry = RetryPolicy {
            max_attempts: 1,
            max_delay: Duration::from_millis(200),
            ..RetryPolicy::default()
        };
        Self::with(port, |config| {
            config
                .connect_timeout(Duration::from_secs(1))
                .read_timeout(Duration::from_millis(750))
                .write_timeout(Duration::from_millis(250))
                .retry(retry)
        })
        .await
    }

    /// The same with a client as patient as any: for scenarios in which a server that is gone says so.
    pub(crate) async fn patient(port: u16) -> Self {
        Self::with(port, |config| config).await
    }

    async fn with(port: u16, settings: impl FnOnce(StoreConfig) -> StoreConfig) -> Self {
        let proxy = Proxy::start(port).await.expect("loopback has a free port");
        let config = settings(StoreConfig::tcp("127.0.0.1", proxy.port()));
        let store = Store::connect(config).await.expect("the proxy lets it through");
        Self { proxy, store }
    }

    /// As if the server were not there: connections are cut, new ones refused.
    pub(crate) fn cut_off(&self) {
        self.proxy.refuse(true);
        self.proxy.cut();
    }
}
