//! Calls to identity providers: one HTTPS request, its answer bounded in size and time.
//!
//! ELB page: "Authenticate users using an Application Load Balancer". An
//! endpoint has five seconds. Its certificate must be of an authority that the
//! system trusts (`SSL_CERT_FILE` names others). Redirects are not followed.

use std::{sync::OnceLock, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

/// How long an endpoint may take, before time scaling.
pub const CALL_LIMIT: Duration = Duration::from_secs(5);
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
    /// The endpoint cannot be reached, or did not answer in time.
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
    /// Made with the first call: reading the system's authorities takes a while.
    client: OnceLock<Option<HttpsClient>>,
    time_limit: Duration,
}

type HttpsClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

impl HttpsFetch {
    /// Gives endpoints `time_limit` to answer.
    #[must_use]
    pub const fn new(time_limit: Duration) -> Self {
        Self { client: OnceLock::new(), time_limit }
    }

    async fn call(&self, request: Request<Bytes>, limit: usize) -> Result<Answer, FetchError> {
        let client = self.client.get_or_init(client).as_ref().ok_or(FetchError::Unreachable)?;
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
        let called = tokio::time::timeout(self.time_limit, self.call(request, limit)).await;
        called.unwrap_or(Err(FetchError::Unreachable))
    }
}

fn client() -> Option<HttpsClient> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let connector = match HttpsConnectorBuilder::new().with_provider_and_native_roots(provider) {
        Ok(builder) => builder.https_only().enable_http1().build(),
        Err(error) => {
            tracing::error!(%error, "no certificate authority to trust identity providers by");
            return None;
        }
    };
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(connector);
    Some(client)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
