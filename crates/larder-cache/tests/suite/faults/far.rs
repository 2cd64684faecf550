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
        let proxy = Proxy::start(port).await.expect("loopback has a free port");
        let retry = RetryPolicy {
            max_attempts: 1,
            max_delay: Duration::from_millis(200),
            ..RetryPolicy::default()
        };
        let config = StoreConfig::tcp("127.0.0.1", proxy.port())
            .connect_timeout(Duration::from_secs(1))
            .read_timeout(Duration::from_millis(750))
            .write_timeout(Duration::from_millis(250))
            .retry(retry);
        let store = Store::connect(config).await.expect("the proxy lets it through");
        Self { proxy, store }
    }

    /// As if the server were not there: connections are cut, new ones refused.
    pub(crate) fn cut_off(&self) {
        self.proxy.refuse(true);
        self.proxy.cut();
    }
}
