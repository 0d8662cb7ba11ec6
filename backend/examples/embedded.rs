//! A service of one's own on the library: its own messages, its own users.
//!
//! ```text
//! cargo run -p albeit-backend --example embedded
//! ```
//!
//! Clients connect with `passcode:ann` and are `ann`. What they send to
//! `/app/echo` comes back on `/user/queue/echo`, what they send to `/app/shout`
//! reaches everybody on `/topic/shouts`, and a subscription to `/app/count` is
//! answered with the number of those who are here.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use albeit_backend::app::{Application, Incoming, Outgoing, Receivers, Rejection, Reply};
use albeit_backend::auth::{AuthError, Authenticator, Principal, Token};
use albeit_backend::config::Config;
use albeit_backend::server::Server;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tokio_util::sync::CancellationToken;

/// What the service does with messages.
#[derive(Debug, Default)]
struct Service {
    here: AtomicUsize,
}

impl Application for Service {
    fn handle(&self, message: Incoming) -> BoxFuture<'_, Result<Vec<Outgoing>, Rejection>> {
        let to = match message.destination.as_str() {
            "echo" => Receivers::Sender { queue: "/queue/echo".to_owned() },
            "shout" => Receivers::Destination("/topic/shouts".to_owned()),
            _ => return ready(Err(Rejection::new("unknown destination", "echo or shout"))).boxed(),
        };
        let outgoing = Outgoing { to, content_type: "text/plain", body: message.body, kept: false };
        ready(Ok(vec![outgoing])).boxed()
    }

    fn subscribe(&self, subscription: Incoming) -> BoxFuture<'_, Result<Reply, Rejection>> {
        let reply = match subscription.destination.as_str() {
            "count" => Ok(self.here.load(Ordering::Relaxed).to_string().into()),
            _ => Err(Rejection::new("unknown destination", "count")),
        };
        ready(reply.map(|body| Reply { content_type: "text/plain", body })).boxed()
    }

    fn connected(&self, _session: &str, _principal: Option<&Principal>) {
        self.here.fetch_add(1, Ordering::Relaxed);
    }

    fn disconnected(&self, _session: &str, _principal: Option<&Principal>) {
        self.here.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Who shows a name is its user. A real one would ask a session store.
#[derive(Debug)]
struct ByName;

impl Authenticator for ByName {
    fn authenticate<'a>(&'a self, token: &'a Token) -> BoxFuture<'a, Result<Arc<Principal>, AuthError>> {
        let name = token.secret().to_owned();
        let principal = Principal { name, authorities: Vec::new(), expires_at: None };
        ready(Ok(Arc::new(principal))).boxed()
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server =
        Server::bind_with_authenticator(Config::default(), Arc::new(Service::default()), Arc::new(ByName))?;
    let shutdown = CancellationToken::new();
    let serving = server.run(shutdown.clone());
    let interrupted = async {
        tokio::signal::ctrl_c().await?;
        shutdown.cancel();
        anyhow::Ok(())
    };
    let ((), interrupted) = tokio::join!(serving, interrupted);
    interrupted
}
