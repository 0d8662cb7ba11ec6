//! How an HTTP/1 request head becomes a session of the HTTP engine.
//!
//! The bytes are read here, so that they can be judged as the client sent them,
//! and given to the engine as if it had read them ahead. A head that the engine
//! would refuse, but ELB takes, is written anew first.

use std::{io, pin::pin, time::Duration};

use bytes::BytesMut;
use http::{HeaderName, HeaderValue, header};
use pingora::{
    http::RequestHeader,
    protocols::{Stream, http::v1::server::HttpSession},
};
use tokio::io::AsyncReadExt;

use super::{
    context::Context,
    error::Cause,
    inspect,
    request::{self, Target},
    state::Shared,
};
use crate::{
    client::{ClientStream, Connection, closing::last_moment},
    headers::{
        host::HostRule,
        raw_head::{self, EndOfHead, Version},
    },
};

/// How long the engine may take with a head that is there: it never waits unless it sees another end of
/// it, and then the request is refused. Not scaled.
const PARSING: Duration = Duration::from_secs(1);
/// Room for what is read at a time.
const READ_SIZE: usize = 4096;

/// How the wait for a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// The head is there, and has this many bytes.
    Complete(usize),
    /// The client closed the connection, or shutdown did.
    Closed,
    /// The idle timeout passed.
    TimedOut,
    /// What came is no HTTP, or too long.
    Malformed,
}

/// The wait for a request.
pub struct Waiting<'a> {
    /// The client's connection.
    pub connection: &'a Connection,
    /// What all connections share.
    pub shared: &'a Shared,
    /// The idle timeout.
    pub idle: Duration,
    /// Whether this is the connection's first request.
    pub is_first: bool,
}

impl Waiting<'_> {
    /// Waits until `bytes` hold a request head.
    ///
    /// The idle timeout runs from the last request until the first byte, and from
    /// there until the head is complete: a client that sends it drop by drop gains
    /// nothing.
    pub async fn read_head(&self, stream: &mut ClientStream, bytes: &mut BytesMut) -> Head {
        let mut search = EndOfHead::default();
        let mut deadline = pin!(tokio::time::sleep(self.idle));
        let mut closing = pin!(self.closing());
        let mut begun = false;
        loop {
            if let Some(end) = search.find(bytes) {
                return Head::Complete(end);
            }
            if bytes.first().is_some_and(|&first| !raw_head::begins_request(first)) {
                return Head::Malformed;
            }
            bytes.reserve(READ_SIZE / 4);
            let unexpected = tokio::select! {
                biased;
                read = stream.read_buf(bytes) => match read {
                    Ok(0) => return Head::Closed,
                    Ok(_) => continue,
                    // The stream itself refuses a head that is longer than any may be.
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => return Head::Malformed,
                    Err(_) => return Head::Closed,
                },
                () = &mut deadline => Head::TimedOut,
                () = &mut closing, if !begun => Head::Closed,
                () = self.shared.terminated.cancelled() => return Head::Closed,
            };
            match self.connection.meter.first_byte() {
                Some(first) if !begun => {
                    begun = true;
                    deadline.as_mut().reset(first + self.idle);
                }
                _ => return unexpected,
            }
        }
    }

    /// Completes when an idle connection is to be closed because its listener goes.
    async fn closing(&self) {
        if self.is_first {
            last_moment(&self.connection.closing).await;
        } else {
            self.connection.closing.idle().await;
        }
    }
}

/// Room for a head before anything of it has come.
#[must_use]
pub fn empty_buffer() -> BytesMut {
    BytesMut::with_capacity(READ_SIZE)
}

/// A head that the engine did not take.
pub struct Refused {
    /// The client's connection.
    pub stream: Stream,
    /// The head, as far as it could be read.
    pub request: Option<Box<RequestHeader>>,
    /// Why.
    pub cause: Cause,
}

impl Refused {
    /// Nothing could be read of the request.
    #[must_use]
    pub fn unread(stream: Box<ClientStream>, cause: Cause) -> Self {
        Self { stream, request: None, cause }
    }
}

/// Makes a session of a head, the first `end` bytes of `bytes`, and what came after it.
///
/// What was found out about it is in `context` afterwards.
///
/// # Errors
///
/// When the engine does not take it.
pub async fn open(
    context: &mut Context,
    mut stream: Box<ClientStream>,
    mut bytes: BytesMut,
    end: usize,
) -> Result<HttpSession, Refused> {
    let head = bytes.get(..end).unwrap_or_default();
    let survey = inspect::http1(context, head);
    let names = context.state.headers.invalid_names;
    let mut further = Vec::new();
    if survey.needs_rewriting(names) {
        let rewritten = raw_head::rewrite(head, names);
        let mut new = BytesMut::with_capacity(rewritten.head.len() + bytes.len().saturating_sub(end));
        new.extend_from_slice(&rewritten.head);
        new.extend_from_slice(bytes.get(end..).unwrap_or_default());
        (bytes, further) = (new, rewritten.further);
    }
    if survey.version == Version::Simple {
        stream.omit_head();
    }
    let mut session = HttpSession::new(stream);
    session.set_pipelining_enabled(true);
    session.set_read_timeout(None);
    session.set_pipelined_prefix(bytes);
    match tokio::time::timeout(PARSING, session.read_request()).await {
        Ok(Ok(Some(_))) => {
            add_further(context, session.req_header_mut(), further);
            return Ok(session);
        }
        Ok(Err(error)) => tracing::debug!(%error, "request head refused"),
        Ok(Ok(None)) | Err(_) => {}
    }
    let request = readable(&session).map(|request| Box::new(request.clone()));
    let refusal = || request.as_ref().and_then(|request| request::check(request, Target::of(request)).err());
    let cause = context.refusal.or_else(refusal).unwrap_or(Cause::BadRequest);
    Err(Refused { stream: session.into_inner(), request, cause })
}

/// Adds the fields that the engine could not be given. Further hosts are kept where Host is preserved;
/// elsewhere they must say the same as the first.
fn add_further(context: &mut Context, request: &mut RequestHeader, further: Vec<(Vec<u8>, Vec<u8>)>) {
    for (name, value) in further {
        let (Ok(key), Ok(value)) = (HeaderName::from_bytes(&name), HeaderValue::from_bytes(&value)) else {
            context.refusal.get_or_insert(Cause::BadRequest);
            continue;
        };
        if key == header::HOST && context.state.headers.host != HostRule::Preserve {
            if request.headers.get(header::HOST) != Some(&value) {
                context.refusal.get_or_insert(Cause::BadRequest);
            }
            continue;
        }
        let added = String::from_utf8(name).is_ok_and(|name| request.append_header(name, value).is_ok());
        if !added {
            context.refusal.get_or_insert(Cause::BadRequest);
        }
    }
}

/// The head, if it was refused for what it says and not for how it is written.
fn readable(session: &HttpSession) -> Option<&RequestHeader> {
    let is_parsed = [header::HOST, header::TRANSFER_ENCODING, header::CONTENT_LENGTH]
        .iter()
        .any(|name| session.get_header(name).is_some());
    is_parsed.then(|| session.req_header())
}
