//! Messages to users, whatever the number of their sessions.

use std::sync::Arc;

use albeit_backend::app::{Application, Incoming, Outgoing, Receivers, Rejection};
use albeit_backend::auth::{AuthError, Authenticator, Principal, Token};
use albeit_backend::config::ClientPublish;
use albeit_backend::server::Server;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use parking_lot::Mutex;

use crate::harness::{Running, Ws, soon};

/// Who shows a name is its user.
struct ByName;

impl Authenticator for ByName {
    fn authenticate<'a>(&'a self, token: &'a Token) -> BoxFuture<'a, Result<Arc<Principal>, AuthError>> {
        let name = token.secret().to_owned();
        ready(Ok(Arc::new(Principal { name, authorities: Vec::new(), expires_at: None }))).boxed()
    }
}

/// Tells the user that a destination names, and notes who is here.
#[derive(Default)]
struct Tell(Mutex<Vec<String>>);

impl Application for Tell {
    fn handle(&self, message: Incoming) -> BoxFuture<'_, Result<Vec<Outgoing>, Rejection>> {
        let to = Receivers::User { name: message.destination, queue: "/queue/x".to_owned() };
        let outgoing = Outgoing { to, content_type: "text/plain", body: message.body, kept: false };
        ready(Ok(vec![outgoing])).boxed()
    }

    fn connected(&self, _session: &str, principal: Option<&Principal>) {
        self.0.lock().extend(principal.map(|principal| format!("+{}", principal.name)));
    }

    fn disconnected(&self, _session: &str, principal: Option<&Principal>) {
        self.0.lock().extend(principal.map(|principal| format!("-{}", principal.name)));
    }
}

fn start() -> (Running, Arc<Tell>) {
    let tell = Arc::new(Tell::default());
    let application = Arc::clone(&tell) as Arc<dyn Application>;
    let server = Running::of(|mut config| {
        config.stomp.client_publish_to_topic = ClientPublish::Allow;
        Server::bind_with_authenticator(config, application, Arc::new(ByName)).unwrap()
    });
    (server, tell)
}

/// A session of a user, subscribed to a queue of the user.
async fn connect(server: &Running, name: &str) -> Ws {
    let mut client = server.web_socket("/ws").await;
    client.send(&format!("CONNECT\naccept-version:1.2\nheart-beat:0,0\npasscode:{name}\n\n\0")).await;
    let connected = client.text().await;
    assert!(connected.contains(&format!("\nuser-name:{name}\n")), "{connected}");
    client.send("SUBSCRIBE\nid:0\ndestination:/user/queue/x\nreceipt:0\n\n\0").await;
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:0\n\n\0");
    client
}

async fn send(client: &mut Ws, destination: &str, body: &str) {
    client.send(&format!("SEND\ndestination:{destination}\n\n{body}\0")).await;
}

async fn gets(client: &mut Ws, body: &str) {
    let text = client.text().await;
    assert!(text.starts_with("MESSAGE\nsubscription:0\n"), "{text}");
    assert!(text.contains("\ndestination:/user/queue/x\n"), "{text}");
    assert!(text.ends_with(&format!("\n\n{body}\0")), "{text}");
}

async fn nothing(client: &mut Ws) {
    client.send("UNSUBSCRIBE\nid:nothing\nreceipt:nothing\n\n\0").await;
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:nothing\n\n\0");
}

#[tokio::test]
async fn a_message_to_a_user_reaches_every_session_of_the_user() {
    let (server, _) = start();
    let (mut first, mut second) = (connect(&server, "ann").await, connect(&server, "ann").await);
    let mut bob = connect(&server, "bob").await;
    send(&mut bob, "/user/ann/queue/x", "sent").await;
    send(&mut bob, "/app/ann", "told").await;
    for client in [&mut first, &mut second] {
        gets(client, "sent").await;
        gets(client, "told").await;
    }
    nothing(&mut bob).await;
}

#[tokio::test]
async fn what_a_user_sends_to_the_user_stays_in_the_session() {
    let (server, _) = start();
    let (mut first, mut second) = (connect(&server, "ann").await, connect(&server, "ann").await);
    send(&mut first, "/user/ann/queue/x", "mine").await;
    gets(&mut first, "mine").await;
    nothing(&mut first).await;
    nothing(&mut second).await;
    // The application's messages to the sender as a user go to all of them.
    send(&mut first, "/app/ann", "ours").await;
    gets(&mut first, "ours").await;
    gets(&mut second, "ours").await;
}

#[tokio::test]
async fn a_name_may_have_slashes_and_wildcards() {
    let (server, _) = start();
    let mut bob = connect(&server, "bob").await;
    let mut all = connect(&server, "*").await;
    let mut path = connect(&server, "a/b").await;
    send(&mut bob, "/user/a%2Fb/queue/x", "1").await;
    gets(&mut path, "1").await;
    send(&mut bob, "/user/*/queue/x", "2").await;
    gets(&mut all, "2").await;
    nothing(&mut path).await;
    nothing(&mut bob).await;
}

#[tokio::test]
async fn the_application_hears_who_connects_and_who_is_gone() {
    let (server, tell) = start();
    let ann = connect(&server, "ann").await;
    let mut bob = connect(&server, "bob").await;
    assert_eq!(*tell.0.lock(), ["+ann", "+bob"]);
    bob.send("DISCONNECT\n\n\0").await;
    let gone = |who: &'static str| {
        let tell = Arc::clone(&tell);
        soon(async move {
            while tell.0.lock().last().is_none_or(|last| last != who) {
                tokio::task::yield_now().await;
            }
        })
    };
    gone("-bob").await;
    drop(ann);
    gone("-ann").await;
    // One that never connects was never here.
    drop(server.web_socket("/ws").await);
    assert_eq!(tell.0.lock().len(), 4);
}

#[tokio::test]
async fn presence_names_users() {
    let (server, _) = start();
    let (mut first, mut second) = (connect(&server, "ann").await, connect(&server, "ann").await);
    for client in [&mut first, &mut second] {
        client.send("SUBSCRIBE\nid:1\ndestination:/topic/room.a\nreceipt:1\n\n\0").await;
        assert_eq!(client.text().await, "RECEIPT\nreceipt-id:1\n\n\0");
    }
    let report = server.services.presence.members("/topic/room.a").unwrap();
    let users = &report.instances[0].users;
    assert_eq!((users.len(), users[0].name.as_str(), users[0].sessions), (1, "ann", 2));
}
