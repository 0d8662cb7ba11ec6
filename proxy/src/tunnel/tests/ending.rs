use std::{io::ErrorKind, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::*;
use crate::tunnel::tests::tcp::connected;

const SOON: Duration = Duration::from_secs(10);
const A_WHILE: Duration = Duration::from_millis(200);

fn forgotten() -> Forgotten {
    Forgotten::new(TaskTracker::new(), CancellationToken::new())
}

/// Nothing comes, neither bytes nor an end.
async fn assert_hears_nothing(peer: &mut TcpStream) {
    assert!(timeout(A_WHILE, peer.read_u8()).await.is_err());
}

async fn assert_is_reset(peer: &mut TcpStream) {
    let read = timeout(SOON, peer.read_u8()).await.unwrap();
    assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_connection_that_is_reset_ends_with_a_rst() {
    let (mut peer, tcp) = connected().await;
    reset(tcp);
    assert_is_reset(&mut peer).await;
}

#[tokio::test]
async fn the_peer_of_a_forgotten_connection_hears_nothing_until_it_sends() {
    let forgotten = forgotten();
    let (mut peer, tcp) = connected().await;
    forgotten.forget(tcp);
    assert_eq!(forgotten.waiting(), usize::from(!can_forget_silently()));
    assert_hears_nothing(&mut peer).await;
    peer.write_all(b"still there?").await.unwrap();
    assert_is_reset(&mut peer).await;
}

#[tokio::test]
async fn without_the_capability_the_peer_hears_nothing_until_it_sends_either() {
    let forgotten = forgotten();
    let (mut peer, tcp) = connected().await;
    forgotten.wait(tcp);
    assert_hears_nothing(&mut peer).await;
    assert_eq!(forgotten.waiting(), 1);
    peer.write_all(b"still there?").await.unwrap();
    assert_is_reset(&mut peer).await;
    forgotten.tracker.close();
    timeout(SOON, forgotten.tracker.wait()).await.unwrap();
    assert_eq!(forgotten.waiting(), 0);
}

#[tokio::test]
async fn a_fin_of_the_peer_is_answered_with_a_rst_in_both_ways() {
    for silently in [true, false] {
        let forgotten = forgotten();
        let (mut peer, tcp) = connected().await;
        if silently {
            forgotten.forget(tcp);
        } else {
            forgotten.wait(tcp);
        }
        assert_hears_nothing(&mut peer).await;
        peer.shutdown().await.unwrap();
        let reset = async {
            // A RST after a FIN of one's own is an end of stream for a reader and an error for the socket.
            while peer.take_error().unwrap().is_none() && peer.read_u8().await.is_ok() {}
        };
        timeout(SOON, reset).await.unwrap();
    }
}

#[tokio::test]
async fn without_the_capability_a_peer_that_has_ended_its_stream_is_reset_at_once() {
    let forgotten = forgotten();
    let (mut peer, tcp) = connected().await;
    peer.shutdown().await.unwrap();
    tcp.readable().await.unwrap();
    forgotten.wait(tcp);
    assert_is_reset(&mut peer).await;
}

#[tokio::test]
async fn the_oldest_of_too_many_waiting_connections_is_reset_and_counted() {
    let forgotten = Forgotten { waiting_max: 2, ..forgotten() };
    let mut peers = Vec::new();
    for _ in 0..3 {
        let (peer, tcp) = connected().await;
        forgotten.wait(tcp);
        peers.push(peer);
    }
    assert_is_reset(&mut peers[0]).await;
    assert_hears_nothing(&mut peers[1]).await;
    assert_hears_nothing(&mut peers[2]).await;
    assert_eq!((forgotten.waiting(), forgotten.displaced()), (2, 1));
}

#[tokio::test]
async fn waiting_ends_at_shutdown() {
    let forgotten = forgotten();
    let (mut peer, tcp) = connected().await;
    forgotten.wait(tcp);
    forgotten.shutdown.cancel();
    forgotten.tracker.close();
    timeout(SOON, forgotten.tracker.wait()).await.unwrap();
    assert_is_reset(&mut peer).await;
}
