//! Calls to identity providers: one HTTPS request, its answer bounded in size and time.
//!
//! ELB page: "Authenticate users using an Application Load Balancer". An
//! endpoint has five seconds. Its certificate must be of an authority that the
//! system trusts (`SSL_CERT_FILE` names others). Redirects are not followed.
//!
//! Clients who have not logged in can cause calls. So a host is called at most
//! [`MOST_CALLS`] times at once; one call more fails at once, as if the host
//! could not be reached. ELB's bound is not published.

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioTimer,
};
use parking_lot::Mutex;

use crate::{error_chain::chain, tasks::Tasks};

/// How long an endpoint may take, before time scaling.
pub const CALL_LIMIT: Duration = Duration::from_secs(5);
/// Calls of one host at a time.
pub const MOST_CALLS: usize = 64;
/// How long an idle connection to an endpoint is kept. Not scaled.
const IDLE: Duration = Duration::from_secs(30);

/// An endpoint's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchError {
    /// The endpoint cannot be reached, did not answer in time, or is being called too often already.
    Unreachable,
    /// Its answer is larger than allowed.
    TooLarge,
}

/// What carries requests to identity providers.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// Sends `request` and reads an answer of at most `limit` bytes.
    async fn fetch(&self, request: Request<Bytes>, limit: usize) -> Result<Answer, FetchError>;
}

/// The real thing: HTTP/1.1 over TLS.
#[derive(Debug)]
pub struct HttpsFetch {
    /// None before [`HttpsFetch::prepare`].
    client: ArcSwapOption<HttpsClient>,
    tasks: Tasks,
    calls: Calls,
    time_limit: Duration,
}

type HttpsClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

impl HttpsFetch {
    /// Gives endpoints `time_limit` to answer; connections to them are `tasks`.
    #[must_use]
    pub fn new(time_limit: Duration, tasks: Tasks) -> Self {
        Self { client: ArcSwapOption::empty(), tasks, calls: Calls::default(), time_limit }
    }

    /// Reads the system's authorities: takes a while, and is done when the configuration is loaded.
    ///
    /// If there are none, those that were read before stay in force.
    pub fn prepare(&self) {
        self.prepare_with(|| {
            let provider = rustls::crypto::aws_lc_rs::default_provider();
            let builder = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider)?;
            Ok(builder.https_only().enable_http1().build())
        });
    }

    fn prepare_with(&self, connector: impl FnOnce() -> io::Result<HttpsConnector<HttpConnector>>) {
        match connector() {
            Ok(connector) => {
                let client = Client::builder(self.tasks.clone())
                    .pool_timer(TokioTimer::new())
                    .pool_idle_timeout(IDLE)
                    .build(connector);
                self.client.store(Some(Arc::new(client)));
            }
            Err(error) => {
                tracing::error!(%error, "no certificate authority to trust identity providers by");
            }
        }
    }

    async fn call(&self, request: Request<Bytes>, limit: usize) -> Result<Answer, FetchError> {
        let client = self.client.load_full().ok_or(FetchError::Unreachable)?;
        let host = request.uri().host().unwrap_or_default().to_owned();
        let answer = client.request(request.map(Full::new)).await.map_err(|error| {
            tracing::warn!(error = chain(&error), host, "an identity provider cannot be reached");
            FetchError::Unreachable
        })?;
        let status = answer.status();
        match Limited::new(answer.into_body(), limit).collect().await {
            Ok(body) => Ok(Answer { status, body: body.to_bytes() }),
            Err(error) if error.is::<LengthLimitError>() => Err(FetchError::TooLarge),
            Err(_) => Err(FetchError::Unreachable),
        }
    }
}

#[async_trait]
impl Fetch for HttpsFetch {
    async fn fetch(&self, request: Request<Bytes>, limit: usize) -> Result<Answer, FetchError> {
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let Some(_call) = self.calls.begin(host) else {
            tracing::debug!(uri = %request.uri(), "too many calls of an identity provider at once");
            return Err(FetchError::Unreachable);
        };
        let called = tokio::time::timeout(self.time_limit, self.call(request, limit)).await;
        called.unwrap_or(Err(FetchError::Unreachable))
    }
}

/// The calls that are being made, by host and port; those of nobody are forgotten.
#[derive(Debug, Clone, Default)]
struct Calls(Arc<Mutex<HashMap<String, usize>>>);

/// A call that is being made.
#[derive(Debug)]
struct Call {
    calls: Calls,
    host: String,
}

impl Calls {
    /// `None` if there are [`MOST_CALLS`] of this host.
    fn begin(&self, host: String) -> Option<Call> {
        let mut calls = self.0.lock();
        let running = calls.entry(host.clone()).or_default();
        if *running >= MOST_CALLS {
            return None;
        }
        *running += 1;
        Some(Call { calls: self.clone(), host })
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut calls = self.calls.0.lock();
        if let Some(running) = calls.get_mut(&self.host) {
            *running -= 1;
            if *running == 0 {
                calls.remove(&self.host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use tokio::net::TcpListener;
    use tokio_util::{sync::CancellationToken, task::TaskTracker};

    use super::*;

    /// One that trusts nobody.
    fn connector() -> HttpsConnector<HttpConnector> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let tls = tls.unwrap().with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
        HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build()
    }

    #[test]
    fn authorities_that_cannot_be_read_are_read_again_next_time() {
        let tasks = Tasks::new(TaskTracker::new(), CancellationToken::new());
        let fetch = HttpsFetch::new(CALL_LIMIT, tasks);
        fetch.prepare_with(|| Err(io::ErrorKind::NotFound.into()));
        assert!(fetch.client.load().is_none());
        fetch.prepare_with(|| Ok(connector()));
        assert!(fetch.client.load().is_some());
        fetch.prepare_with(|| Err(io::ErrorKind::NotFound.into()));
        assert!(fetch.client.load().is_some(), "what was read before stays in force");
    }

    #[test]
    fn a_host_has_64_calls_at_a_time() {
        let calls = Calls::default();
        let mut running: Vec<Call> =
            (0..MOST_CALLS).filter_map(|_| calls.begin("a:443".to_owned())).collect();
        assert_eq!(running.len(), MOST_CALLS);
        assert!(calls.begin("a:443".to_owned()).is_none());
        let other = calls.begin("b:443".to_owned());
        assert!(other.is_some(), "others are not kept waiting");
        running.pop();
        running.extend(calls.begin("a:443".to_owned()));
        assert_eq!(running.len(), MOST_CALLS);
        drop((running, other));
        assert!(calls.0.lock().is_empty());
    }

    #[tokio::test]
    async fn one_call_too_many_is_refused_at_once() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = silent.local_addr().unwrap();
        let tracker = TaskTracker::new();
        let tasks = Tasks::new(tracker.clone(), CancellationToken::new());
        let fetch = HttpsFetch::new(Duration::from_secs(3600), tasks);
        fetch.prepare_with(|| Ok(connector()));
        let call =
            || fetch.fetch(Request::get(format!("https://{addr}/token")).body(Bytes::new()).unwrap(), 1);
        let all = join_all((0..MOST_CALLS).map(|_| call()));
        tokio::select! {
            _ = all => panic!("nobody answers"),
            refused = async {
                // Polled after the others, in the same task.
                tokio::task::yield_now().await;
                call().await
            } => assert_eq!(refused, Err(FetchError::Unreachable)),
        }
        assert!(fetch.calls.0.lock().is_empty());
    }
}
