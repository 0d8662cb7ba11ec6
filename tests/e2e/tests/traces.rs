//! OpenTelemetry traces: which requests have one, what is in it, and how it is exported.

use albeit_e2e::{
    Albeit, Ca, Collector, Config, Listener, Step, Target, TlsFront, eventually,
    otlp::{attribute, hex, is_error, is_server, text},
    target::{ok, switching_protocols},
    tls_front::trusted,
    wait::SOON,
    websocket::upgrade,
};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// Timers are a tenth: a span waits for others for half a second.
const TIME_SCALE: u32 = 10;

fn traceparent(flags: &str) -> String {
    format!("traceparent: 00-{TRACE}-{PARENT}-{flags}")
}

fn with(mut traces: Value, key: &str, value: impl Into<Value>) -> Value {
    if let Value::Object(traces) = &mut traces {
        traces.insert(key.to_owned(), value.into());
    }
    traces
}

fn tracing(target: &Target, traces: Value) -> Result<Config> {
    Ok(Config::forwarding_to(&[target.addr()])?.with_time_scale(TIME_SCALE).with_traces(traces))
}

async fn start(target: &Target, traces: Value) -> Result<Albeit> {
    Albeit::start(tracing(target, traces)?).await
}

/// Waits until a counter is at least `least`.
async fn counted(albeit: &Albeit, name: &str, least: f64) -> Result<f64> {
    eventually(SOON, name, || async {
        let value = albeit.metrics().await?.sum(name, "");
        ensure!(value >= least, "{value}");
        Ok(value)
    })
    .await
}

#[tokio::test]
async fn a_request_with_a_traceparent_becomes_a_child_and_its_target_a_grandchild() -> Result<()> {
    let (collector, target) = (Collector::start()?, Target::saying("ok")?);
    let albeit = start(&target, collector.traces()).await?;
    let fields = [&*traceparent("01"), "tracestate: a=1", "tracestate: b=2"];
    albeit.client().await?.get_with("/cart?token=secret", &fields).await?;
    let (server, attempts) = collector.request("/cart").await?;
    assert!(is_server(&server) && attempts.len() == 1 && !is_server(&attempts[0]));
    let client = &attempts[0];
    assert_eq!((hex(&server.trace_id), hex(&client.trace_id)), (TRACE.to_owned(), TRACE.to_owned()));
    assert_eq!((hex(&server.parent_span_id), &*server.trace_state), (PARENT.to_owned(), "a=1,b=2"));
    let seen = target.request(1).await?;
    assert_eq!(seen.header("traceparent")?, format!("00-{TRACE}-{}-01", hex(&client.span_id)));
    assert_eq!(seen.headers("tracestate"), ["a=1", "b=2"]);
    assert!(!format!("{server:?}{client:?}").contains("secret"));

    let record = albeit.record("/cart").await?;
    assert_eq!(text(&server, "albeit.trace_id"), record["trace_id"]);
    assert_eq!(text(&server, "albeit.conn_trace_id"), record["conn_trace_id"]);
    assert_eq!(text(&server, "albeit.target"), record["target:port"]);
    assert_eq!(text(&server, "albeit.target_group_arn"), record["target_group_arn"]);
    assert_eq!(text(&server, "albeit.matched_rule_priority"), record["matched_rule_priority"]);
    assert_eq!(text(client, "url.full"), format!("http://{}/cart", target.addr()));
    for span in [&server, client] {
        assert_eq!((&*span.name, text(span, "http.response.status_code")), ("GET", "200".to_owned()));
        assert!(!is_error(span) && text(span, "error.type").is_empty());
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
    }
    assert!(server.start_time_unix_nano <= client.start_time_unix_nano);
    Ok(())
}

#[tokio::test]
async fn without_a_traceparent_the_trace_is_that_of_x_amzn_trace_id() -> Result<()> {
    let (collector, target) = (Collector::start()?, Target::saying("ok")?);
    let albeit = start(&target, collector.traces()).await?;
    let root = "X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8";
    // A tracestate without a traceparent belongs to no trace.
    albeit.client().await?.get_with("/given", &[root, "tracestate: a=1"]).await?;
    let (server, _) = collector.request("/given").await?;
    assert_eq!(hex(&server.trace_id), "5759e988bd862e3fe1be46a994272793");
    assert_eq!(hex(&server.parent_span_id), "53995c3f42cd8ad8");
    let seen = target.request(1).await?;
    assert!(seen.header("traceparent")?.starts_with("00-5759e988bd862e3fe1be46a994272793-"), "{}", seen.head);
    assert!(seen.headers("tracestate").is_empty(), "{}", seen.head);

    albeit.get("/made").await?;
    let (server, _) = collector.request("/made").await?;
    let trace_id = albeit.record("/made").await?["trace_id"].clone();
    let digits = trace_id.trim_start_matches("Root=1-").replace('-', "");
    assert_eq!(hex(&server.trace_id), digits, "the log's {trace_id}");
    assert!(server.parent_span_id.is_empty());
    assert_eq!(target.request(2).await?.header("x-amzn-trace-id")?, trace_id);
    Ok(())
}

