//! The dashboard's events, read from a socket.

use tokio::{io::BufReader, net::tcp::OwnedReadHalf};

use super::*;

/// A stream of events.
pub(super) struct Events {
    reader: BufReader<OwnedReadHalf>,
    _writer: tokio::net::tcp::OwnedWriteHalf,
}

impl Events {
    pub(super) async fn open(server: &Server) -> Self {
        let stream = TcpStream::connect(server.addr).await.unwrap();
        let (reader, mut writer) = stream.into_split();
        writer.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        Self { reader: BufReader::new(reader), _writer: writer }
    }

    /// The next line; `None` at the end.
    async fn line(&mut self) -> Option<String> {
        use tokio::io::AsyncBufReadExt as _;
        let mut line = String::new();
        let read = timeout(LIMIT, self.reader.read_line(&mut line)).await.expect("a line in time");
        (read.unwrap_or(0) > 0).then(|| line.trim_end().to_owned())
    }

    /// The next event of that name.
    pub(super) async fn next(&mut self, name: &str) -> Value {
        loop {
            let line = self.line().await.expect("the stream goes on");
            if line == format!("event: {name}") {
                let data = self.line().await.unwrap();
                return serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            }
        }
    }

    /// The first line of the answer.
    async fn status(&mut self) -> String {
        self.line().await.unwrap()
    }
}

