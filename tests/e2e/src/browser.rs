//! What a browser does at a login: keeps cookies, goes where it is sent.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use rustls::ClientConfig;

use crate::{Ca, Client, Response, ca::ALL_VERSIONS};

/// A browser with the cookies of one site. Every request takes a new connection.
#[derive(Debug, Clone)]
pub struct Browser {
    addr: SocketAddr,
    tls: Arc<ClientConfig>,
    /// Cookies by name.
    pub cookies: BTreeMap<String, String>,
}

impl Browser {
    /// A browser without cookies, for the site at `addr` that is called `localhost`.
    ///
    /// # Errors
    /// When the authority cannot be trusted.
    pub fn try_new(addr: SocketAddr, ca: &Ca) -> Result<Self> {
        Ok(Self { addr, tls: ca.client(&[], ALL_VERSIONS)?, cookies: BTreeMap::new() })
    }

    /// The site's URL of `path`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.addr.port())
    }

    /// A connection to the site.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn connect(&self) -> Result<Client> {
        Client::connect_tls(self.addr, "localhost", Arc::clone(&self.tls)).await
    }

    /// The `Cookie` header line.
    #[must_use]
    pub fn cookie_line(&self) -> String {
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("Cookie: {}", pairs.join("; "))
    }

    /// GET of a path of the site, with its cookies.
    ///
    /// # Errors
    /// When there is no response.
    pub async fn get(&mut self, path: &str) -> Result<Response> {
        self.get_with(path, &[]).await
    }

    /// The same with further header lines.
    ///
    /// # Errors
    /// When there is no response.
    pub async fn get_with(&mut self, path: &str, headers: &[&str]) -> Result<Response> {
        let line = self.cookie_line();
        let mut lines = headers.to_vec();
        if !self.cookies.is_empty() {
            lines.push(&line);
        }
        let response = self.connect().await?.get_with(path, &lines).await?;
        self.keep_cookies(&response);
        Ok(response)
    }

    fn keep_cookies(&mut self, response: &Response) {
        for cookie in response.headers("set-cookie") {
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let Some((name, value)) = pair.split_once('=') else { continue };
            if attributes.contains("Expires=Thu, 01 Jan 1970") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// Asks for `path` of the site and logs in where it is sent to; the path and query of the way back.
    ///
    /// # Errors
    /// When it is not sent to log in, or not sent back.
    pub async fn log_in(&mut self, path: &str) -> Result<String> {
        let response = self.get(path).await?;
        ensure!(response.status == 302, "not sent to log in: {}", response.head);
        let login = response.header("location")?.to_owned();
        self.log_in_at(&login).await
    }

    /// Logs in at a URL of the identity provider; the path and query of the way back.
    ///
    /// # Errors
    /// When it is not sent back.
    pub async fn log_in_at(&self, login: &str) -> Result<String> {
        let (host, path) =
            login.strip_prefix("https://").and_then(|it| it.split_once('/')).context("a URL")?;
        let (_, port) = host.split_once(':').context("a port")?;
        let addr = SocketAddr::new(self.addr.ip(), port.parse()?);
        let mut client = Client::connect_tls(addr, "localhost", Arc::clone(&self.tls)).await?;
        let response = client.get(&format!("/{path}")).await?;
        ensure!(response.status == 302, "not sent back: {}", response.head);
        let back = response.header("location")?;
        back.strip_prefix(&self.url("")).map(str::to_owned).with_context(|| format!("sent to {back}"))
    }

    /// Asks for `path`, logs in and comes back to where it was: the last response.
    ///
    /// # Errors
    /// When any of the steps does not lead on.
    pub async fn visit(&mut self, path: &str) -> Result<Response> {
        let back = self.log_in(path).await?;
        let response = self.get(&back).await?;
        ensure!(response.status == 302, "not logged in: {} {}", response.head, response.text());
        let url = response.header("location")?.to_owned();
        let path = url.strip_prefix(&self.url("")).with_context(|| format!("sent to {url}"))?;
        self.get(path).await
    }
}
