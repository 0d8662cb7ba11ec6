//! A client of the admin API of a running load balancer: where it is, who asks, and what it answers.
//!
//! What comes back is not trusted: it is bounded in size and time, and `visible` stands between it and a
//! terminal.

mod address;
mod answers;
mod problem;

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use clap::Args;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};

pub(super) use self::{
    address::Address,
    answers::{
        Certificate, Connection, Finding, Group, Id, Index, Listener, LoadBalancer, Overrides, Target,
        TargetGroup,
    },
    problem::Problem,
};
use super::logging::ColorArg;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a question may take.
const READ: Duration = Duration::from_secs(10);
/// How long an action may take: a reload reads files and waits for the one before.
const ACT: Duration = Duration::from_secs(60);
/// Bytes of an answer at most.
const LARGEST: usize = 64 * 1024 * 1024;
/// Pages of a list at most: 400 elements each.
const MOST_PAGES: usize = 2500;

/// Which load balancer, and as whom.
#[derive(Debug, Args)]
pub(super) struct AdminArgs {
    /// Where the admin API of the load balancer listens; else at admin.bind of -c FILE, else at 127.0.0.1:9901.
    #[arg(long, value_name = "HOST:PORT", env = "ALBEIT_ADMIN")]
    admin: Option<String>,
    /// The configuration it runs with, to learn where that is.
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The file with the admin API's token.
    #[arg(long, value_name = "FILE", env = "ALBEIT_ADMIN_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) color: ColorArg,
}

/// A running load balancer.
#[derive(Debug)]
pub(super) struct Api {
    address: Address,
    token: Option<String>,
}

/// Runs a command that asks a load balancer.
pub(super) fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

impl AdminArgs {
    /// The load balancer that is meant.
    ///
    /// # Errors
    /// When its address or the token cannot be read.
    pub(super) fn api(&self) -> Result<Api, Problem> {
        self.color.apply();
        let given = self.admin.as_deref().filter(|text| !text.is_empty());
        let address = match (given, &self.config) {
            (Some(text), _) => Address::parse(text)?,
            (None, Some(file)) => Address::of_configuration(file)?,
            (None, None) => Address::default(),
        };
        Ok(Api { address, token: self.token()? })
    }

    fn token(&self) -> Result<Option<String>, Problem> {
        let file = self.token_file.as_ref().filter(|file| !file.as_os_str().is_empty());
        let Some(file) = file else {
            let token = std::env::var("ALBEIT_ADMIN_TOKEN").ok().filter(|token| !token.is_empty());
            return token.map(|token| address::token(&token, "ALBEIT_ADMIN_TOKEN")).transpose();
        };
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file)
            .map_err(|error| Problem::Argument(format!("{name}: cannot be read: {error}")))?;
        address::token(&text, &name).map(Some)
    }
}

impl Api {
    /// Where it listens.
    pub(super) const fn address(&self) -> &Address {
        &self.address
    }

    /// Status and body of a resource, whatever they are.
    pub(super) async fn read(&self, path: &str) -> Result<(StatusCode, Bytes), Problem> {
        self.exchange(Method::GET, path, Bytes::new(), READ).await
    }

    /// A resource.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        let (status, body) = self.read(path).await?;
        self.answer(status, &body)
    }

    /// All elements of the list `member` of a resource, whose `path` has a query string.
    pub(super) async fn all<T: DeserializeOwned>(&self, path: &str, member: &str) -> Result<Vec<T>, Problem> {
        let mut elements = Vec::new();
        let mut page: Value = self.get(path).await?;
        for _ in 0..MOST_PAGES {
            let list = page.get_mut(member).map(Value::take);
            elements.extend(
                serde_json::from_value::<Vec<T>>(list.unwrap_or_default())
                    .map_err(|error| self.strange(&error))?,
            );
            let Some(marker) = page.get("NextMarker").and_then(Value::as_str) else { return Ok(elements) };
            if !marker.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(self.strange(&"the marker of the next page"));
            }
            page = self.get(&format!("{path}&Marker={marker}")).await?;
        }
        Err(self.strange(&"a list without an end"))
    }

    /// Takes an action.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, Problem> {
        let (status, body) = self.exchange(Method::POST, path, body.to_string().into(), ACT).await?;
        self.answer(status, &body)
    }

    fn answer<T: DeserializeOwned>(&self, status: StatusCode, body: &[u8]) -> Result<T, Problem> {
        if status.is_success() {
            return serde_json::from_slice(body).map_err(|error| self.strange(&error));
        }
        Err(Problem::refusal(&self.address, status, body, self.token.is_some()))
    }

    fn strange(&self, what: &dyn std::fmt::Display) -> Problem {
        Problem::Strange { address: self.address.clone(), what: what.to_string() }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        limit: Duration,
    ) -> Result<(StatusCode, Bytes), Problem> {
        let address = || self.address.clone();
        let connecting = TcpStream::connect((self.address.host(), self.address.port()));
        let stream = match timeout(CONNECT, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Problem::unreachable(address(), error)),
            Err(_) => return Err(Problem::Silent { address: address(), limit: CONNECT }),
        };
        let mut request =
            Request::builder().method(method).uri(path).header(header::HOST, self.address.to_string());
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(body)).map_err(|error| self.strange(&error))?;
        let talk = async {
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            let answer = async move {
                let answer = sender.send_request(request).await?;
                let status = answer.status();
                let body = Limited::new(answer.into_body(), LARGEST).collect().await?.to_bytes();
                Ok((status, body))
            };
            // The connection ends with its sender; that it broke shows in the answer.
            let (answer, _) = tokio::join!(answer, connection);
            answer
        };
        let answered: Result<_, Box<dyn std::error::Error + Send + Sync>> = match timeout(limit, talk).await {
            Ok(answered) => answered,
            Err(_) => return Err(Problem::Silent { address: address(), limit }),
        };
        answered.map_err(|error| self.strange(&error))
    }
}