#[tokio::test]
async fn at_ratio_0_only_what_the_caller_has_sampled_is_recorded() -> Result<()> {
    let (collector, target) = (Collector::start()?, Target::saying("ok")?);
    let albeit = start(&target, with(collector.traces(), "sampling_ratio", "0")).await?;
    let mut client = albeit.client().await?;
    client.get("/unsampled").await?;
    assert!(target.request(1).await?.header("traceparent")?.ends_with("-00"));
    client
        .get_with("/amzn", &["X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"])
        .await?;
    client.get_with("/w3c", &[&*traceparent("01")]).await?;
    collector.request("/w3c").await?;
    collector.request("/amzn").await?;
    // Spans are exported in the order in which their requests ended.
    assert!(collector.spans()?.iter().all(|span| text(span, "url.path") != "/unsampled"));
    Ok(())
}

#[tokio::test]
async fn at_ratio_1_what_the_caller_has_not_sampled_passes_as_it_came() -> Result<()> {
    let (collector, target) = (Collector::start()?, Target::saying("ok")?);
    let albeit = start(&target, collector.traces()).await?;
    let mut client = albeit.client().await?;
    client.get_with("/unsampled", &[&*traceparent("00"), "tracestate: a=1"]).await?;
    let seen = target.request(1).await?;
    assert_eq!(seen.header("traceparent")?, format!("00-{TRACE}-{PARENT}-00"));
    assert_eq!(seen.header("tracestate")?, "a=1");
    client.get("/sampled").await?;
    let (server, _) = collector.request("/sampled").await?;
    assert!(server.parent_span_id.is_empty());
    assert!(collector.spans()?.iter().all(|span| text(span, "url.path") != "/unsampled"));
    Ok(())
}