#[tokio::test]
async fn a_stream_begins_with_what_is_configured_and_goes_on_with_what_happens() {
    let server = serving().await;
    server.state.readiness.enter(Phase::Ready);
    let mut events = Events::open(&server).await;
    assert_eq!(events.status().await, "HTTP/1.1 200 OK");
    let configuration = events.next("configuration").await;
    let names = |list: &str, member: &str| -> Vec<Value> {
        configuration[list].as_array().unwrap().iter().map(|it| it[member].clone()).collect()
    };
    assert_eq!(names("LoadBalancers", "LoadBalancerName"), ["edge"]);
    assert_eq!(names("Listeners", "Port"), [8080, 8081]);
    assert_eq!(names("Rules", "Priority"), ["7", "default", "default"]);
    assert_eq!(names("TargetGroups", "TargetGroupName"), ["web", "spare"]);
    assert_eq!(configuration["LoadBalancers"][0]["Attributes"]["idle_timeout.timeout_seconds"], "30");
    assert_eq!(configuration["TargetGroups"][0]["Attributes"]["deregistration_delay.timeout_seconds"], "300");
    assert_eq!(configuration["TokenRequired"], false);
    assert_eq!(configuration["StartTime"], "1970-01-01T00:00:00Z");
    assert!(names("FaultAttributes", "Key").contains(&json!("albeit.fault.abort.percent")));
    assert!(configuration["Findings"].is_array() && configuration["Overrides"].is_object());

    // What comes before the first tick is no rate.
    events.next("tick").await;
    let arn = configuration["LoadBalancers"][0]["LoadBalancerArn"].clone();
    let log_name = arn.as_str().unwrap().split_once("loadbalancer/").unwrap().1;
    let metrics = server.state.metrics.load_balancer(log_name);
    metrics.httpcode_elb_5xx.inc_by(50);
    server.state.metrics.elb_errors(log_name, "target_closed", 502).errors.inc_by(3);
    let tick = loop {
        let tick = events.next("tick").await;
        if tick["LoadBalancers"][0]["ElbErrorsPerSecond"].as_f64() > Some(0.0) {
            break tick;
        }
    };
    assert_eq!((&tick["Phase"], &tick["LoadBalancers"][0]["LoadBalancerArn"]), (&json!("ready"), &arn));
    assert_eq!(
        tick["LoadBalancers"][0]["ElbResponses"],
        json!([{ "Cause": "TargetClosed", "Status": 502, "Count": 3 }])
    );
    assert_eq!(tick["Rules"].as_object().unwrap().len(), 3);
    // Ordered by name.
    let target = &tick["TargetGroups"][1]["Targets"][0];
    assert_eq!(target["Target"], json!({ "Id": "10.0.0.1", "Port": 8080 }));
    assert_eq!(target["TargetHealth"]["Reason"], "Elb.InitialHealthChecking");
    assert_eq!((&target["RequestCount"], &target["OpenWebSockets"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn a_change_of_what_is_in_force_is_told() {
    let server = serving().await;
    let mut events = Events::open(&server).await;
    let before = events.next("configuration").await;
    let arn = &before["LoadBalancers"][0]["LoadBalancerArn"];
    let attributes = json!([{ "Key": "idle_timeout.timeout_seconds", "Value": "77" }]);
    let change = json!({ "LoadBalancerArn": arn, "Attributes": attributes });
    assert_eq!(server.act("PUT", "/attributes", change).await.0, 200);
    let after = events.next("configuration").await;
    assert_eq!(after["LoadBalancers"][0]["Attributes"]["idle_timeout.timeout_seconds"], "77");
    assert_eq!(after["Overrides"]["LoadBalancers"][0]["LoadBalancerName"], "edge");
    let force = json!({
        "TargetGroupName": "web", "Targets": [{ "Id": "10.0.0.1", "Port": 8080 }], "State": "unhealthy",
    });
    assert_eq!(server.act("POST", "/targets/health", force).await.0, 200);
    let forced = events.next("configuration").await;
    assert_eq!(forced["Overrides"]["ForcedHealth"][0]["State"], "albeit_forced_unhealthy");
}

#[tokio::test]
async fn draining_targets_tell_what_is_left_of_their_delay() {
    let server = serving().await;
    let mut events = Events::open(&server).await;
    events.next("tick").await;
    assert_eq!(server.act("POST", "/targets/drain", json!({ "TargetGroupName": "spare" })).await.0, 200);
    let target = loop {
        let mut tick = events.next("tick").await;
        let target = tick["TargetGroups"][0]["Targets"][0].take();
        if target["TargetHealth"]["State"] == "draining" {
            break target;
        }
    };
    let left = target["DeregistrationRemainingSeconds"].as_f64().unwrap();
    assert!((200.0..=300.0).contains(&left), "{target}");
}

#[tokio::test]
async fn the_seventeenth_stream_is_refused_and_a_closed_one_makes_room() {
    let server = serving().await;
    let mut open = Vec::new();
    for _ in 0..16 {
        let mut events = Events::open(&server).await;
        assert_eq!(events.status().await, "HTTP/1.1 200 OK");
        open.push(events);
    }
    let (status, answer) = server.read("/events").await;
    assert_eq!((status, &answer["Error"]["Code"]), (503, &json!("ServiceUnavailable")));
    open.pop();
    let reopened = async {
        while Events::open(&server).await.status().await != "HTTP/1.1 200 OK" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, reopened).await.expect("room for another stream");
}

#[tokio::test]
async fn shutdown_ends_open_streams() {
    let server = serving().await;
    let mut events = Events::open(&server).await;
    events.next("tick").await;
    server.shutdown.cancel();
    server.tracker.close();
    timeout(LIMIT, server.tracker.wait()).await.expect("nothing is left");
    let ended = async { while events.line().await.is_some() {} };
    timeout(LIMIT, ended).await.expect("the stream ends");
}

#[tokio::test]
async fn findings_are_those_of_what_is_in_force() {
    let asks =
        "conditions: [{ http_header: { name: X_Old, values: ['1'] } }, { host_header: [example.test] }]";
    let file =
        FILE.replace("conditions: [{ path_pattern: ['/old/*'] }, { host_header: [example.test] }]", asks);
    let server = serving_file(Source::from_text(&file, Path::new(""), "alb.yaml")).await;
    let codes = |findings: &Value| -> Vec<String> {
        let all = findings["Findings"].as_array().unwrap();
        all.iter().map(|finding| finding["Code"].as_str().unwrap().to_owned()).collect()
    };
    let removed = "drop-invalid-header-fields".to_owned();
    let (status, before) = server.read("/findings").await;
    assert_eq!((status, codes(&before).contains(&removed)), (200, false), "{before}");
    let (_, edge) = server.read("/load-balancers?Names=edge").await;
    let attributes = json!([{ "Key": "routing.http.drop_invalid_header_fields.enabled", "Value": "true" }]);
    let change =
        json!({ "LoadBalancerArn": edge["LoadBalancers"][0]["LoadBalancerArn"], "Attributes": attributes });
    let (status, answer) = server.act("PUT", "/attributes", change).await;
    assert_eq!(status, 200, "{answer}");
    let (_, after) = server.read("/findings").await;
    assert!(codes(&after).contains(&removed), "{after}");
    let finding = &after["Findings"][0];
    assert!(finding["Page"].as_str().unwrap().starts_with("docs/findings/"), "{finding}");
    assert!(finding["Settings"][0]["Key"].is_string(), "{finding}");
}
