//! Why tunnels between real connections end, and when.

use std::time::Duration;

use socket2::{SockRef, Socket, TcpKeepalive};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

use super::tcp::{Flow, SOON, connected};
use crate::tunnel::{
    CloseReason, EarlyBytes, Keepalive, Settings, Side,
    idle::{Silence, keep_alive, packets},
    relay_tcp, reset,
};

const IDLE: Duration = Duration::from_millis(1600);

#[tokio::test]
async fn a_rst_is_told_from_a_fin_and_names_its_side() {
    let mut flow = Flow::new().await;
    reset(flow.client);
    let reason = timeout(SOON, &mut flow.closed).await.unwrap().unwrap().0;
    assert_eq!((reason.reset_by(), reason.as_str()), (Some(Side::Client), "client_reset"));

    let mut flow = Flow::new().await;
    reset(flow.target);
    let reason = timeout(SOON, &mut flow.closed).await.unwrap().unwrap().0;
    assert_eq!((reason.reset_by(), reason.as_str()), (Some(Side::Target), "target_reset"));

    let mut flow = Flow::new().await;
    drop(flow.client);
    drop(flow.target);
    let reason = timeout(SOON, &mut flow.closed).await.unwrap().unwrap().0;
    assert_eq!(reason.reset_by(), None);
    assert!(matches!(reason, CloseReason::Closed { first: Side::Client }), "{reason:?}");
}

#[tokio::test]
async fn a_rst_is_noticed_on_a_connection_that_nobody_reads_from() {
    // Its bytes are not taken by the target.
    let mut flow = Flow::new().await;
    let part = vec![1; 1 << 20];
    while timeout(Duration::from_millis(200), flow.client.write(&part)).await.is_ok() {}
    reset(flow.client);
    let reason = timeout(SOON / 4, &mut flow.closed).await.unwrap().unwrap().0;
    assert_eq!(reason.reset_by(), Some(Side::Client), "{reason:?}");

    // It has ended its stream before.
    let mut flow = Flow::new().await;
    flow.target.shutdown().await.unwrap();
    assert_eq!(flow.client.read(&mut [0]).await.unwrap(), 0);
    reset(flow.target);
    let reason = timeout(SOON / 4, &mut flow.closed).await.unwrap().unwrap().0;
    assert_eq!(reason.reset_by(), Some(Side::Target), "{reason:?}");
}

#[tokio::test]
async fn silence_ends_the_tunnel_and_a_byte_either_way_breaks_it() {
    for keepalive in [Keepalive::Counts, Keepalive::DoesNotCount] {
        let mut flow = Flow::begin(EarlyBytes::default(), IDLE, keepalive).await;
        tokio::time::sleep(IDLE / 2).await;
        flow.target.write_all(b"x").await.unwrap();
        flow.client.read_exact(&mut [0]).await.unwrap();
        let last = Instant::now();
        assert!(matches!(flow.reason().await, CloseReason::IdleTimeout));
        // That it is not much later is for the timer's own tests: here it is for the machine.
        let silent = last.elapsed();
        assert!(silent > IDLE.mul_f64(0.95), "{keepalive:?}: {silent:?}");
    }
}

#[tokio::test]
async fn keepalive_packets_of_either_side_break_the_silence_where_they_count() {
    // The shortest the system knows is a second.
    let every_second =
        TcpKeepalive::new().with_time(Duration::from_secs(1)).with_interval(Duration::from_secs(1));
    let mut by_client = Flow::begin(EarlyBytes::default(), IDLE, Keepalive::Counts).await;
    let mut by_target = Flow::begin(EarlyBytes::default(), IDLE, Keepalive::Counts).await;
    let mut not_counted = Flow::begin(EarlyBytes::default(), IDLE, Keepalive::DoesNotCount).await;
    SockRef::from(&by_client.client).set_tcp_keepalive(&every_second).unwrap();
    SockRef::from(&by_target.target).set_tcp_keepalive(&every_second).unwrap();
    SockRef::from(&not_counted.client).set_tcp_keepalive(&every_second).unwrap();

    let begun = Instant::now();
    assert!(matches!(not_counted.reason().await, CloseReason::IdleTimeout));
    let longer = IDLE * 5 / 2;
    assert!(timeout(longer.saturating_sub(begun.elapsed()), &mut by_client.closed).await.is_err());
    assert!(!by_target.closed.is_finished());

    SockRef::from(&by_client.client).set_keepalive(false).unwrap();
    SockRef::from(&by_target.target).set_keepalive(false).unwrap();
    assert!(matches!(by_client.reason().await, CloseReason::IdleTimeout));
    assert!(matches!(by_target.reason().await, CloseReason::IdleTimeout));
}

