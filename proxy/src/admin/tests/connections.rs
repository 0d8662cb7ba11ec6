//! `/connections` with filters and orders, with as many as there may be.

use tokio::time::Instant;

use super::*;
use crate::{
    access_log::record::ConnTraceId,
    client::{Connection, Meter, Usage, closing::Closing},
    metrics::{Gauge, OpenConnection},
};

/// Opens `count` connections; every third is a WebSocket, to one of two targets.
fn open(server: &Server, count: u16) -> Vec<Arc<Connection>> {
    let now = Instant::now();
    let connect = |index: u16| {
        let [high, low] = index.to_be_bytes();
        let client = SocketAddr::from(([10, 0, high, low], 40_000));
        // The later, the longer ago was its last byte, and the shorter is its idle timeout.
        let usage = Usage::new(Duration::from_secs(100_000 - u64::from(index)));
        let target = SocketAddr::from(([10, 1, 0, 1], 8080 + index % 2));
        if index.is_multiple_of(3) {
            usage.begin_websocket(target, Duration::from_secs(100_000 - u64::from(index)));
        }
        let meter = Meter::new(now, SystemTime::UNIX_EPOCH);
        meter.on_received(usize::from(index % 1000));
        server.state.connections.enter(|listed| Connection {
            client,
            local: SocketAddr::from(([127, 0, 0, 1], 8080)),
            tls: None,
            meter: Arc::new(meter),
            expires: now,
            trace_id: ConnTraceId(index.into()),
            closing: Closing::default(),
            usage,
            listed,
            open: OpenConnection::new(Gauge::new("open", "open").unwrap()),
        })
    };
    (0..count).map(connect).collect()
}

/// All pages; the identifiers' numbers, in order.
async fn all(server: &Server, parameters: &str, total: u64) -> Vec<u64> {
    let (mut numbers, mut marker) = (Vec::new(), String::new());
    loop {
        let (status, page) = server.read(&format!("/connections?PageSize=400{parameters}{marker}")).await;
        assert_eq!((status, &page["TotalCount"]), (200, &json!(total)), "{page}");
        numbers.extend(page["Connections"].as_array().unwrap().iter().map(|connection| {
            let id = connection["ConnectionId"].as_str().unwrap();
            u64::from_str_radix(id.strip_prefix("TID_").unwrap(), 16).unwrap()
        }));
        match page["NextMarker"].as_str() {
            Some(next) => marker = format!("&Marker={next}"),
            None => return numbers,
        }
    }
}

#[tokio::test]
async fn ten_thousand_connections_are_paged_in_any_order() {
    let server = serving().await;
    let _open = open(&server, 10_000);
    assert_eq!(all(&server, "", 10_000).await, (0..10_000).collect::<Vec<_>>());
    let (_, oldest) = server.read("/connections?PageSize=1&OrderBy=AgeSeconds").await;
    assert_eq!((&oldest["NextMarker"], &oldest["TotalCount"]), (&json!("1"), &json!(10_000)));
    let soonest: Vec<_> = (0..10_000).rev().collect();
    assert_eq!(all(&server, "&OrderBy=SecondsToIdleTimeout", 10_000).await, soonest);
    let by_bytes = all(&server, "&OrderBy=Bytes&Protocol=websocket", 3334).await;
    assert!(by_bytes.iter().zip(&by_bytes[1..]).all(|(a, b)| a % 1000 >= b % 1000), "{by_bytes:?}");
    let to_one = all(&server, "&Target=10.1.0.1:8081", 1667).await;
    assert!(to_one.iter().all(|number| number % 6 == 3), "{to_one:?}");
    let (_, page) =
        server.read("/connections?PageSize=50&OrderBy=SecondsToIdleTimeout&Client=10.0.0.7").await;
    assert_eq!((page["Connections"].as_array().unwrap().len(), &page["TotalCount"]), (1, &json!(1)));
}

#[tokio::test]
async fn filters_and_orders_that_are_none_are_named() {
    let server = serving().await;
    let refused = async |parameter: &str| {
        let (status, answer) = server.read(&format!("/connections?{parameter}")).await;
        assert_eq!(status, 400, "{answer}");
        answer["Error"]["Message"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        refused("OrderBy=Age").await,
        "'OrderBy' value 'Age' must be one of 'AcceptedTime, SecondsToIdleTimeout, AgeSeconds, Bytes'"
    );
    assert_eq!(
        refused("Protocol=ws").await,
        "'Protocol' value 'ws' must be one of 'http/1.1, h2, websocket'"
    );
    assert_eq!(refused("Target=web").await, "'Target' value 'web' must be an IP address and a port");
}
