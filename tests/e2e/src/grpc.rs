//! gRPC with a real client and server: a service of four methods, one of each
//! kind, its messages written by hand so that no code has to be generated.

use std::{
    convert::Infallible,
    marker::PhantomData,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use anyhow::Result;
use bytes::Buf as _;
use futures_util::{Stream, StreamExt as _, future::BoxFuture, stream};
use parking_lot::Mutex;
use prost::Message as _;
use tokio::{sync::watch, task::JoinSet};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Request, Response, Status, Streaming,
    body::Body,
    client::Grpc as Client,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::{Service, http},
    metadata::MetadataMap,
    server::{
        ClientStreamingService, Grpc as Server, NamedService, ServerStreamingService, StreamingService,
        UnaryService,
    },
    transport::{self, Certificate, Channel, ClientTlsConfig, Endpoint},
};

use crate::{ca::Ca, ports::HeldPort};

/// What goes both ways.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Note {
    /// Text.
    #[prost(string, tag = "1")]
    pub text: String,
    /// A number: how many answers are wanted, or which this is.
    #[prost(uint32, tag = "2")]
    pub number: u32,
}

impl Note {
    /// A message.
    #[must_use]
    pub fn new(text: impl Into<String>, number: u32) -> Self {
        Self { text: text.into(), number }
    }
}

/// Writes and reads messages.
#[derive(Debug, Clone, Copy)]
pub struct Notes<T = Note>(PhantomData<T>);

impl Default for Notes {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl Codec for Notes {
    type Encode = Note;
    type Decode = Note;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self::default()
    }

    fn decoder(&mut self) -> Self {
        Self::default()
    }
}

impl Encoder for Notes {
    type Item = Note;
    type Error = Status;

