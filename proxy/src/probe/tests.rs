//! Measurements of scripted peers over real sockets.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
    time::sleep,
};

use super::*;

/// A peer that does the same with each connection. Ends when it is dropped.
struct Peer {
    addr: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Peer {
    async fn start<F>(serve: impl Fn(TcpStream) -> F + Send + Sync + Copy + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                connections.spawn(serve(tcp));
            }
        });
        Self { addr, _tasks: tasks }
    }

    fn plan(&self, scheme: &str) -> Plan {
        let endpoint = format!("{scheme}://{}/", self.addr).parse().unwrap();
        let mut plan = Plan { trust: Trust::Unverified, ..Plan::new(endpoint) };
        plan.limits.longest_wait = Duration::from_secs(2);
        plan
    }
}

async fn measured(plan: &Plan) -> Measurements {
    measure(plan, OffsetDateTime::UNIX_EPOCH, &|_| {}).await.unwrap()
}

/// Reads a head of at most `most` bytes; `None` at the end of the stream, or if it is longer.
async fn head(tcp: &mut TcpStream, most: usize) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() <= most {
        head.push(tcp.read_u8().await.ok()?);
    }
    (head.len() <= most).then(|| String::from_utf8(head).unwrap())
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok";
const TOO_LARGE: &[u8] = b"HTTP/1.1 431 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const SWITCHING: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSet-Cookie: AWSALB=x\r\n\r\n";

/// Answers requests of at most 10,000 bytes; closes a connection that was idle for 300 ms.
async fn serve_http(mut tcp: TcpStream) {
    loop {
        match timeout(Duration::from_millis(300), head(&mut tcp, 10_000)).await {
            Err(_) => return,
            Ok(Some(_)) => tcp.write_all(OK).await.unwrap_or_default(),
            Ok(None) => {
                tcp.write_all(TOO_LARGE).await.unwrap_or_default();
                // What was not read would make the system send RST, which may overtake the answer.
                let mut rest = Vec::new();
                drop(timeout(Duration::from_secs(1), tcp.read_to_end(&mut rest)).await);
                return;
            }
        }
    }
}

#[tokio::test]
async fn a_keep_alive_timeout_is_measured_beside_the_announced_one() {
    let peer = Peer::start(serve_http).await;
    let KeepAlive::Kept { idle, ending, announced, .. } =
        measured(&peer.plan("http")).await.keep_alive.unwrap()
    else {
        panic!("kept")
    };
    assert!(idle.certain() >= Duration::from_millis(295), "{idle}");
    assert_eq!((ending, announced), (Some(Ending::Fin), Some(Duration::from_secs(1))));
}

#[tokio::test]
async fn a_peer_that_talks_without_end_is_not_listened_to_for_ever() {
    async fn serve(mut tcp: TcpStream) {
        if head(&mut tcp, 8192).await.is_some() && tcp.write_all(OK).await.is_ok() {
            while tcp.write_all(&[b'x'; 65_536]).await.is_ok() {}
        }
    }
    let peer = Peer::start(serve).await;
    let mut plan = peer.plan("http");
    plan.limits.longest_wait = plan.limits.total;
    assert_eq!(measured(&plan).await.keep_alive, Err(Unmeasured::NotHttp));
}

#[tokio::test]
async fn header_limits_are_found_within_one_per_cent() {
    let peer = Peer::start(serve_http).await;
    let limits = measured(&peer.plan("http")).await.header_limits.unwrap();
    let whole = limits.whole;
    assert!((9_900..=10_000).contains(&whole.accepted), "{whole}");
    assert_eq!(whole.refused.unwrap().1, header_limits::Refusal::Status(431));
}

#[tokio::test]
async fn a_half_closed_connection_is_answered_or_not() {
    let answering = Peer::start(serve_http).await;
    assert_eq!(measured(&answering.plan("http")).await.half_close, Ok(HalfClose::Answered(200)));
    let closing = Peer::start(|mut tcp: TcpStream| async move {
        if head(&mut tcp, 10_000).await.is_some() {
            // Answers only if the client does not close its side soon.
            if timeout(Duration::from_millis(200), tcp.read_u8()).await.is_err() {
                tcp.write_all(OK).await.unwrap_or_default();
            }
        }
    })
    .await;
    assert_eq!(measured(&closing.plan("http")).await.half_close, Ok(HalfClose::Ended(Ending::Fin)));
}

#[tokio::test]
async fn a_websocket_that_pings_keep_open_is_told_from_one_that_they_do_not() {
    async fn serve(mut tcp: TcpStream, counts_pings: bool) {
        drop(head(&mut tcp, 10_000).await);
        tcp.write_all(SWITCHING).await.unwrap_or_default();
        let mut deadline = Instant::now() + Duration::from_millis(600);
        let mut frame = [0; 6];
        while let Ok(Ok(_)) = timeout_at(deadline, tcp.read_exact(&mut frame)).await {
            assert_eq!(frame[..2], [0x89, 0x80], "a ping");
            tcp.write_all(&[0x8a, 0]).await.unwrap_or_default();
            if counts_pings {
                deadline = Instant::now() + Duration::from_millis(600);
            }
        }
    }
    let kept = Peer::start(|tcp| serve(tcp, true)).await;
    let found = measured(&kept.plan("ws")).await.web_socket.unwrap();
    assert_eq!((found.silent.ending, found.cookies), (Some(Ending::Fin), vec!["AWSALB".to_owned()]));
    assert!(found.silent.idle.certain() >= Duration::from_millis(595), "{}", found.silent.idle);
    let pinged = found.pinged.unwrap();
    assert_eq!(pinged.ending, None);
    // On a busy machine the last pong may be late.
    assert!(pinged.pings >= 3 && pinged.pongs + 1 >= pinged.pings, "{pinged}");
    let cut = Peer::start(|tcp| serve(tcp, false)).await;
    let found = measured(&cut.plan("ws")).await.web_socket.unwrap();
    assert_eq!(found.pinged.unwrap().ending, Some(Ending::Fin));
}

