use std::collections::HashSet;

use super::*;

#[test]
fn every_metric_has_a_series_a_unit_and_a_twin() {
    let metrics = Metrics::try_new().unwrap();
    let _lb = metrics.load_balancer("app/edge/1");
    let _nlb = metrics.network_load_balancer("net/edge/1");
    let _flows = metrics.network_target_group("net/edge/1", "targetgroup/db/1");
    let _proxy_protocol = metrics.proxy_protocol("net/edge/1", "TCP:5432");
    let _tg = metrics.target_group("app/edge/1", "targetgroup/web/1");
    let _hosts = metrics.host_counts("app/edge/1", "targetgroup/web/1");
    let _rule = metrics.rule("app/edge/1", "HTTP:80", 0);
    let _action = metrics.admin_action("Reload", "200");
    let _fault = metrics.fault("targetgroup/web/1", "delay");
    let _error = metrics.elb_errors("app/edge/1", "target_closed", 502);
    metrics.show_certificates(&[("edge", 1)]);
    let text = metrics.render().unwrap();
    let helps: Vec<&str> = text.lines().filter(|line| line.starts_with("# HELP albeit_")).collect();
    assert_eq!(helps.len(), 111, "a metric came or went: adapt the number");
    for help in &helps {
        assert!(help.contains(" Unit: ") && help.contains(". CloudWatch: "), "{help}");
    }
    let names: HashSet<&str> = helps.iter().filter_map(|help| help.split(' ').nth(2)).collect();
    for line in text.lines().filter(|line| line.starts_with("# TYPE albeit_")) {
        let mut words = line.split(' ').skip(2);
        let (name, kind) = (words.next().unwrap(), words.next().unwrap());
        assert!(names.contains(name), "{name}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
    }
}

#[test]
fn counting_shows_in_the_series_of_that_load_balancer_only() {
    let metrics = Metrics::try_new().unwrap();
    let edge = metrics.load_balancer("app/edge/1");
    let other = metrics.load_balancer("app/other/2");
    edge.processed_bytes.inc_by(300);
    other.processed_bytes.inc_by(1);
    metrics.load_balancer("app/edge/1").processed_bytes.inc_by(4);
    let text = metrics.render().unwrap();
    assert!(text.contains("albeit_processed_bytes_total{load_balancer=\"app/edge/1\"} 304\n"), "{text}");
    assert!(text.contains("albeit_processed_bytes_total{load_balancer=\"app/other/2\"} 1\n"), "{text}");
}

#[test]
fn load_balancers_of_one_type_have_no_series_of_the_other() {
    let metrics = Metrics::try_new().unwrap();
    let _alb = metrics.load_balancer("app/edge/1");
    let _nlb = metrics.network_load_balancer("net/edge/1");
    let text = metrics.render().unwrap();
    let of = |name: &str| -> HashSet<&str> {
        let label = format!("load_balancer=\"{name}\"");
        text.lines().filter(|line| line.contains(&label)).filter_map(|line| line.split('{').next()).collect()
    };
    let (application, network) = (of("app/edge/1"), of("net/edge/1"));
    let mut shared: Vec<&&str> = application.intersection(&network).collect();
    shared.sort();
    assert_eq!(shared, [&"albeit_access_log_lines_dropped_total", &"albeit_access_log_write_errors_total"]);
    assert!(network.contains("albeit_network_new_flow_count_total"), "{network:?}");
    assert!(application.contains("albeit_new_connection_count_total"), "{application:?}");
    let twin = "CloudWatch: AWS/NetworkELB NewFlowCount\n";
    assert!(text.contains(twin), "{text}");
}

#[test]
fn codes_made_by_the_load_balancer_count_by_class_and_code() {
    let metrics = Metrics::try_new().unwrap();
    let lb = metrics.load_balancer("app/edge/1");
    for code in [101, 200, 301, 460, 500, 502, 503, 504, 505] {
        lb.count_elb_status(code);
    }
    let classes = [&lb.httpcode_elb_3xx, &lb.httpcode_elb_4xx, &lb.httpcode_elb_5xx].map(Counter::get);
    assert_eq!(classes, [1, 1, 5]);
    let codes = [&lb.httpcode_elb_500, &lb.httpcode_elb_502, &lb.httpcode_elb_503, &lb.httpcode_elb_504];
    assert_eq!(codes.map(Counter::get), [1, 1, 1, 1]);
}

#[test]
fn codes_made_by_targets_count_by_class() {
    let metrics = Metrics::try_new().unwrap();
    let tg = metrics.target_group("app/edge/1", "targetgroup/web/1");
    for code in [101, 204, 304, 404, 404, 500] {
        tg.count_target_status(code);
    }
    let classes =
        [&tg.httpcode_target_2xx, &tg.httpcode_target_3xx, &tg.httpcode_target_4xx, &tg.httpcode_target_5xx];
    assert_eq!(classes.map(Counter::get), [1, 1, 2, 1]);
}

#[test]
fn forgotten_host_counts_leave_the_exposition() {
    let metrics = Metrics::try_new().unwrap();
    metrics.host_counts("app/edge/1", "targetgroup/web/1").healthy_host_count.set(2);
    metrics.target_group("app/edge/1", "targetgroup/web/1").healthy_state_dns.set(1);
    metrics.target_group("app/edge/1", "targetgroup/web/1").request_count.inc();
    metrics.forget_host_counts("app/edge/1", "targetgroup/web/1");
    metrics.forget_host_counts("app/edge/1", "targetgroup/never-seen/1");
    let text = metrics.render().unwrap();
    assert!(!text.contains("albeit_healthy_host_count{"), "{text}");
    assert!(!text.contains("albeit_healthy_state_dns{"), "{text}");
    assert!(text.contains("albeit_request_count_total{"), "{text}");
}

#[test]
fn errors_are_told_apart_by_their_cause() {
    let metrics = Metrics::try_new().unwrap();
    for (cause, status, times) in
        [("target_closed", 502, 2), ("connect_failed", 502, 1), ("no_targets", 503, 0)]
    {
        metrics.elb_errors("app/edge/1", cause, status).errors.inc_by(times);
    }
    metrics.elb_errors("app/other/1", "target_closed", 502).errors.inc();
    let counts = metrics.elb_error_counts("app/edge/1");
    let count = |cause: &str, count| ElbErrorCount { cause: cause.to_owned(), status: 502, count };
    assert_eq!(counts, [count("connect_failed", 1), count("target_closed", 2)]);
    let series =
        "albeit_elb_errors_total{cause=\"no_targets\",load_balancer=\"app/edge/1\",status=\"503\"} 0\n";
    assert!(metrics.render().unwrap().contains(series));
}

#[test]
fn only_certificates_that_are_in_use_have_an_end() {
    let metrics = Metrics::try_new().unwrap();
    metrics.show_certificates(&[("old", 1_700_000_000), ("kept", 1_800_000_000)]);
    metrics.show_certificates(&[("kept", 1_900_000_000), ("new", 2_000_000_000)]);
    let text = metrics.render().unwrap();
    let lines: Vec<_> =
        text.lines().filter(|line| line.starts_with("albeit_certificate_not_after")).collect();
    assert_eq!(
        lines,
        [
            "albeit_certificate_not_after_timestamp_seconds{certificate=\"kept\"} 1900000000",
            "albeit_certificate_not_after_timestamp_seconds{certificate=\"new\"} 2000000000",
        ]
    );
}