    fn encode(&mut self, note: Note, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        note.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

impl Decoder for Notes {
    type Item = Note;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Note>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        Note::decode(bytes).map(Some).map_err(|error| Status::internal(error.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

/// A message stream as a service gives it.
pub type NoteStream = Pin<Box<dyn Stream<Item = Result<Note, Status>> + Send>>;

/// What the service has seen.
#[derive(Debug, Default)]
struct Seen {
    calls: Mutex<Vec<(String, MetadataMap)>>,
    /// Calls that ended before their answer did.
    cancelled: watch::Sender<usize>,
}

/// The service `test.Notes`:
///
/// - `Echo` answers with the note; `fail` with status 5 and metadata, `hang` never.
/// - `Count` answers with as many notes as the number says; without end if it is 0.
/// - `Sum` adds the numbers of all notes.
/// - `Chat` answers each note at once; `bye` ends the call with status 10.
#[derive(Debug, Clone)]
pub struct NoteService {
    seen: std::sync::Arc<Seen>,
    health: std::sync::Arc<Mutex<Code>>,
}

impl NamedService for NoteService {
    const NAME: &'static str = "test.Notes";
}

/// Counts a call as cancelled unless it got to its end.
struct Unfinished(Option<std::sync::Arc<Seen>>);

impl Unfinished {
    fn finish(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(seen) = self.0.take() {
            seen.cancelled.send_modify(|count| *count += 1);
        }
    }
}

impl NoteService {
    async fn echo(self, request: Request<Note>) -> Result<Response<Note>, Status> {
        let unfinished = Unfinished(Some(self.seen));
        let note = request.into_inner();
        match note.text.as_str() {
            "fail" => {
                unfinished.finish();
                let mut status = Status::not_found("no such note: é");
                status.metadata_mut().insert("x-detail", "42".parse().map_err(|_| Status::internal(""))?);
                Err(status)
            }
            "hang" => std::future::pending().await,
            _ => {
                unfinished.finish();
                Ok(Response::new(note))
            }
        }
    }

    fn count(self, request: Request<Note>) -> NoteStream {
        let Note { text, number } = request.into_inner();
        let unfinished = Unfinished(Some(self.seen));
        let last = if number == 0 { u32::MAX } else { number };
        Box::pin(stream::unfold((1, unfinished), move |(next, unfinished)| {
            let text = text.clone();
            async move {
                if next > last {
                    unfinished.finish();
                    return None;
                }
                Some((Ok(Note::new(text, next)), (next + 1, unfinished)))
            }
        }))
    }

    async fn sum(self, request: Request<Streaming<Note>>) -> Result<Response<Note>, Status> {
        let mut notes = request.into_inner();
        let mut sum = Note::default();
        while let Some(note) = notes.message().await? {
            sum.number += note.number;
        }
        Ok(Response::new(sum))
    }

    fn chat(self, request: Request<Streaming<Note>>) -> NoteStream {
        let unfinished = Unfinished(Some(self.seen));
        Box::pin(stream::unfold(Some((request.into_inner(), unfinished)), |state| async move {
            let (mut notes, unfinished) = state?;
            match notes.next().await? {
                Ok(note) if note.text == "bye" => {
                    unfinished.finish();
                    Some((Err(Status::aborted("bye")), None))
                }
                Ok(note) => Some((Ok(Note::new(note.text, note.number + 1)), Some((notes, unfinished)))),
                Err(_) => None,
            }
        }))
    }
}

/// One method of the service, as the library wants it.
struct Method(NoteService);

impl UnaryService<Note> for Method {
    type Response = Note;
    type Future = BoxFuture<'static, Result<Response<Note>, Status>>;

    fn call(&mut self, request: Request<Note>) -> Self::Future {
        Box::pin(self.0.clone().echo(request))
    }
}

impl ServerStreamingService<Note> for Method {
    type Response = Note;
    type ResponseStream = NoteStream;
    type Future = std::future::Ready<Result<Response<NoteStream>, Status>>;

    fn call(&mut self, request: Request<Note>) -> Self::Future {
        std::future::ready(Ok(Response::new(self.0.clone().count(request))))
    }
}

impl ClientStreamingService<Note> for Method {
    type Response = Note;
    type Future = BoxFuture<'static, Result<Response<Note>, Status>>;

    fn call(&mut self, request: Request<Streaming<Note>>) -> Self::Future {
        Box::pin(self.0.clone().sum(request))
    }
}

impl StreamingService<Note> for Method {
    type Response = Note;
    type ResponseStream = NoteStream;
    type Future = std::future::Ready<Result<Response<NoteStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<Note>>) -> Self::Future {
        std::future::ready(Ok(Response::new(self.0.clone().chat(request))))
    }
}

impl Service<http::Request<Body>> for NoteService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            if path != HEALTH {
                let metadata = MetadataMap::from_headers(request.headers().clone());
                service.seen.calls.lock().push((path.clone(), metadata));
            }
            let method = Method(service.clone());
            let mut server = Server::new(Notes::default());
            Ok(match path.as_str() {
                "/test.Notes/Echo" => server.unary(method, request).await,
                "/test.Notes/Count" => server.server_streaming(method, request).await,
                "/test.Notes/Sum" => server.client_streaming(method, request).await,
                "/test.Notes/Chat" => server.streaming(method, request).await,
                HEALTH => Status::new(*service.health.lock(), "health").into_http(),
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

/// Path of the service's own health check.
pub const HEALTH: &str = "/test.Notes/Health";

/// A running gRPC server in clear text.
pub struct GrpcTarget {
    port: HeldPort,
    service: NoteService,
    _tasks: JoinSet<()>,
}

impl GrpcTarget {
    /// Starts the server.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start() -> Result<Self> {
        let port = HeldPort::try_new()?;
        let service = NoteService {
            seen: std::sync::Arc::default(),
            health: std::sync::Arc::new(Mutex::new(Code::Ok)),
        };
        let listener = TcpListenerStream::new(port.listen()?);
        let server = transport::Server::builder().add_service(service.clone()).serve_with_incoming(listener);
        let mut tasks = JoinSet::new();
        // It ends with the test.
        tasks.spawn(async move { drop(server.await) });
        Ok(Self { port, service, _tasks: tasks })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// Paths and metadata of the calls so far, health checks left out.
    #[must_use]
    pub fn calls(&self) -> Vec<(String, MetadataMap)> {
        self.service.seen.calls.lock().clone()
    }

    /// Calls that were cancelled: a watch on their number.
    #[must_use]
    pub fn cancelled(&self) -> watch::Receiver<usize> {
        self.service.seen.cancelled.subscribe()
    }

    /// Answers [`HEALTH`] with this code from now on.
    pub fn set_health(&self, code: Code) {
        *self.service.health.lock() = code;
    }
}

/// A client of the service.
#[derive(Debug, Clone)]
pub struct NoteClient(Client<Channel>);

impl NoteClient {
    /// Connects to `localhost` behind `addr` over TLS.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn connect(addr: SocketAddr, ca: &Ca) -> Result<Self> {
        let tls =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca.pem())).domain_name("localhost");
        let endpoint = Endpoint::from_shared(format!("https://{addr}"))?.tls_config(tls)?;
        Ok(Self(Client::new(endpoint.connect().await?)))
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.0.ready().await.map_err(|error| Status::unknown(error.to_string()))
    }

    /// Calls `Echo`, with a deadline if `timeout` is given.
    ///
    /// # Errors
    /// The status of the call.
    pub async fn echo(&mut self, text: &str, timeout: Option<Duration>) -> Result<Response<Note>, Status> {
        self.ready().await?;
        let mut request = Request::new(Note::new(text, 1));
        request.metadata_mut().insert("x-own", tonic::metadata::MetadataValue::from_static("mine"));
        if let Some(timeout) = timeout {
            request.set_timeout(timeout);
        }
        self.0.unary(request, path("/test.Notes/Echo"), Notes::default()).await
    }

    /// Calls `Count`.
    ///
    /// # Errors
    /// The status of the call.
    pub async fn count(&mut self, text: &str, number: u32) -> Result<Streaming<Note>, Status> {
        self.ready().await?;
        let request = Request::new(Note::new(text, number));
        let response = self.0.server_streaming(request, path("/test.Notes/Count"), Notes::default());
        Ok(response.await?.into_inner())
    }

    /// Calls `Sum`.
    ///
    /// # Errors
    /// The status of the call.
    pub async fn sum(&mut self, notes: impl Stream<Item = Note> + Send + 'static) -> Result<Note, Status> {
        self.ready().await?;
        let response =
            self.0.client_streaming(Request::new(notes), path("/test.Notes/Sum"), Notes::default());
        Ok(response.await?.into_inner())
    }

    /// Calls `Chat`.
    ///
    /// # Errors
    /// The status of the call.
    pub async fn chat(
        &mut self,
        notes: impl Stream<Item = Note> + Send + 'static,
    ) -> Result<Streaming<Note>, Status> {
        self.ready().await?;
        let response = self.0.streaming(Request::new(notes), path("/test.Notes/Chat"), Notes::default());
        Ok(response.await?.into_inner())
    }

    /// Calls a method that is not there.
    ///
    /// # Errors
    /// The status of the call.
    pub async fn nothing(&mut self) -> Result<Response<Note>, Status> {
        self.ready().await?;
        self.0.unary(Request::new(Note::default()), path("/test.Notes/Nothing"), Notes::default()).await
    }
}

const fn path(path: &'static str) -> http::uri::PathAndQuery {
    http::uri::PathAndQuery::from_static(path)
}
