mod idle;
pub(super) mod tcp;
mod tcp_ends;

use std::{cell::Cell, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    net::TcpStream,
};

use super::{CloseReason, Connection, EarlyBytes, Keepalive, Settings, Side, relay};

const SETTINGS: Settings<'_> =
    Settings { idle_timeout: Duration::from_secs(60), keepalive: Keepalive::DoesNotCount, traffic: None };

thread_local! {
    /// How often a tunnel of this thread wanted to ask for a TCP connection.
    static ASKED: Cell<u32> = const { Cell::new(0) };
}

impl Connection for DuplexStream {
    fn tcp(&self) -> Option<&TcpStream> {
        ASKED.set(ASKED.get() + 1);
        None
    }
}

/// The two far ends of a tunnel, and the tunnel running.
struct Tunnel {
    client: DuplexStream,
    target: DuplexStream,
    closed: tokio::task::JoinHandle<CloseReason>,
}

#[expect(clippy::disallowed_methods, reason = "a test awaits the task itself")]
fn tunnel(early: EarlyBytes, capacity: usize) -> Tunnel {
    let (client, mut near_client) = duplex(capacity);
    let (target, mut near_target) = duplex(capacity);
    let closed = tokio::spawn(async move {
        relay(&mut near_client, &mut near_target, early, SETTINGS, std::future::pending()).await
    });
    Tunnel { client, target, closed }
}

#[tokio::test(start_paused = true)]
async fn bytes_pass_both_ways_and_early_bytes_come_first() {
    let early = EarlyBytes { from_client: b"early ".to_vec(), from_target: b"hello ".to_vec() };
    let Tunnel { mut client, mut target, closed } = tunnel(early, 64);
    client.write_all(b"up").await.unwrap();
    target.write_all(b"down").await.unwrap();
    let mut seen = [0; 8];
    target.read_exact(&mut seen).await.unwrap();
    assert_eq!(&seen, b"early up");
    let mut seen = [0; 10];
    client.read_exact(&mut seen).await.unwrap();
    assert_eq!(&seen, b"hello down");
    drop(client);
    drop(target);
    assert!(matches!(closed.await.unwrap(), CloseReason::Closed { .. } | CloseReason::Failed { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_half_close_is_passed_on_and_the_other_direction_goes_on() {
    let Tunnel { mut client, mut target, closed } = tunnel(EarlyBytes::default(), 64);
    client.write_all(b"last words").await.unwrap();
    client.shutdown().await.unwrap();
    let mut seen = Vec::new();
    target.read_to_end(&mut seen).await.unwrap();
    assert_eq!(seen, b"last words");
    target.write_all(b"the answer").await.unwrap();
    target.shutdown().await.unwrap();
    let mut seen = Vec::new();
    client.read_to_end(&mut seen).await.unwrap();
    assert_eq!(seen, b"the answer");
    assert!(matches!(closed.await.unwrap(), CloseReason::Closed { first: Side::Client }));
}

#[tokio::test(start_paused = true)]
async fn silence_in_both_directions_ends_the_tunnel_at_the_idle_timeout() {
    let started = tokio::time::Instant::now();
    let Tunnel { client: _client, target: _target, closed } = tunnel(EarlyBytes::default(), 64);
    assert!(matches!(closed.await.unwrap(), CloseReason::IdleTimeout));
    assert_eq!(started.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn traffic_in_one_direction_keeps_the_tunnel_open() {
    let started = tokio::time::Instant::now();
    let Tunnel { client: _client, mut target, closed } = tunnel(EarlyBytes::default(), 1024);
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(50)).await;
        target.write_all(b"x").await.unwrap();
    }
    assert!(matches!(closed.await.unwrap(), CloseReason::IdleTimeout));
    assert_eq!(started.elapsed().as_secs(), 560);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_never_reads_is_cut_by_the_idle_timer() {
    let Tunnel { client: _client, mut target, closed } = tunnel(EarlyBytes::default(), 64);
    let flood = async {
        loop {
            if target.write_all(&[0; 1024]).await.is_err() {
                break;
            }
        }
    };
    let (reason, ()) = tokio::join!(closed, flood);
    assert!(matches!(reason.unwrap(), CloseReason::IdleTimeout));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_nobody_reads_from_is_asked_for_its_error_each_second_and_no_more() {
    let (mut client, mut near_client) = duplex(64);
    let (_target, mut near_target) = duplex(64);
    client.write_all(&[0; 64]).await.unwrap();
    let settings =
        Settings { idle_timeout: Duration::from_secs(800), keepalive: Keepalive::Counts, traffic: None };
    let ended = std::future::pending();
    let tunnel = relay(&mut near_client, &mut near_target, EarlyBytes::default(), settings, ended);
    // More than the target's side holds.
    let (reason, _) = tokio::join!(tunnel, client.write_all(&[0; 64]));
    assert!(matches!(reason, CloseReason::IdleTimeout));
    // Both connections every second, and for their packets at eight looks.
    assert!((2 * 790..2 * 820).contains(&ASKED.get()), "{}", ASKED.get());
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_a_little_at_a_time_keeps_the_tunnel_open() {
    let Tunnel { mut client, mut target, .. } = tunnel(EarlyBytes::default(), 64);
    let sending = async {
        target.write_all(&[7; 1000]).await.unwrap();
        target.shutdown().await.unwrap();
    };
    let receiving = async {
        let mut received = 0;
        loop {
            tokio::time::sleep(Duration::from_secs(50)).await;
            match client.read(&mut [0; 10]).await.unwrap() {
                0 => return received,
                read => received += read,
            }
        }
    };
    let ((), received) = tokio::join!(sending, receiving);
    assert_eq!(received, 1000);
}

#[tokio::test(start_paused = true)]
async fn directions_do_not_wait_for_each_other() {
    // The client floods without reading, the target floods while it reads: neither may stall the other.
    let Tunnel { client, target, closed } = tunnel(EarlyBytes::default(), 4096);
    let (mut client_read, mut client_write) = tokio::io::split(client);
    let (mut target_read, mut target_write) = tokio::io::split(target);
    let sent = vec![7_u8; 1 << 20];
    let send_up = async {
        client_write.write_all(&sent).await.unwrap();
        client_write.shutdown().await.unwrap();
    };
    let mut got_up = Vec::new();
    let receive_up = target_read.read_to_end(&mut got_up);
    // The downward direction fills up and stays full until upward is through.
    let fill_down = async { target_write.write_all(&[1; 4096]).await.unwrap() };
    let ((), up, ()) = tokio::join!(send_up, receive_up, fill_down);
    up.unwrap();
    assert_eq!(got_up.len(), sent.len());
    target_write.shutdown().await.unwrap();
    let mut got_down = Vec::new();
    client_read.read_to_end(&mut got_down).await.unwrap();
    assert_eq!(got_down.len(), 4096);
    assert!(matches!(closed.await.unwrap(), CloseReason::Closed { first: Side::Client }));
}

#[tokio::test(start_paused = true)]
async fn termination_ends_the_tunnel_at_once() {
    let (_client, mut near_client) = duplex(64);
    let (_target, mut near_target) = duplex(64);
    let ended = relay(
        &mut near_client,
        &mut near_target,
        EarlyBytes::default(),
        SETTINGS,
        tokio::time::sleep(Duration::from_secs(5)),
    );
    let started = tokio::time::Instant::now();
    assert!(matches!(ended.await, CloseReason::Terminated));
    assert_eq!(started.elapsed().as_secs(), 5);
}