#[tokio::test]
async fn hostile_headers_begin_a_new_trace() -> Result<()> {
    let (collector, target) = (Collector::start()?, Target::saying("ok")?);
    let albeit = start(&target, collector.traces()).await?;
    let mut client = albeit.client().await?;
    let (upper, twice) = (traceparent("01").to_uppercase(), traceparent("01"));
    let sets: [&[&str]; 4] = [
        &[&upper, "tracestate: a=1"],
        &[&twice, &twice],
        &["traceparent: ", "X-Amzn-Trace-Id: Root=;Parent=;Sampled=1"],
        &["traceparent: 00-00000000000000000000000000000000-00f067aa0ba902b7-01"],
    ];
    for (number, fields) in sets.into_iter().enumerate() {
        let path = format!("/hostile/{number}");
        client.get_with(&path, fields).await?;
        let (server, attempts) = collector.request(&path).await?;
        assert!(server.parent_span_id.is_empty() && hex(&server.trace_id) != TRACE, "{fields:?}");
        let seen = target.request(number + 1).await?;
        let own = format!("00-{}-{}-01", hex(&server.trace_id), hex(&attempts[0].span_id));
        assert_eq!((seen.header("traceparent")?, seen.headers("tracestate")), (&*own, vec![]), "{fields:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_502_is_an_error_with_its_cause() -> Result<()> {
    let (collector, mut target) = (Collector::start()?, Target::start(|_| vec![Step::Close])?);
    let albeit = start(&target, collector.traces()).await?;
    assert_eq!(albeit.get("/closed").await?.status, 502);
    let (server, attempts) = collector.request("/closed").await?;
    for span in [&server, &attempts[0]] {
        assert!(is_error(span));
        assert_eq!(text(span, "error.type"), "target_closed");
    }
    assert_eq!(text(&server, "http.response.status_code"), "502");
    assert_eq!(text(&attempts[0], "http.response.status_code"), "");
    target.stop().await;
    assert_eq!(albeit.get("/refused").await?.status, 502);
    let (server, attempts) = collector.request("/refused").await?;
    assert_eq!(text(&server, "error.type"), "connect_failed");
    assert_eq!(text(&attempts[0], "error.type"), "connect_failed");
    Ok(())
}

#[tokio::test]
async fn what_the_load_balancer_answers_has_no_attempt() -> Result<()> {
    let (collector, target) = (Collector::start()?, Target::saying("ok")?);
    let fixed = json!({ "fixed_response": { "status_code": "404" } });
    let config = tracing(&target, collector.traces())?;
    let albeit = Albeit::start(config.with_listener(Listener::http(fixed)?)).await?;
    let mut client = albeit_e2e::Client::connect(albeit.listener(1)?).await?;
    client.get_with("/fixed", &[&*traceparent("01")]).await?;
    let (server, attempts) = collector.request("/fixed").await?;
    assert_eq!((hex(&server.trace_id), attempts.len()), (TRACE.to_owned(), 0));
    assert_eq!(text(&server, "http.response.status_code"), "404");
    assert!(!is_error(&server) && text(&server, "error.type").is_empty());
    // A request that cannot be read has a span, too.
    client.send("nonsense\r\n\r\n").await?;
    assert_eq!(client.response().await?.status, 400);
    let (server, _) = collector.request("").await?;
    assert_eq!((&*server.name, text(&server, "error.type")), ("HTTP", "bad_request".to_owned()));
    Ok(())
}

#[tokio::test]
async fn each_attempt_is_a_span_and_its_target_hears_of_it() -> Result<()> {
    let collector = Collector::start()?;
    let target = Target::start(|request| match (request.connection, request.number) {
        (0, 1) => vec![Step::Close],
        _ => vec![Step::Send(ok("ok"))],
    })?;
    let config = tracing(&target, collector.traces())?
        .map_group(|group| group.with_attribute("albeit.retry_closed_reused_connection", true));
    let albeit = Albeit::start(config).await?;
    let mut client = albeit.client().await?;
    client.get("/first").await?;
    assert_eq!(client.get("/raced").await?.status, 200);
    let (server, attempts) = collector.request("/raced").await?;
    let told: Vec<String> =
        attempts.iter().map(|it| format!("00-{}-{}-01", hex(&it.trace_id), hex(&it.span_id))).collect();
    let seen: Vec<String> = target
        .requests()
        .iter()
        .skip(1)
        .flat_map(|it| it.headers("traceparent"))
        .map(str::to_owned)
        .collect();
    assert_eq!((seen.len(), &seen), (2, &told));
    assert_eq!([0, 1].map(|it| text(&attempts[it], "error.type")), ["target_closed", ""]);
    assert_eq!([0, 1].map(|it| text(&attempts[it], "http.request.resend_count")), ["", "1"]);
    assert!(!is_error(&server) && is_error(&attempts[0]) && !is_error(&attempts[1]));
    Ok(())
}

#[tokio::test]
async fn a_websocket_is_one_span_that_is_exported_when_it_closes() -> Result<()> {
    let collector = Collector::start()?;
    let target = Target::start(|request| {
        let upgrades = !request.headers("upgrade").is_empty();
        if upgrades {
            vec![Step::Send(switching_protocols()), Step::Relay]
        } else {
            vec![Step::Send(ok("ok"))]
        }
    })?;
    let albeit = start(&target, collector.traces()).await?;
    let mut client = albeit.client().await?;
    upgrade(&mut client, "/socket").await?;
    albeit.get("/meanwhile").await?;
    collector.request("/meanwhile").await?;
    assert!(collector.spans()?.iter().all(|span| text(span, "url.path") != "/socket"), "it is still open");
    client.send("hello").await?;
    assert_eq!(client.read_exactly(5).await?, b"hello");
    drop(client);
    let (server, attempts) = collector.request("/socket").await?;
    assert_eq!(text(&server, "albeit.type"), "ws");
    assert_eq!(text(&server, "http.response.status_code"), "101");
    let names: Vec<&str> = server.events.iter().map(|event| &*event.name).collect();
    assert_eq!(names, ["upgraded", "closed"]);
    let closed = &server.events[1].attributes;
    assert_eq!(attribute(closed, "albeit.close_reason"), "client_closed");
    let record = albeit.record("/socket").await?;
    assert_eq!(attribute(closed, "albeit.sent_bytes"), record["sent_bytes"]);
    let end = attempts[0].end_time_unix_nano;
    assert!(end <= server.events[1].time_unix_nano && end >= attempts[0].start_time_unix_nano);
    Ok(())
}

#[tokio::test]
async fn a_collector_that_is_down_harms_no_request_and_comes_back() -> Result<()> {
    let (mut collector, target) = (Collector::start()?, Target::saying("ok")?);
    collector.stop().await;
    let albeit = start(&target, collector.traces()).await?;
    let mut client = albeit.client().await?;
    for number in 0..300 {
        assert_eq!(client.get(&format!("/down/{number}")).await?.status, 200);
    }
    counted(&albeit, "albeit_trace_export_errors_total", 1.0).await?;
    counted(&albeit, "albeit_trace_spans_dropped_total", 2.0).await?;
    collector.resume()?;
    client.get("/up").await?;
    collector.request("/up").await?;
    eventually(SOON, "every span to be taken or counted as lost", || async {
        let metrics = albeit.metrics().await?;
        let of = |name: &str| metrics.sum(name, "");
        let sum = of("albeit_trace_spans_exported_total") + of("albeit_trace_spans_dropped_total");
        ensure!((sum - 602.0).abs() < 0.5, "{sum} of 602");
        Ok(())
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn what_a_collector_cannot_take_now_is_sent_again() -> Result<()> {
    let (collector, target) = (Collector::start()?, Target::saying("ok")?);
    collector.answer_with(503);
    let albeit = start(&target, with(collector.traces(), "headers", json!({ "Api-Key": "s3cret" }))).await?;
    albeit.get("/again").await?;
    counted(&albeit, "albeit_trace_export_errors_total", 1.0).await?;
    collector.answer_with(200);
    counted(&albeit, "albeit_trace_spans_exported_total", 2.0).await?;
    let exports = collector.exports();
    assert!(exports.len() >= 2);
    for export in &exports {
        assert_eq!((export.header("api-key")?, &export.body), ("s3cret", &exports[0].body));
    }
    // What is refused for good is not.
    collector.answer_with(400);
    albeit.get("/refused").await?;
    counted(&albeit, "albeit_trace_spans_dropped_total", 2.0).await?;
    assert_eq!(collector.exports().len(), exports.len() + 1);
    Ok(())
}

#[tokio::test]
async fn shutdown_sends_what_is_queued() -> Result<()> {
    let (collector, target) = (Collector::start()?, Target::saying("ok")?);
    // Unscaled, spans wait for five seconds.
    let config = Config::forwarding_to(&[target.addr()])?.with_traces(collector.traces());
    let mut albeit = Albeit::start(config).await?;
    for number in 0..20 {
        albeit.get(&format!("/last/{number}")).await?;
    }
    assert!(albeit.stop().await?.success());
    assert_eq!(collector.spans()?.iter().filter(|span| is_server(span)).count(), 20);
    Ok(())
}

#[tokio::test]
async fn a_reload_switches_traces_on_and_off() -> Result<()> {
    let (collector, target) = (Collector::start()?, Target::saying("ok")?);
    let on = tracing(&target, collector.traces())?;
    let mut off = on.clone();
    off.traces = None;
    let mut albeit = Albeit::start(off.clone()).await?;
    let passes = async |albeit: &Albeit, expected: bool| {
        eventually(SOON, "the reload", || async {
            let count = target.requests().len();
            albeit.client().await?.get_with("/reload", &[&*traceparent("01")]).await?;
            let seen = target.request(count + 1).await?;
            ensure!((seen.header("traceparent")? == format!("00-{TRACE}-{PARENT}-01")) == expected);
            Ok(())
        })
        .await
    };
    // Without traces ELB's behaviour: what it does not know, it passes on.
    passes(&albeit, true).await?;
    albeit.reload(on).await?;
    passes(&albeit, false).await?;
    albeit.get("/on").await?;
    collector.request("/on").await?;
    albeit.reload(off).await?;
    passes(&albeit, true).await?;
    albeit.get("/off").await?;
    assert!(albeit.stop().await?.success());
    assert!(collector.spans()?.iter().all(|span| text(span, "url.path") != "/off"));
    Ok(())
}

#[tokio::test]
async fn targets_are_not_told_if_that_is_not_wanted() -> Result<()> {
    let (collector, target) = (Collector::start()?, Target::saying("ok")?);
    let albeit = start(&target, with(collector.traces(), "propagate", false)).await?;
    let mut client = albeit.client().await?;
    client.get_with("/silent", &[&*traceparent("01")]).await?;
    client.get("/bare").await?;
    collector.request("/silent").await?;
    assert_eq!(target.request(1).await?.header("traceparent")?, format!("00-{TRACE}-{PARENT}-01"));
    assert!(target.request(2).await?.headers("traceparent").is_empty());
    Ok(())
}

#[tokio::test]
async fn a_collector_may_be_behind_tls() -> Result<()> {
    let (ca, collector, target) = (Ca::try_new()?, Collector::start()?, Target::saying("ok")?);
    let mut config = Config::forwarding_to(&[target.addr()])?.with_time_scale(TIME_SCALE);
    let certificate = ca.issue(config.dir(), "collector", &["localhost"])?;
    let front = TlsFront::start(collector.addr(), trusted(&certificate)?)?;
    config.trusted = Some(ca.write(config.dir())?);
    let endpoint = format!("https://localhost:{}", front.addr().port());
    let albeit = Albeit::start(config.with_traces(json!({ "endpoint": endpoint }))).await?;
    albeit.get("/secure").await?;
    collector.request("/secure").await?;
    Ok(())
}
