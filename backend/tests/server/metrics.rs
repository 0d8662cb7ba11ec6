//! Metrics over HTTP.

use crate::harness::start;

#[tokio::test]
async fn requests_are_counted_by_template_status_and_outcome() {
    let server = start(|_| {});
    for path in ["/health", "/health", "/made-up/1", "/made-up/2"] {
        server.get(path).await;
    }
    let _stomp = server.stomp().await;
    let (code, metrics) = server.get("/actuator/prometheus").await;
    assert_eq!(code, 200);
    for (labels, count) in [
        (r#"method="GET",outcome="SUCCESS",status="200",uri="/health""#, 2),
        (r#"method="GET",outcome="CLIENT_ERROR",status="404",uri="NOT_FOUND""#, 2),
        (r#"method="GET",outcome="INFORMATIONAL",status="101",uri="/ws""#, 1),
    ] {
        let line = format!("http_server_requests_seconds_count{{{labels}}} {count}\n");
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
    assert!(!metrics.contains("made-up"));
    assert!(metrics.contains("\ntomcat_connections_config_max_connections 10000\n"));
    assert!(metrics.contains("\nprocess_uptime_seconds "));
}

#[tokio::test]
async fn a_message_is_timed_and_counted() {
    let server = start(|_| {});
    let mut stomp = server.stomp().await;
    stomp.send("SUBSCRIBE\nid:0\ndestination:/topic/room.a\n\n\0").await;
    stomp.send("SEND\ndestination:/app/room.a\nreceipt:r\n\nhi\0").await;
    while !stomp.text().await.starts_with("RECEIPT") {}
    let (_, metrics) = server.get("/metrics").await;
    for line in [
        "websocket_connections_active 1",
        "websocket_messages_received_total 1",
        "websocket_message_processing_time_seconds_count 1",
    ] {
        assert!(metrics.contains(&format!("\n{line}\n")), "{line}{metrics}");
    }
    let phi = "websocket_message_processing_time_percentile_seconds{phi=\"0.99\"} ";
    let (_, rest) = metrics.split_once(phi).expect("a percentile");
    let seconds: f64 = rest.lines().next().unwrap().parse().unwrap();
    assert!(seconds > 0.0, "{seconds}");
}

#[tokio::test]
async fn a_script_that_scales_reads_the_active_connections() {
    let server = start(|_| {});
    let _stomp = server.stomp().await;
    let (code, body) = server.get("/actuator/metrics/websocket.connections.active").await;
    assert_eq!(code, 200);
    let meter: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(meter["measurements"][0]["value"], 1.0);
    assert_eq!(server.get("/actuator/metrics/nothing").await.0, 404);
    assert_eq!(server.get("/actuator/metrics/http.server.requests?tag=uri:/nowhere").await.0, 404);
    assert!(server.get("/actuator/metrics").await.1.contains(r#""websocket.connections.active","#));
}