#[tokio::test]
async fn bytes_that_are_acknowledged_after_a_look_leave_the_silence_as_it_is() {
    let (_peer, mut near) = connected().await;
    // The peer acknowledges at once at first, and then takes its time.
    let written = Instant::now();
    let at_look = loop {
        near.write_all(b"x").await.unwrap();
        let now = packets(Some(&near)).unwrap();
        if now.unacked {
            break now;
        }
        assert!(written.elapsed() < SOON);
        tokio::task::yield_now().await;
    };
    let acknowledged = loop {
        let now = packets(Some(&near)).unwrap();
        if !now.unacked {
            break now;
        }
        assert!(written.elapsed() < SOON * 2);
        tokio::task::yield_now().await;
    };
    assert_ne!(acknowledged.received, at_look.received);

    for keepalive in [Keepalive::Counts, Keepalive::Answered] {
        let start = Instant::now();
        let mut silence = Silence::new(start, IDLE, keepalive);
        let mut now = silence.due();
        assert_eq!(silence.look(now, start, || [None, Some(at_look)]), Some(silence.due()));
        while let Some(due) = silence.look(now, start, || [None, Some(acknowledged)]) {
            now = due;
        }
        assert_eq!(now - start, IDLE);
    }
}

/// The tunnel's ends of a flow whose target sends keepalives every second, or never.
#[expect(clippy::disallowed_methods, reason = "a test awaits the task itself")]
async fn begin_watched(keepalive: Keepalive, by_target: bool) -> ([Socket; 2], [TcpStream; 2]) {
    let (client, mut near_client) = connected().await;
    let (target, mut near_target) = connected().await;
    let watched = [&near_client, &near_target].map(|near| SockRef::from(near).try_clone().unwrap());
    let every_second =
        TcpKeepalive::new().with_time(Duration::from_secs(1)).with_interval(Duration::from_secs(1));
    if by_target {
        SockRef::from(&target).set_tcp_keepalive(&every_second).unwrap();
    }
    tokio::spawn(async move {
        // A look every second.
        let settings = Settings { idle_timeout: Duration::from_secs(8), keepalive, traffic: None };
        let ended = std::future::pending();
        relay_tcp(&mut near_client, &mut near_target, EarlyBytes::default(), settings, ended).await
    });
    (watched, [client, target])
}

#[tokio::test]
async fn keepalive_packets_of_one_side_are_answered_with_our_own_to_both_where_that_is_so() {
    let (answered, _answered) = begin_watched(Keepalive::Answered, true).await;
    let (counted, _counted) = begin_watched(Keepalive::Counts, true).await;
    let (silent, _silent) = begin_watched(Keepalive::Answered, false).await;
    let on = |near: &[Socket; 2]| near.each_ref().map(|near| near.keepalive().unwrap());
    let begun = Instant::now();
    while on(&answered) != [true, true] {
        assert!(begun.elapsed() < SOON);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for near in &answered {
        assert_eq!(near.tcp_keepalive_time().unwrap(), Duration::from_secs(20));
        assert_eq!(near.tcp_keepalive_interval().unwrap(), Duration::from_secs(20));
    }
    assert_eq!([on(&counted), on(&silent)], [[false; 2]; 2]);
}

#[tokio::test]
async fn keepalive_packets_of_our_own_can_be_ended() {
    let (_peer, near) = connected().await;
    for send in [true, false] {
        keep_alive(Some(&near), send);
        assert_eq!(SockRef::from(&near).keepalive().unwrap(), send);
    }
}