#[tokio::test]
async fn a_websocket_closed_with_a_frame_says_its_code() {
    let peer = Peer::start(|mut tcp: TcpStream| async move {
        drop(head(&mut tcp, 10_000).await);
        tcp.write_all(SWITCHING).await.unwrap_or_default();
        // A message in two parts and a ping come before.
        tcp.write_all(&[0x81, 5, b'h', b'e']).await.unwrap_or_default();
        sleep(Duration::from_millis(50)).await;
        tcp.write_all(b"llo\x89\x01!\x88\x02\x03\xe9").await.unwrap_or_default();
        sleep(Duration::from_millis(50)).await;
    })
    .await;
    let silent = measured(&peer.plan("ws")).await.web_socket.unwrap().silent;
    let code = Ending::CloseFrame { code: Some(1001), reason: String::new() };
    assert_eq!((silent.ending, silent.messages, silent.server_pings), (Some(code), 1, 1));
}

#[tokio::test]
async fn what_is_not_cut_is_pinged_at_the_end() {
    let forgetful = Peer::start(|mut tcp: TcpStream| async move {
        drop(head(&mut tcp, 10_000).await);
        tcp.write_all(SWITCHING).await.unwrap_or_default();
        drop(tcp.read_u8().await);
        tcp.set_zero_linger().unwrap_or_default();
    })
    .await;
    let mut plan = forgetful.plan("ws");
    plan.limits.longest_wait = Duration::from_millis(300);
    let silent = measured(&plan).await.web_socket.unwrap().silent;
    assert_eq!(silent.afterwards, Some(web_socket::Ponged::Ended(Ending::Reset)));
    assert!(
        matches!(silent.idle, Timing::AtLeast(time) if time >= plan.limits.longest_wait),
        "{}",
        silent.idle
    );
}

#[tokio::test]
async fn limits_of_time_and_connections_hold() {
    static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);
    let silent = Peer::start(|mut tcp: TcpStream| async move {
        CONNECTIONS.fetch_add(1, Ordering::Relaxed);
        drop(tcp.read_to_end(&mut Vec::new()).await);
    })
    .await;
    let mut plan = silent.plan("http");
    plan.limits = Limits { total: Duration::from_millis(500), connections: 3, ..plan.limits };
    let found = measured(&plan).await;
    assert!(found.keep_alive.is_err() && found.header_limits.is_err() && found.cookies.is_err());
    assert_eq!(found.connections, 3);
    assert!(CONNECTIONS.load(Ordering::Relaxed) <= 3);
    assert!(found.took < Duration::from_secs(10), "{:?}", found.took);
}

#[tokio::test]
async fn an_endpoint_without_a_listener_is_unreachable() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let plan = Plan::new(format!("http://{closed}").parse().unwrap());
    let error = measure(&plan, OffsetDateTime::UNIX_EPOCH, &|_| {}).await.unwrap_err();
    assert!(matches!(error, Unmeasured::Unreachable(_)), "{error}");
}

#[tokio::test]
async fn progress_names_what_is_waited_for() {
    let peer = Peer::start(serve_http).await;
    let seen = Mutex::new(Vec::new());
    let plan = peer.plan("http");
    measure(&plan, OffsetDateTime::UNIX_EPOCH, &|progress| seen.lock().push(progress)).await.unwrap();
    let seen = seen.into_inner();
    assert!(seen.contains(&Progress::Started { name: "keep-alive" }));
    assert!(seen.iter().any(|p| matches!(p, Progress::Waiting { name: "keep-alive", .. })));
    assert!(seen.contains(&Progress::Finished { name: "header-limits" }));
    assert!(!seen.contains(&Progress::Started { name: "tls" }), "{seen:?}");
}

#[tokio::test]
async fn facts_show_scaled_times_twice() {
    let peer = Peer::start(serve_http).await;
    let mut found = measured(&peer.plan("http")).await;
    found.keep_alive = Ok(KeepAlive::Kept {
        idle: Timing::once(Duration::from_secs(1)),
        ending: Some(Ending::Reset),
        announced: None,
        parting_status: Some(408),
    });
    let facts = found.facts(TimeScale::try_new(60.0).unwrap());
    let value = |name: &str| facts.iter().find(|fact| fact.name == name).unwrap().value.clone();
    let expected = "60 s (measured 1 s at time scale 60), then RST, after an unasked 408";
    assert_eq!(value("keep-alive timeout"), expected);
    assert_eq!(value("half-close after a request"), "still answers (200)");
    assert_eq!(value("stickiness holds"), "no cookie is set");
}
