//! One client: requests and sessions over HTTP, and which target they came to.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Arguments;
use crate::{
    client::{
        connection::Connector,
        cookies::Policy,
        failure::Failure,
        http::{Request, Response},
        requester::Requester,
    },
    progress::Progress,
    target::Protocol,
};

/// What one client saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Answers of each target.
    pub(super) targets: BTreeMap<String, usize>,
    /// The target of the first answer.
    pub(super) first: Option<String>,
    /// Cookies that were set, with their attributes.
    pub(super) cookies: BTreeMap<String, String>,
    /// Largest `Cookie` header that it sent, in bytes.
    pub(super) cookie_bytes: usize,
    /// Requests that failed, by how.
    pub(super) failures: Vec<String>,
    /// Sessions that worked.
    pub(super) sessions: usize,
    /// Sessions that did not, by how.
    pub(super) session_failures: Vec<String>,
}

/// Makes all requests of one client.
pub(super) async fn visit(
    connector: &Connector,
    number: usize,
    arguments: &Arguments,
    (policy, protocol): (Policy, Protocol),
    (progress, stop): (&Progress, &CancellationToken),
) -> Seen {
    let mut visitor = Visitor { requester: Requester::new(connector, number, policy), seen: Seen::default() };
    for _ in 0..arguments.requests {
        if stop.is_cancelled() {
            break;
        }
        let began = Instant::now();
        let before = visitor.failures();
        visitor.once(connector, arguments, protocol).await;
        if visitor.failures() > before { progress.failed() } else { progress.answered(began.elapsed()) }
    }
    visitor.seen
}

#[derive(Debug)]
struct Visitor {
    requester: Requester,
    seen: Seen,
}

impl Visitor {
    fn failures(&self) -> usize {
        self.seen.failures.len() + self.seen.session_failures.len()
    }

    /// A request, and a session where the protocol has one.
    async fn once(&mut self, connector: &Connector, arguments: &Arguments, protocol: Protocol) {
        match self.ask(&Request::get(&arguments.path)).await {
            Ok(response) => self.note(&response, arguments.target_header.as_deref()),
            Err(failure) => self.seen.failures.push(failure),
        }
        let session = match protocol {
            Protocol::Plain | Protocol::Stomp => return,
            Protocol::SockJs => self.sock_js(connector).await,
            Protocol::SocketIo => self.socket_io(connector).await,
        };
        match session {
            Ok(()) => self.seen.sessions += 1,
            Err(failure) => self.seen.session_failures.push(failure),
        }
    }

    /// Asks; what failed is told as `status 502`, `400 Session ID unknown` or `reset`.
    async fn ask(&mut self, request: &Request<'_>) -> Result<Response, String> {
        let sent = self.requester.jar.header().map_or(0, |cookie| cookie.len());
        self.seen.cookie_bytes = self.seen.cookie_bytes.max(sent);
        let asked = self.requester.request(request).await;
        let response = asked.map_err(|failure: Failure| failure.name().into_owned())?;
        for cookie in response.head.headers("set-cookie") {
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let name = pair.split('=').next().unwrap_or_default().trim();
            self.seen.cookies.insert(name.to_owned(), attributes.trim().to_owned());
        }
        let status = response.head.status;
        if status < 400 { Ok(response) } else { Err(refusal(status, &response.body)) }
    }

    fn note(&mut self, response: &Response, header: Option<&str>) {
        let Some(target) = target(response, header) else {
            return self.seen.failures.push("no target named".to_owned());
        };
        self.seen.first.get_or_insert_with(|| target.clone());
        *self.seen.targets.entry(target).or_default() += 1;
    }

    /// Opens a session by polling, and sends a heart-beat of STOMP: a message that
    /// means nothing.
    async fn sock_js(&mut self, connector: &Connector) -> Result<(), String> {
        let path = connector.path().trim_end_matches('/');
        let (server, session) = (rand::random_range(0..1000), rand::random::<u64>());
        let base = format!("{path}/{server:03}/{session:016x}");
        let opened = self.post(&format!("{base}/xhr"), b"").await?;
        if !opened.body.starts_with(b"o") {
            return Err("no open frame".to_owned());
        }
        self.post(&format!("{base}/xhr_send"), br#"["\n"]"#).await.map(drop)
    }

    /// Opens a session by polling, joins the namespace `/`, and closes.
    async fn socket_io(&mut self, connector: &Connector) -> Result<(), String> {
        let path = format!("{}?EIO=4&transport=polling", connector.uri().path());
        let opened = self.ask(&Request::get(&path)).await?;
        let json = opened.body.strip_prefix(b"0").unwrap_or_default();
        let json: Value = serde_json::from_slice(json).map_err(|_| "no open packet".to_owned())?;
        let sid = json.get("sid").and_then(Value::as_str).ok_or("no open packet")?;
        let path = format!("{path}&sid={sid}");
        self.post(&path, b"40").await?;
        self.ask(&Request::get(&path)).await?;
        self.post(&path, b"1").await.map(drop)
    }

    async fn post(&mut self, path: &str, body: &[u8]) -> Result<Response, String> {
        let headers = [("Content-Type", "text/plain;charset=UTF-8")];
        self.ask(&Request { method: "POST", path, headers: &headers, body }).await
    }
}

fn target(response: &Response, header: Option<&str>) -> Option<String> {
    if let Some(name) = header {
        return response.head.header(name).map(str::to_owned);
    }
    let json: Value = serde_json::from_slice(&response.body).ok()?;
    json.get("instance").and_then(Value::as_str).map(str::to_owned)
}

/// A status with the `message` of its JSON, as Engine.IO says why.
fn refusal(status: u16, body: &[u8]) -> String {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    match json.as_ref().and_then(|json| json.get("message")).and_then(Value::as_str) {
        Some(message) => format!("{status} {message}"),
        None => format!("status {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_words_of_the_server() {
        assert_eq!(refusal(400, br#"{"code":1,"message":"Session ID unknown"}"#), "400 Session ID unknown");
        assert_eq!(refusal(404, b"Not found"), "status 404");
    }
}
