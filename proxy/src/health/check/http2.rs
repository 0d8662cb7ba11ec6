//! Health checks over HTTP/2, of groups of protocol version HTTP2 and GRPC.

use std::{io, pin::pin};

use bytes::Bytes;
use futures_util::FutureExt as _;
use h2::{Reason, RecvStream, client::SendRequest};
use http::{HeaderMap, Method, Request, header};

use super::{Answer, Io, MAX_HEAD, USER_AGENT};
use crate::model::{HealthCheck, target_group::ProtocolVersion};

/// Bytes of a gRPC response that a check reads before its trailers.
const MAX_BODY: usize = 64 * 1024;
/// An empty gRPC message: not compressed, no bytes.
const EMPTY_MESSAGE: &[u8] = &[0; 5];

/// Asks once and reads what the matcher wants to know.
pub(super) async fn probe(stream: Box<dyn Io>, host: &str, settings: &HealthCheck) -> io::Result<Answer> {
    let request = request(host, settings)?;
    let mut builder = h2::client::Builder::new();
    builder.enable_push(false).max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX));
    let (sender, connection) = builder.handshake::<_, Bytes>(stream).await.map_err(error)?;
    let mut asking = pin!(ask(sender, request, settings.protocol_version));
    tokio::select! {
        biased;
        answer = &mut asking => answer,
        // The answer may have come with the connection's last bytes.
        ended = connection => asking.now_or_never().unwrap_or_else(|| {
            Err(ended.err().map_or_else(|| io::ErrorKind::UnexpectedEof.into(), error))
        }),
    }
}

fn request(host: &str, settings: &HealthCheck) -> io::Result<Request<()>> {
    let scheme = settings.protocol.as_str().to_ascii_lowercase();
    let uri = format!("{scheme}://{host}{}", settings.path);
    let request = Request::builder().uri(uri).header(header::USER_AGENT, USER_AGENT);
    let request = match settings.protocol_version {
        ProtocolVersion::Grpc => request
            .method(Method::POST)
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers"),
        ProtocolVersion::Http1 | ProtocolVersion::Http2 => request.method(Method::GET),
    };
    request.body(()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

async fn ask(
    sender: SendRequest<Bytes>,
    request: Request<()>,
    version: ProtocolVersion,
) -> io::Result<Answer> {
    let mut sender = sender.ready().await.map_err(error)?;
    let is_grpc = version == ProtocolVersion::Grpc;
    let (response, mut stream) = sender.send_request(request, !is_grpc).map_err(error)?;
    if is_grpc {
        stream.send_data(Bytes::from_static(EMPTY_MESSAGE), true).map_err(error)?;
    }
    let (head, body) = response.await.map_err(error)?.into_parts();
    if !is_grpc {
        return Ok(Answer::Http(head.status));
    }
    Ok(Answer::Grpc(match grpc_status(&head.headers) {
        Some(code) => Some(code),
        None => trailers(body).await?.and_then(|trailers| grpc_status(&trailers)),
    }))
}

async fn trailers(mut body: RecvStream) -> io::Result<Option<HeaderMap>> {
    let mut read = 0;
    while let Some(bytes) = body.data().await {
        let length = bytes.map_err(error)?.len();
        read += length;
        if read > MAX_BODY {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "response too large"));
        }
        body.flow_control().release_capacity(length).map_err(error)?;
    }
    body.trailers().await.map_err(error)
}

fn grpc_status(headers: &HeaderMap) -> Option<u16> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

fn error(error: h2::Error) -> io::Error {
    let kind = match error.reason() {
        // The target wants no more of it.
        Some(Reason::CANCEL | Reason::REFUSED_STREAM | Reason::NO_ERROR) => io::ErrorKind::ConnectionReset,
        _ => io::ErrorKind::InvalidData,
    };
    if error.is_io() {
        return error.into_io().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
    }
    io::Error::new(kind, error)
}
