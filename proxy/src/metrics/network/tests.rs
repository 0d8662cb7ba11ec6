use super::*;
use crate::metrics::Metrics;

const NAME: &str = "net/edge/1";

/// The value of a series of the load balancer; `None` if it is not there.
fn value(metrics: &Metrics, name: &str) -> Option<u64> {
    let text = metrics.render().unwrap();
    let series = format!("{name}{{load_balancer=\"{NAME}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&series)).map(|value| value.parse().unwrap())
}

#[track_caller]
fn check(metrics: &Metrics, expected: &[(&str, u64)]) {
    for (name, count) in expected {
        assert_eq!(value(metrics, &format!("albeit_network_{name}")), Some(*count), "{name}");
    }
}

#[test]
fn a_flow_is_active_until_it_is_closed_and_new_for_ever() {
    let metrics = Metrics::try_new().unwrap();
    let edge = metrics.network_load_balancer(NAME);
    let tcp = edge.begin_flow(Protocol::Tcp);
    let tls = edge.begin_flow(Protocol::Tls);
    check(&metrics, &[("active_flow_count", 2), ("active_flow_count_tcp", 1), ("active_flow_count_tls", 1)]);
    tcp.close(CloseReason::ClientFin);
    check(&metrics, &[("active_flow_count", 1), ("active_flow_count_tcp", 0), ("active_flow_count_tls", 1)]);
    drop(tls);
    check(
        &metrics,
        &[
            ("active_flow_count", 0),
            ("active_flow_count_tls", 0),
            ("new_flow_count_total", 2),
            ("new_flow_count_tcp_total", 1),
            ("new_flow_count_tls_total", 1),
        ],
    );
}

#[test]
fn bytes_count_by_what_the_listener_speaks() {
    let metrics = Metrics::try_new().unwrap();
    let edge = metrics.network_load_balancer(NAME);
    edge.count_bytes(Protocol::Tcp, 30);
    edge.count_bytes(Protocol::Tls, 4);
    check(
        &metrics,
        &[("processed_bytes_total", 34), ("processed_bytes_tcp_total", 30), ("processed_bytes_tls_total", 4)],
    );
}

#[test]
fn a_refused_flow_is_neither_new_nor_active() {
    let metrics = Metrics::try_new().unwrap();
    let edge = metrics.network_load_balancer(NAME);
    edge.reject_flow(Protocol::Tcp);
    edge.reject_flow(Protocol::Tls);
    check(
        &metrics,
        &[
            ("rejected_flow_count_total", 2),
            ("rejected_flow_count_tcp_total", 1),
            ("new_flow_count_total", 0),
            ("active_flow_count", 0),
        ],
    );
}

#[test]
fn each_close_reason_has_a_series_and_some_count_in_a_metric_of_elb() {
    let metrics = Metrics::try_new().unwrap();
    let edge = metrics.network_load_balancer(NAME);
    for (times, &reason) in CloseReason::ALL.iter().enumerate() {
        for _ in 0..times {
            edge.begin_flow(Protocol::Tcp).close(reason);
        }
    }
    let text = metrics.render().unwrap();
    let place = |wanted: CloseReason| CloseReason::ALL.iter().position(|&reason| reason == wanted).unwrap();
    for &reason in CloseReason::ALL {
        let (name, times) = (reason.as_str(), place(reason));
        let series = format!(
            "albeit_network_flows_closed_total{{load_balancer=\"{NAME}\",reason=\"{name}\"}} {times}\n"
        );
        assert!(text.contains(&series), "{series} in\n{text}");
    }
    for (name, reason) in [
        ("tcp_client_reset_count_total", CloseReason::ClientReset),
        ("tcp_target_reset_count_total", CloseReason::TargetReset),
        ("port_allocation_error_count_total", CloseReason::PortAllocationError),
        ("client_tls_negotiation_error_count_total", CloseReason::ClientTlsError),
        ("target_tls_negotiation_error_count_total", CloseReason::TargetTlsError),
    ] {
        check(&metrics, &[(name, u64::try_from(place(reason)).unwrap())]);
    }
    check(&metrics, &[("tcp_elb_reset_count_total", 0)]);
}
