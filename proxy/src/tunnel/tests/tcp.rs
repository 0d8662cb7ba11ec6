//! Tunnels between real connections over loopback: bytes and where they are on the way.

use std::{
    future::Future,
    net::Ipv4Addr,
    pin::pin,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::tunnel::{
    CloseReason, EarlyBytes, Keepalive, Settings, Side, Traffic, pipe, relay, relay_tcp, reset,
};

pub(crate) const SOON: Duration = Duration::from_secs(20);

/// More than a burst, several times what sockets and pipes hold.
const MUCH: usize = 10 << 20;

/// Two ends of a connection: the far one and the tunnel's.
pub(crate) async fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let far = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (near, _) = listener.accept().await.unwrap();
    (far, near)
}

/// The far ends of a tunnel that runs.
pub(crate) struct Flow {
    pub(crate) client: TcpStream,
    pub(crate) target: TcpStream,
    pub(crate) traffic: Arc<Traffic>,
    /// How often the tunnel's task was woken.
    pub(crate) wakes: Arc<AtomicUsize>,
    /// The tunnel's ends stay open until someone takes them.
    pub(crate) closed: JoinHandle<(CloseReason, TcpStream, TcpStream)>,
}

impl Flow {
    #[expect(clippy::disallowed_methods, reason = "a test awaits the task itself")]
    pub(crate) async fn begin(early: EarlyBytes, idle_timeout: Duration, keepalive: Keepalive) -> Self {
        let (client, mut near_client) = connected().await;
        let (target, mut near_target) = connected().await;
        let traffic = Arc::new(Traffic::default());
        let wakes = Arc::new(AtomicUsize::new(0));
        let (counted, woken) = (Arc::clone(&traffic), Arc::clone(&wakes));
        let closed = tokio::spawn(async move {
            let settings = Settings { idle_timeout, keepalive, traffic: Some(&counted) };
            let reason = {
                let ended = std::future::pending();
                let mut tunnel = pin!(relay_tcp(&mut near_client, &mut near_target, early, settings, ended));
                std::future::poll_fn(|cx| {
                    woken.fetch_add(1, Ordering::Relaxed);
                    tunnel.as_mut().poll(cx)
                })
                .await
            };
            (reason, near_client, near_target)
        });
        Self { client, target, traffic, wakes, closed }
    }

    pub(crate) async fn new() -> Self {
        Self::begin(EarlyBytes::default(), SOON, Keepalive::Counts).await
    }

    /// Why the tunnel ended.
    pub(crate) async fn reason(&mut self) -> CloseReason {
        timeout(SOON, &mut self.closed).await.unwrap().unwrap().0
    }

    fn counts(&self) -> (u64, u64) {
        (self.traffic.from_client(), self.traffic.from_target())
    }
}

/// Bytes of which no stretch repeats: numbers, from `seed` on.
fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 8);
    let mut number = seed << 32;
    while bytes.len() < len {
        bytes.extend_from_slice(&number.to_be_bytes());
        number += 1;
    }
    bytes.truncate(len);
    bytes
}

async fn send(mut writer: impl AsyncWrite + Unpin, bytes: &[u8]) {
    writer.write_all(bytes).await.unwrap();
    writer.shutdown().await.unwrap();
}

