//! Requests one after the other with cookies, as a browser makes them for one
//! page: on one connection as long as the server keeps it.

use super::connection::Connector;
use super::cookies::{Jar, Policy};
use super::failure::Failure;
use super::http::{Head, Http, Request, Response};

/// Asks and keeps cookies.
#[derive(Debug)]
pub(crate) struct Requester {
    connector: Connector,
    number: usize,
    http: Option<Http>,
    /// Its cookies.
    pub(crate) jar: Jar,
}

impl Requester {
    /// A client that has not connected yet; the `number` chooses its address.
    pub(crate) fn new(connector: &Connector, number: usize, cookies: Policy) -> Self {
        Self { connector: connector.clone(), number, http: None, jar: Jar::new(cookies) }
    }

    /// Asks, and reads the whole answer.
    ///
    /// # Errors
    /// How it failed. Nothing is tried twice.
    pub(crate) async fn request(&mut self, request: &Request<'_>) -> Result<Response, Failure> {
        let mut http = self.connected().await?;
        let cookie = self.jar.header();
        let response = http.request(&with_cookie(request, cookie.as_deref(), &mut Vec::new())).await?;
        self.keep(&response.head);
        self.http = http.is_reusable().then_some(http);
        Ok(response)
    }

    /// Asks, and gives the connection away after the head of the answer, for
    /// bodies that stream. The next request makes a new connection.
    ///
    /// # Errors
    /// How it failed.
    pub(crate) async fn stream(&mut self, request: &Request<'_>) -> Result<(Head, Http), Failure> {
        let mut http = self.connected().await?;
        let cookie = self.jar.header();
        http.send(&with_cookie(request, cookie.as_deref(), &mut Vec::new())).await?;
        let answer = tokio::time::timeout(self.connector.patience(), http.head(request.method));
        let head = answer.await.unwrap_or(Err(Failure::TimedOut))?;
        self.keep(&head);
        Ok((head, http))
    }

    fn keep(&mut self, head: &Head) {
        for value in head.headers("set-cookie") {
            self.jar.store(value);
        }
    }

    async fn connected(&mut self) -> Result<Http, Failure> {
        match self.http.take() {
            Some(http) => Ok(http),
            None => Http::connect(&self.connector, self.number).await,
        }
    }
}

fn with_cookie<'a>(
    request: &Request<'a>,
    cookie: Option<&'a str>,
    headers: &'a mut Vec<(&'a str, &'a str)>,
) -> Request<'a> {
    let Some(cookie) = cookie else { return *request };
    headers.extend_from_slice(request.headers);
    headers.push(("Cookie", cookie));
    Request { headers, ..*request }
}
