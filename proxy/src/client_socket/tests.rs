//! The socket and its watch, on real connections.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::Instant,
};
use tokio_util::task::TaskTracker;

use super::*;

/// A client, and the socket it was accepted on.
async fn pair(ahead: &[u8]) -> (TcpStream, ClientSocket) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (tcp, _) = listener.accept().await.unwrap();
    (client, ClientSocket::new(tcp, ahead.to_vec()))
}

#[tokio::test]
async fn what_was_read_ahead_comes_first_however_it_is_read() {
    for size in [1, 3, 100] {
        let (mut client, mut socket) = pair(b"ahead ").await;
        client.write_all(b"of time").await.unwrap();
        client.shutdown().await.unwrap();
        let mut all = Vec::new();
        loop {
            let mut buf = vec![0; size];
            let read = socket.read(&mut buf).await.unwrap();
            if read == 0 {
                break;
            }
            all.extend_from_slice(&buf[..read]);
        }
        assert_eq!(all, b"ahead of time");
    }
}

#[tokio::test]
async fn a_watch_counts_both_ways_and_learns_of_the_end() {
    let (mut client, socket) = pair(b"12345").await;
    let watch = Arc::new(FlowWatch::new(Instant::now()));
    let mut socket = socket.watched(Arc::clone(&watch));
    client.write_all(b"678").await.unwrap();
    let mut received = [0; 8];
    socket.read_exact(&mut received).await.unwrap();
    socket.write_all(b"answer").await.unwrap();
    assert_eq!(watch.bytes(), (8, 6));
    assert!(!watch.closed().is_cancelled());
    drop(socket);
    watch.ended().await;
    assert_eq!(watch.first_end(), None, "nobody said a word");
}

#[tokio::test]
async fn a_reset_of_the_client_is_told() {
    let (client, socket) = pair(b"").await;
    let watch = Arc::new(FlowWatch::new(Instant::now()));
    let mut socket = socket.watched(Arc::clone(&watch));
    SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    assert_eq!(socket.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(watch.first_end(), Some(FirstEnd::ClientReset));
}

#[tokio::test]
async fn after_its_expiry_a_flow_is_silent_until_a_packet_comes_which_gets_a_reset() {
    let (mut client, socket) = pair(b"").await;
    let watch = Arc::new(FlowWatch::new(Instant::now()));
    let mut socket = socket.watched(Arc::clone(&watch));
    watch.expire();
    let mut buf = [0; 1];
    let mut reading = Box::pin(socket.read(&mut buf));
    assert!(futures_util::poll!(&mut reading).is_pending());
    client.write_all(b"anybody there?").await.unwrap();
    assert_eq!(reading.await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    drop(socket);
    assert_eq!(client.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn after_its_expiry_a_write_of_ours_fails() {
    let (_client, socket) = pair(b"").await;
    let watch = Arc::new(FlowWatch::new(Instant::now()));
    let mut socket = socket.watched(Arc::clone(&watch));
    watch.expire();
    assert_eq!(socket.write_all(b"x").await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(watch.bytes(), (0, 0));
}

#[tokio::test]
async fn idleness_is_counted_from_the_last_byte() {
    let (mut client, socket) = pair(b"").await;
    let watch = Arc::new(FlowWatch::new(Instant::now()));
    let mut socket = socket.watched(Arc::clone(&watch));
    let idle = Duration::from_millis(400);
    tokio::time::sleep(idle / 2).await;
    client.write_all(b"x").await.unwrap();
    socket.read_u8().await.unwrap();
    let last = Instant::now();
    watch.idle(idle).await;
    assert!(last.elapsed() >= idle.saturating_sub(Duration::from_millis(2)), "{:?}", last.elapsed());
}

/// A client, a watched socket, and its watch.
async fn watched_pair() -> (TcpStream, ClientSocket, Arc<FlowWatch>) {
    let (client, socket) = pair(b"").await;
    let watch = Arc::new(FlowWatch::new(Instant::now()));
    (client, socket.watched(Arc::clone(&watch)), watch)
}

#[tokio::test]
async fn who_ends_first_is_told_whatever_follows() {
    let (mut client, mut socket, watch) = watched_pair().await;
    client.write_all(b"x").await.unwrap();
    assert_eq!(socket.read(&mut []).await.unwrap(), 0, "no room is no end");
    assert_eq!(watch.first_end(), None);
    socket.read_u8().await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(socket.read(&mut [0]).await.unwrap(), 0);
    socket.shutdown().await.unwrap();
    assert_eq!(watch.first_end(), Some(FirstEnd::ClientFin));

    let (mut client, mut socket, watch) = watched_pair().await;
    socket.shutdown().await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(socket.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(watch.first_end(), Some(FirstEnd::ServerFin));
}

#[tokio::test]
async fn a_write_that_meets_a_reset_tells_of_it() {
    let (client, mut socket, watch) = watched_pair().await;
    SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    // The RST may be a moment late.
    while socket.write_all(b"anybody there?").await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(watch.first_end(), Some(FirstEnd::ClientReset));
}

#[tokio::test]
async fn a_cut_wakes_who_reads_and_who_writes_and_the_client_is_reset() {
    let (mut client, socket, watch) = watched_pair().await;
    let (mut reader, mut writer) = tokio::io::split(socket);
    let tasks = TaskTracker::new();
    let reading = tasks.spawn(async move { reader.read_u8().await.unwrap_err().kind() });
    let writing = tasks.spawn(async move {
        let much = vec![0; 64 * 1024];
        loop {
            if let Err(error) = writer.write_all(&much).await {
                return error.kind();
            }
        }
    });
    // Until the client's window is full, so that the writer waits.
    let mut sent = 0;
    while watch.bytes().1 > sent || sent == 0 {
        sent = watch.bytes().1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    watch.cut();
    assert_eq!(reading.await.unwrap(), io::ErrorKind::ConnectionReset);
    assert_eq!(writing.await.unwrap(), io::ErrorKind::ConnectionReset);
    watch.ended().await;
    assert_eq!(client.read_to_end(&mut Vec::new()).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}
