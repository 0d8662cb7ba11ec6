//! The collector: OTLP over HTTP, protobuf. One POST for each batch.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioTimer,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;

use super::{retry, wall_clock};
use crate::{error_chain::chain, model::traces::Traces, tasks::Tasks, time_scale::TimeScale};

/// How long an idle connection is kept. Not scaled.
const IDLE: Duration = Duration::from_secs(30);
/// Who sends.
const USER_AGENT: &str = concat!("OTel-OTLP-Exporter-Albeit/", env!("CARGO_PKG_VERSION"));
/// Bytes of an answer that are read: 64 KiB.
const LARGEST_ANSWER: usize = 64 * 1024;

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It was taken, but for this many spans, for this reason.
    Taken {
        /// Spans that were refused.
        rejected: u64,
        /// Why; may be empty.
        message: String,
    },
    /// Not now.
    Later {
        /// Why.
        reason: String,
        /// When, if the collector said so.
        after: Option<Duration>,
    },
    /// Never.
    Refused {
        /// Why.
        reason: String,
    },
}

/// Who takes batches.
pub(super) trait Collect: Send + Sync + 'static {
    /// Sends an `ExportTraceServiceRequest`.
    fn send(&self, body: Bytes) -> impl Future<Output = Answer> + Send;
}

/// A collector behind a URL.
pub(super) struct Collector {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    settings: Arc<Traces>,
    time_limit: Duration,
}

impl Collector {
    /// The collector that `settings` names. Reads the system's authorities for an `https` URL; connections
    /// are `tasks`.
    ///
    /// # Errors
    ///
    /// When there are no authorities.
    pub(super) fn new(settings: Arc<Traces>, scale: TimeScale, tasks: Tasks) -> io::Result<Self> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let builder = HttpsConnectorBuilder::new();
        let builder = if settings.endpoint.scheme_str() == Some("https") {
            builder.with_provider_and_native_roots(provider)?
        } else {
            let tls = rustls::ClientConfig::builder_with_provider(provider.into());
            let tls = tls.with_safe_default_protocol_versions().map_err(io::Error::other)?;
            let nobody = rustls::RootCertStore::empty();
            builder.with_tls_config(tls.with_root_certificates(nobody).with_no_client_auth())
        };
        let client = Client::builder(tasks)
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(builder.https_or_http().enable_http1().build());
        let time_limit = scale.apply(settings.timeout);
        Ok(Self { client, settings, time_limit })
    }

    async fn post(&self, body: Bytes) -> Answer {
        let later = |reason: String| Answer::Later { reason, after: None };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.settings.endpoint.clone();
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.extend(self.settings.headers.iter().cloned());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let answer = match self.client.request(request).await {
            Ok(answer) => answer,
            Err(error) => return later(chain(&error)),
        };
        let status = answer.status();
        if status.is_success() {
            let body = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
            // A collector that took the spans and says it badly has taken them.
            let answer = body.ok().and_then(|body| ExportTraceServiceResponse::decode(body.to_bytes()).ok());
            let partial = answer.and_then(|answer| answer.partial_success).unwrap_or_default();
            let rejected = u64::try_from(partial.rejected_spans).unwrap_or_default();
            return Answer::Taken { rejected, message: partial.error_message };
        }
        let reason = format!("the collector answered {status}");
        if !retry::is_retryable(status) {
            return Answer::Refused { reason };
        }
        let after = answer.headers().get(header::RETRY_AFTER);
        Answer::Later { reason, after: after.and_then(|value| retry::retry_after(value, wall_clock())) }
    }
}

impl Collect for Collector {
    async fn send(&self, body: Bytes) -> Answer {
        let posted = tokio::time::timeout(self.time_limit, self.post(body)).await;
        posted.unwrap_or_else(|_| Answer::Later {
            reason: format!("no answer within {:?}", self.time_limit),
            after: None,
        })
    }
}
