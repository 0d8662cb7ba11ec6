//! Why tunnels between real connections end, and when.

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};

use super::tcp::{Flow, SOON};
use crate::tunnel::{CloseReason, EarlyBytes, Keepalive, Side, reset};

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
        let silent = last.elapsed();
        assert!(silent > IDLE.mul_f64(0.95) && silent < IDLE.mul_f64(1.6), "{keepalive:?}: {silent:?}");
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
    assert!(begun.elapsed() < IDLE * 3 / 2);
    let longer = IDLE * 5 / 2;
    assert!(timeout(longer.saturating_sub(begun.elapsed()), &mut by_client.closed).await.is_err());
    assert!(!by_target.closed.is_finished());

    SockRef::from(&by_client.client).set_keepalive(false).unwrap();
    SockRef::from(&by_target.target).set_keepalive(false).unwrap();
    assert!(matches!(by_client.reason().await, CloseReason::IdleTimeout));
    assert!(matches!(by_target.reason().await, CloseReason::IdleTimeout));
}

#[tokio::test]
async fn keepalive_packets_of_one_side_are_answered_with_our_own_to_both_where_that_is_so() {
    let every_second =
        TcpKeepalive::new().with_time(Duration::from_secs(1)).with_interval(Duration::from_secs(1));
    let mut answered = Flow::begin(EarlyBytes::default(), IDLE, Keepalive::Answered).await;
    let mut counted = Flow::begin(EarlyBytes::default(), IDLE, Keepalive::Counts).await;
    let mut silent = Flow::begin(EarlyBytes::default(), IDLE, Keepalive::Answered).await;
    SockRef::from(&answered.target).set_tcp_keepalive(&every_second).unwrap();
    SockRef::from(&counted.target).set_tcp_keepalive(&every_second).unwrap();
    assert!(timeout(IDLE * 5 / 2, &mut answered.closed).await.is_err());
    for (flow, expected) in [(&mut answered, true), (&mut counted, false), (&mut silent, false)] {
        flow.client.shutdown().await.unwrap_or_default();
        flow.target.shutdown().await.unwrap_or_default();
        let (_, client, target) = timeout(SOON, &mut flow.closed).await.unwrap().unwrap();
        for near in [client, target] {
            let near = SockRef::from(&near);
            assert_eq!(near.keepalive().unwrap(), expected);
            assert_eq!(near.tcp_keepalive_time().unwrap() == Duration::from_secs(20), expected);
            assert_eq!(near.tcp_keepalive_interval().unwrap() == Duration::from_secs(20), expected);
        }
    }
}
