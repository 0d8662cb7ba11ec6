//! System A's options of SockJS, in force behind its load balancer.

use std::time::Duration;

use albeit_e2e::{eventually, wait::SOON};
use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::time::Instant;

use super::{
    stomp::{Carrier, Stomp},
    system::{Plan, System},
    token,
};

/// A system, and the cookie that binds clients to its first instance.
struct Bound {
    system: System,
    cookie: String,
}

async fn start(time_scale: u32) -> Result<Bound> {
    let system = Plan::of("a-auction", "application.yml").scaled(time_scale).start().await?;
    let cookie = system.cookies().await?.remove("backend-1").context("no backend-1")?;
    Ok(Bound { system, cookie })
}

impl Bound {
    async fn post(&self, path: &str, body: &str) -> Result<String> {
        let answer = self.system.post(path, &[&format!("Cookie: {}", self.cookie)], body).await?;
        ensure!(matches!(answer.status, 200 | 204), "{path}: {} {}", answer.head, answer.text());
        Ok(answer.text())
    }

    /// A session over HTTP that has subscribed.
    async fn watch(&self, session: &str, destination: &str) -> Result<()> {
        let opened = self.post(&format!("/ws/000/{session}/xhr"), "").await?;
        ensure!(opened == "o\n", "{opened:?}");
        let send = format!("/ws/000/{session}/xhr_send");
        let connect = format!(
            "CONNECT\naccept-version:1.2\nhost:localhost\nheart-beat:0,0\nAuthorization:Bearer {}\n\n\0",
            token::of("ann")
        );
        let subscribe = format!("SUBSCRIBE\nid:1\ndestination:{destination}\nreceipt:r\n\n\0");
        self.post(&send, &json!([connect, subscribe]).to_string()).await?;
        let mut received = String::new();
        while !received.contains("RECEIPT") {
            received += &self.post(&format!("/ws/000/{session}/xhr"), "").await?;
        }
        Ok(())
    }

    async fn bidder(&self) -> Result<Stomp> {
        let socket = self.system.web_socket("/ws/000/bob/websocket", &[("Cookie", &self.cookie)]).await?;
        Stomp::connect(socket, Carrier::SockJs, &token::of("bob")).await
    }

    async fn closed(&self, reason: &str) -> Result<f64> {
        self.system.metric(0, &format!("sockjs_sessions_closed_total{{reason=\"{reason}\"}}")).await
    }
}

/// Bids, and waits until the last one has been taken.
async fn bid(bidder: &mut Stomp, count: usize) -> Result<()> {
    for _ in 1..count {
        bidder.send("SEND", &["destination:/app/bid.7"], "{\"amount\":1}").await?;
    }
    bidder.send("SEND", &["destination:/app/bid.7", "receipt:last"], "{\"amount\":2}").await?;
    let receipt = bidder.next().await?;
    ensure!(receipt.command == "RECEIPT", "{receipt:?}");
    Ok(())
}

#[tokio::test]
async fn a_streaming_response_ends_at_512_kib() -> Result<()> {
    let bound = start(1).await?;
    bound.watch("stream", "/topic/room.large").await?;
    let stream = bound.post("/ws/000/stream/xhr_streaming", "");
    let send = async {
        let mut sender = bound.bidder().await?;
        let body = json!({ "text": "x".repeat(50_000) }).to_string();
        for _ in 0..12 {
            sender.send("SEND", &["destination:/app/room.large", "receipt:r"], &body).await?;
            let receipt = sender.next().await?;
            ensure!(receipt.command == "RECEIPT", "{receipt:?}");
        }
        Ok(())
    };
    let (stream, sent) = tokio::join!(stream, send);
    sent?;
    let length = stream?.len();
    // The message that goes beyond is sent to its end.
    ensure!((512 * 1024..640 * 1024).contains(&length), "{length}");
    Ok(())
}

#[tokio::test]
async fn a_thousand_messages_wait_for_the_next_request() -> Result<()> {
    let bound = start(1).await?;
    bound.watch("away", "/topic/auction.7").await?;
    let mut bidder = bound.bidder().await?;
    bid(&mut bidder, 1000).await?;
    ensure!(bound.closed("overflow").await? < 0.5, "1000 are too many");
    bid(&mut bidder, 1).await?;
    eventually(SOON, "the session overflows", || async {
        ensure!(bound.closed("overflow").await? > 0.5);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_session_outlives_its_last_request_by_30_s() -> Result<()> {
    const SCALE: u32 = 10;
    let bound = start(SCALE).await?;
    bound.watch("gone", "/topic/auction.7").await?;
    let left = Instant::now();
    eventually(SOON, "the session is abandoned", || async {
        ensure!(bound.closed("abandoned").await? > 0.5);
        Ok(())
    })
    .await?;
    // The server counts from the end of the last response, which was a little earlier.
    let lived = left.elapsed() * SCALE;
    ensure!(lived > Duration::from_secs(28), "{lived:?}");
    Ok(())
}