/// Reads all, with a rest after every `pause_after` bytes.
async fn receive(mut reader: impl AsyncRead + Unpin, pause_after: usize) -> Vec<u8> {
    let mut all = Vec::new();
    let mut part = vec![0; pause_after];
    loop {
        let read = reader.read(&mut part).await.unwrap();
        if read == 0 {
            return all;
        }
        all.extend_from_slice(&part[..read]);
        if read == pause_after {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Sends `len` bytes from one side to the other through a tunnel, both ways at once.
async fn check_both_ways(up: usize, down: usize, client_pauses: usize, target_pauses: usize) {
    let mut flow = Flow::new().await;
    let (to_target, to_client) = (bytes(up, 1), bytes(down, 2));
    let (client_read, client_write) = flow.client.split();
    let (target_read, target_write) = flow.target.split();
    let all = async {
        tokio::join!(
            send(client_write, &to_target),
            send(target_write, &to_client),
            receive(client_read, client_pauses),
            receive(target_read, target_pauses),
        )
    };
    let ((), (), at_client, at_target) = timeout(SOON, all).await.unwrap();
    assert!(at_target == to_target, "{up} bytes up");
    assert!(at_client == to_client, "{down} bytes down");
    assert!(matches!(flow.reason().await, CloseReason::Closed { .. }));
    assert_eq!(flow.counts(), (up as u64, down as u64));
}

#[tokio::test]
async fn every_byte_passes_whatever_the_size_and_however_slow_the_readers() {
    const FAST: usize = 1 << 20;
    const SLOW: usize = 64 << 10;
    for size in [1, 16 * 1024, 16 * 1024 + 1, MUCH] {
        check_both_ways(size, 0, FAST, FAST).await;
        check_both_ways(0, size, FAST, FAST).await;
        check_both_ways(size, size, FAST, FAST).await;
        check_both_ways(size, size, SLOW, FAST).await;
        check_both_ways(size, size, FAST, SLOW).await;
    }
}

#[tokio::test]
async fn early_bytes_come_first_and_are_counted() {
    let early = EarlyBytes { from_client: b"early ".to_vec(), from_target: b"hello ".to_vec() };
    let mut flow = Flow::begin(early, SOON, Keepalive::Counts).await;
    send(&mut flow.client, b"up").await;
    send(&mut flow.target, b"down").await;
    assert_eq!(receive(&mut flow.target, 64).await, b"early up");
    assert_eq!(receive(&mut flow.client, 64).await, b"hello down");
    flow.reason().await;
    assert_eq!(flow.counts(), (8, 10));
}

#[tokio::test]
async fn a_half_close_of_either_side_lets_the_other_go_on() {
    let mut flow = Flow::new().await;
    send(&mut flow.client, b"last words").await;
    assert_eq!(receive(&mut flow.target, 64).await, b"last words");
    let answer = bytes(MUCH, 3);
    let (read, ()) = tokio::join!(receive(&mut flow.client, 1 << 20), send(&mut flow.target, &answer));
    assert!(read == answer);
    assert!(matches!(flow.reason().await, CloseReason::Closed { first: Side::Client }));

    let mut flow = Flow::new().await;
    send(&mut flow.target, b"goodbye").await;
    assert_eq!(receive(&mut flow.client, 64).await, b"goodbye");
    let answer = bytes(MUCH, 4);
    let (read, ()) = tokio::join!(receive(&mut flow.target, 1 << 20), send(&mut flow.client, &answer));
    assert!(read == answer);
    assert!(matches!(flow.reason().await, CloseReason::Closed { first: Side::Target }));
}

/// Writes until nothing has been taken for a while.
async fn flood(writer: &mut TcpStream) -> usize {
    let mut sent = 0;
    let part = bytes(1 << 20, 5);
    while let Ok(written) = timeout(Duration::from_millis(300), writer.write(&part)).await {
        sent += written.unwrap();
    }
    sent
}

#[tokio::test]
async fn bulk_is_spliced_and_an_idle_tunnel_owns_no_pipe() {
    let mut flow = Flow::new().await;
    flow.client.write_all(b"a word").await.unwrap();
    flow.target.read_exact(&mut [0; 6]).await.unwrap();
    assert_eq!(pipe::kept() + pipe::owned(), 0, "a word takes no pipe");

    let sent = flood(&mut flow.client).await;
    assert_eq!(pipe::owned(), 1, "what the target does not take is in a pipe");

    let mut received = vec![0; sent];
    flow.target.read_exact(&mut received).await.unwrap();
    while pipe::owned() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(pipe::kept(), 1);
    assert_eq!(flow.counts(), (sent as u64 + 6, 0));
}

#[tokio::test]
async fn a_full_pipe_waits_without_spinning_and_the_other_direction_goes_on() {
    let mut flow = Flow::new().await;
    let sent = flood(&mut flow.client).await;
    assert_eq!(pipe::owned(), 1);

    // The kernel may still move bytes on and make room for more; a tunnel that spins never comes to rest.
    let wakes = || flow.wakes.load(Ordering::Relaxed);
    let rest = async {
        loop {
            let before = wakes();
            tokio::time::sleep(Duration::from_millis(300)).await;
            if wakes() - before <= 2 {
                return wakes();
            }
        }
    };
    let before = timeout(SOON, rest).await.unwrap();

    let begun = Instant::now();
    for _ in 0..100 {
        flow.target.write_all(b"down").await.unwrap();
        flow.client.read_exact(&mut [0; 4]).await.unwrap();
    }
    // Each answer wakes it a few times, and each second its unread bytes do.
    let wakes = flow.wakes.load(Ordering::Relaxed) - before;
    assert!(wakes as u64 <= 300 + 2 * begun.elapsed().as_secs(), "{wakes}");
    let mut received = vec![0; sent];
    timeout(SOON, flow.target.read_exact(&mut received)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_dropped_tunnel_keeps_its_counts_and_closes_its_pipe() {
    let mut flow = Flow::new().await;
    flood(&mut flow.client).await;
    assert_eq!(pipe::owned(), 1);
    flow.closed.abort();
    assert!((&mut flow.closed).await.unwrap_err().is_cancelled());
    assert_eq!(pipe::owned(), 0);
    let received = receive(&mut flow.target, 1 << 20).await;
    assert_eq!(flow.counts(), (received.len() as u64, 0));
}

#[tokio::test]
async fn without_a_free_pipe_bytes_are_copied() {
    let taken: Vec<_> = std::iter::from_fn(pipe::Pipe::take).collect();
    let mut flow = Flow::new().await;
    let sent = bytes(MUCH, 6);
    let (received, ()) = tokio::join!(receive(&mut flow.target, 1 << 20), send(&mut flow.client, &sent));
    assert!(received == sent);
    assert_eq!(pipe::owned(), taken.len());
}

#[test]
fn pipes_that_another_worker_keeps_are_none_in_use() {
    let (kept, taken) = (Barrier::new(2), Barrier::new(2));
    let most = std::thread::scope(|scope| {
        scope.spawn(|| {
            let pipes: Vec<_> = std::iter::from_fn(pipe::Pipe::take).take(3).collect();
            pipes.into_iter().for_each(pipe::Pipe::give_back);
            assert_eq!(pipe::kept(), 3);
            kept.wait();
            taken.wait();
        });
        kept.wait();
        let pipes: Vec<_> = std::iter::from_fn(pipe::Pipe::take).collect();
        taken.wait();
        pipes.len()
    });
    assert_eq!(most, pipe::IN_USE_MAX);
}

#[tokio::test]
async fn where_the_system_does_not_splice_bytes_are_copied() {
    pipe::keep_unusable();
    let mut flow = Flow::new().await;
    let sent = bytes(MUCH, 7);
    let (received, ()) = tokio::join!(receive(&mut flow.target, 1 << 20), send(&mut flow.client, &sent));
    assert!(received == sent);
    assert_eq!(pipe::kept() + pipe::owned(), 0, "tried once");
}

/// Descriptors of this process; a test that counts them, or pipes, needs a process of its own, as nextest gives it.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// One end of a random flow: sends and receives at random, and ends its stream, or breaks off with a RST.
async fn random_end(mut tcp: TcpStream, seed: u64) -> Result<(u64, u64), ()> {
    let mut rng = StdRng::seed_from_u64(seed);
    let to_send = bytes(*[0, 1, 100, 20_000, 300_000, 1_000_000].get(rng.random_range(0..6)).unwrap(), seed);
    let breaks_off = rng.random_bool(0.25);
    let stop_at = if breaks_off { rng.random_range(0..=to_send.len()) } else { to_send.len() };
    let pause_after = rng.random_range(1_000..300_000);
    let (reader, mut writer) = tcp.split();
    let sending = async {
        for part in to_send[..stop_at].chunks(rng.random_range(500..200_000)) {
            writer.write_all(part).await.map_err(|_| ())?;
            if rng.random_bool(0.1) {
                tokio::time::sleep(Duration::from_micros(rng.random_range(0..500))).await;
            }
        }
        if breaks_off {
            return Err(());
        }
        writer.shutdown().await.map_err(|_| ())
    };
    let receiving = async {
        let mut received = 0;
        let mut reader = reader;
        let mut part = vec![0; pause_after];
        loop {
            match reader.read(&mut part).await {
                Ok(0) => return Ok(received),
                Ok(read) => received += read as u64,
                Err(_) => return Err(()),
            }
        }
    };
    let both = tokio::try_join!(sending, receiving);
    if both.is_err() {
        reset(tcp);
    }
    both.map(|((), received)| (stop_at as u64, received))
}

#[tokio::test]
async fn random_flows_lose_no_byte_no_descriptor_and_no_pipe() {
    let descriptors_before = descriptors();
    let mut in_order = 0;
    for round in 0..20 {
        let mut flows = Vec::new();
        for number in 0..10 {
            let flow = Flow::new().await;
            SockRef::from(&flow.client).set_recv_buffer_size(16 << 10).unwrap();
            let seed = round * 1000 + number * 2;
            flows.push(async move {
                let Flow { closed, traffic, client, target, .. } = flow;
                let tunnel = async {
                    let (reason, client, target) = closed.await.unwrap();
                    if reason.reset_by().is_some() {
                        reset(client);
                        reset(target);
                    }
                    reason
                };
                let ends =
                    async { tokio::join!(random_end(client, seed), random_end(target, seed + 1), tunnel) };
                (timeout(SOON, ends).await.unwrap(), traffic, seed)
            });
        }
        for ((client, target, reason), traffic, seed) in futures_util::future::join_all(flows).await {
            match (client, target) {
                (Ok((up, from_target)), Ok((down, from_client))) => {
                    assert!(matches!(reason, CloseReason::Closed { .. }), "seed {seed}: {reason:?}");
                    assert_eq!((up, down), (from_client, from_target), "seed {seed}");
                    assert_eq!((traffic.from_client(), traffic.from_target()), (up, down), "seed {seed}");
                    in_order += 1;
                }
                _ => assert!(reason.reset_by().is_some(), "seed {seed}: {reason:?}"),
            }
        }
    }
    assert!((50..150).contains(&in_order), "{in_order} of 200 ended in order");
    assert_eq!(pipe::owned(), 0);
    assert_eq!(descriptors() - 2 * pipe::kept(), descriptors_before);
}

#[tokio::test]
async fn the_copying_tunnel_counts_the_same() {
    let (mut client, mut near_client) = connected().await;
    let (mut target, mut near_target) = connected().await;
    let traffic = Traffic::default();
    let settings =
        Settings { idle_timeout: SOON, keepalive: Keepalive::DoesNotCount, traffic: Some(&traffic) };
    let early = EarlyBytes::default();
    let tunnel = relay(&mut near_client, &mut near_target, early, settings, std::future::pending());
    let ends = async {
        client.write_all(&[1; 1000]).await.unwrap();
        client.shutdown().await.unwrap();
        let received = receive(&mut target, 100).await;
        target.write_all(&[2; 50_000]).await.unwrap();
        target.shutdown().await.unwrap();
        (received.len(), receive(&mut client, 1000).await.len())
    };
    assert_eq!(timeout(SOON, async { tokio::join!(tunnel, ends) }).await.unwrap().1, (1000, 50_000));
    assert_eq!((traffic.from_client(), traffic.from_target()), (1000, 50_000));
}

#[tokio::test]
async fn the_future_of_a_flow_is_small() {
    let (_client, mut near_client) = connected().await;
    let (_target, mut near_target) = connected().await;
    let settings = Settings { idle_timeout: SOON, keepalive: Keepalive::Counts, traffic: None };
    let token = tokio_util::sync::CancellationToken::new();
    let ended = token.cancelled();
    let tunnel = relay_tcp(&mut near_client, &mut near_target, EarlyBytes::default(), settings, ended);
    assert!(size_of_val(&tunnel) <= 800, "{}", size_of_val(&tunnel));
}
