//! Responses that the balancer makes itself: status, exact bytes, log record.

use std::{sync::Arc, time::Duration};

use albeit_e2e::{
    Albeit, Ca, Client, Config, Group, Listener, Response, Step, Target,
    access_log::Record,
    ca::ALL_VERSIONS,
    client::{Body, connect_and_reset},
    forward,
    ports::HeldPort,
    target::{ok, response},
    wait::SOON,
};
use anyhow::{Context as _, Result, ensure};

/// The page ELB sends with an error.
fn page(status: &str) -> String {
    format!(
        "<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n\
         <center><h1>{status}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
}

/// Checks each byte of an error response except the date.
#[track_caller]
fn check_page(response: &Response, status: &str, connection: &str) {
    let page = page(status);
    let lines: Vec<&str> = response.head.trim_end().split("\r\n").collect();
    let date = lines.iter().position(|line| line.starts_with("Date: ")).expect("a date");
    assert!(lines[date].ends_with(" GMT") && lines[date].len() == "Date: ".len() + 29, "{}", lines[date]);
    let length = format!("Content-Length: {}", page.len());
    let connection = format!("Connection: {connection}");
    let expected = [
        &format!("HTTP/1.1 {status}"),
        "Server: awselb/2.0",
        lines[date],
        "Content-Type: text/html",
        &length,
        &connection,
    ];
    assert_eq!(lines, expected);
    assert_eq!(response.text(), page);
}

#[track_caller]
fn check_record(record: &Record, expected: &[(&str, &str)]) {
    for (field, value) in expected {
        assert_eq!(record[*field], *value, "{field} of {record:?}");
    }
}

/// Fields of a record of a request that no target answered.
const UNANSWERED: [(&str, &str); 4] = [
    ("target_status_code", "-"),
    ("response_processing_time", "-1"),
    ("target_status_code_list", "-"),
    ("error_reason", "-"),
];

#[test]
fn page_lengths_are_those_captured_from_elb() {
    for (status, length) in [
        ("400 Bad Request", 122),
        ("502 Bad Gateway", 122),
        ("503 Service Temporarily Unavailable", 162),
        ("504 Gateway Time-out", 132),
    ] {
        assert_eq!(page(status).len(), length, "{status}");
    }
}

/// A balancer whose only target is `addr`, healthy because its checks go to another port.
async fn in_front_of_port(
    port: &HeldPort,
    change: impl FnOnce(Config) -> Config,
) -> Result<(Albeit, Target)> {
    let checked = Target::saying("checked")?;
    let config = Config::forwarding_to(&[port.addr()])?;
    let config = config.map_group(|group| group.with_health("port", checked.addr().port()));
    Ok((Albeit::start(change(config)).await?, checked))
}

async fn in_front_of(target: &Target) -> Result<Albeit> {
    Albeit::start(Config::forwarding_to(&[target.addr()])?).await
}

#[tokio::test]
async fn a_malformed_request_gets_400_and_close() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = in_front_of(&target).await?;
    let mut client = albeit.client().await?;
    client.send("NONSENSE\r\n\r\n").await?;
    check_page(&client.response().await?, "400 Bad Request", "close");
    assert!(client.closed().await?.is_empty());
    let port = albeit.listener(0)?.port();
    let record = albeit.record("- ").await?;
    // ELB writes the unreadable request with the listener's scheme and port and no method, path or version.
    assert!(
        record.request().starts_with("- http://") && record.request().ends_with(&format!(":{port}- -")),
        "{record:?}"
    );
    check_record(
        &record,
        &[
            ("type", "http"),
            ("elb_status_code", "400"),
            ("target:port", "-"),
            ("request_processing_time", "-1"),
        ],
    );
    check_record(&record, &UNANSWERED);
    assert_eq!(target.requests().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_header_line_of_16_kib_gets_400() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = in_front_of(&target).await?;
    let fits = format!("X-Big: {}", "a".repeat(15_000));
    assert_eq!(albeit.client().await?.get_with("/fits", &[&fits]).await?.status, 200);
    let big = format!("X-Big: {}", "a".repeat(16_384));
    let refused = albeit.client().await?.get_with("/too-big", &[&big]).await?;
    assert_eq!(refused.status, 400);
    assert_eq!(target.requests().len(), 1);
    Ok(())
}

#[tokio::test]
async fn heads_of_more_than_64_kib_get_400() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = in_front_of(&target).await?;
    let line = |n: usize| format!("X-{n}: {}", "a".repeat(8_000));
    let headers: Vec<String> = (0..9).map(line).collect();
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    assert_eq!(albeit.client().await?.get_with("/64k", &headers).await?.status, 400);
    Ok(())
}

#[tokio::test]
async fn a_request_line_of_more_than_16_kib_gets_414() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = in_front_of(&target).await?;
    let path = format!("/{}", "a".repeat(17_000));
    assert_eq!(albeit.get(&path).await?.status, 414);
    assert_eq!(target.requests().len(), 0);
    Ok(())
}

async fn refusal_of(request: &str) -> Result<u16> {
    let target = Target::saying("ok")?;
    let albeit = in_front_of(&target).await?;
    let mut client = albeit.client().await?;
    client.send(request).await?;
    let status = client.response().await?.status;
    assert_eq!(target.requests().len(), 0);
    Ok(status)
}

#[tokio::test]
async fn trace_gets_405() -> Result<()> {
    assert_eq!(refusal_of("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n").await?, 405);
    Ok(())
}

#[tokio::test]
async fn a_transfer_coding_other_than_chunked_gets_501() -> Result<()> {
    for coding in ["gzip", "gzip, chunked"] {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {coding}\r\n\r\n0\r\n\r\n");
        assert_eq!(refusal_of(&request).await?, 501, "{coding}");
    }
    Ok(())
}

#[tokio::test]
async fn more_than_30_forwarded_addresses_get_463() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = in_front_of(&target).await?;
    let list = |count: usize| format!("X-Forwarded-For: {}", vec!["203.0.113.7"; count].join(", "));
    assert_eq!(albeit.client().await?.get_with("/thirty", &[&list(30)]).await?.status, 200);
    assert_eq!(albeit.client().await?.get_with("/thirty-one", &[&list(31)]).await?.status, 463);
    check_record(&albeit.record("/thirty-one").await?, &[("elb_status_code", "463"), ("target:port", "-")]);
    assert_eq!(target.requests().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_client_that_leaves_while_the_target_works_is_logged_as_460() -> Result<()> {
    let target = Target::start(|_| vec![Step::Pause(Duration::from_secs(60))])?;
    let albeit = in_front_of(&target).await?;
    let mut client = albeit.client().await?;
    client.send("GET /left HTTP/1.1\r\nHost: a\r\n\r\n").await?;
    target.request(1).await?;
    drop(client);
    let record = albeit.record("/left").await?;
    check_record(&record, &[("elb_status_code", "460"), ("target:port", &target.addr().to_string())]);
    check_record(&record, &UNANSWERED);
    Ok(())
}

#[tokio::test]
async fn a_target_that_refuses_gets_the_client_502() -> Result<()> {
    let port = HeldPort::try_new()?;
    let (albeit, _checked) = in_front_of_port(&port, |config| config).await?;
    let mut client = albeit.client().await?;
    check_page(&client.get("/refused").await?, "502 Bad Gateway", "keep-alive");
    // The client's connection goes on.
    assert_eq!(client.get("/again").await?.status, 502);
    let record = albeit.record("/refused").await?;
    let addr = port.addr().to_string();
    check_record(
        &record,
        &[("elb_status_code", "502"), ("target:port", &addr), ("target_processing_time", "-1")],
    );
    check_record(&record, &UNANSWERED);
    Ok(())
}

async fn answers_502(script: impl Fn() -> Vec<Step> + Send + Sync + 'static, what: &str) -> Result<()> {
    let target = Target::start(move |_| script())?;
    let albeit = in_front_of(&target).await?;
    let path = format!("/{what}");
    let answer = albeit.get(&path).await?;
    assert_eq!(answer.status, 502, "{what}");
    assert_eq!(answer.text(), page("502 Bad Gateway"), "{what}");
    let record = albeit.record(&path).await?;
    check_record(&record, &[("elb_status_code", "502"), ("target:port", &target.addr().to_string())]);
    Ok(())
}

#[tokio::test]
async fn a_target_that_closes_resets_or_talks_nonsense_gets_the_client_502() -> Result<()> {
    answers_502(|| vec![Step::Close], "closed").await?;
    answers_502(|| vec![Step::Reset], "reset").await?;
    answers_502(|| vec![Step::Send(b"\x00\x01\x02 what is this\r\n\r\n".to_vec()), Step::Close], "garbage")
        .await?;
    answers_502(
        || vec![Step::Send(b"HTTP/1.1 200 OK\r\nNo colon here\r\n\r\n".to_vec()), Step::Close],
        "header",
    )
    .await?;
    answers_502(|| vec![Step::Send(b"HTTP/1.1 200 OK\r\nX-Half".to_vec()), Step::Close], "half-a-head").await
}

#[tokio::test]
async fn response_heads_of_more_than_32_kib_get_the_client_502() -> Result<()> {
    let fields: Vec<String> = (0..5).map(|n| format!("X-{n}: {}", "a".repeat(8_000))).collect();
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    let huge = response("200 OK", &fields, "");
    answers_502(move || vec![Step::Send(huge.clone())], "huge-head").await
}

#[tokio::test]
async fn a_group_without_targets_answers_503() -> Result<()> {
    let albeit = Albeit::start(Config::forwarding_to(&[])?).await?;
    let mut client = albeit.client().await?;
    check_page(&client.get("/nobody").await?, "503 Service Temporarily Unavailable", "keep-alive");
    let record = albeit.record("/nobody").await?;
    let untouched = [
        ("elb_status_code", "503"),
        ("target:port", "-"),
        ("request_processing_time", "-1"),
        ("target_processing_time", "-1"),
        ("target:port_list", "-"),
        ("actions_executed", "forward"),
    ];
    check_record(&record, &untouched);
    check_record(&record, &UNANSWERED);
    Ok(())
}

#[tokio::test]
async fn a_silent_target_gets_the_client_504_at_the_idle_timeout() -> Result<()> {
    let target = Target::start(|_| vec![Step::Pause(Duration::from_secs(60))])?;
    let config = Config::forwarding_to(&[target.addr()])?.with_attribute("idle_timeout.timeout_seconds", 10);
    let albeit = Albeit::start(config.with_time_scale(10)).await?;
    let mut client = albeit.client().await?;
    let started = tokio::time::Instant::now();
    let answer = client.get("/silent").await?;
    let elapsed = started.elapsed();
    assert_eq!((answer.status, answer.text()), (504, page("504 Gateway Time-out")));
    assert!((Duration::from_millis(900)..Duration::from_secs(4)).contains(&elapsed), "{elapsed:?}");
    let record = albeit.record("/silent").await?;
    check_record(&record, &[("elb_status_code", "504"), ("target_processing_time", "-1")]);
    check_record(&record, &UNANSWERED);
    Ok(())
}

#[tokio::test]
async fn a_target_that_does_not_accept_gets_the_client_504_after_the_connect_limit() -> Result<()> {
    let port = HeldPort::try_new()?;
    let queue = port.listen_without_accepting()?;
    // 10 s divided by 10.
    let (albeit, _checked) = in_front_of_port(&port, |config| config.with_time_scale(10)).await?;
    // Fills the accept queue; later SYNs are dropped. The connections must live as long as the test.
    let mut filling = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(200), tokio::net::TcpStream::connect(port.addr())).await
    {
        ensure!(filling.len() < 64, "this system queues connections without end");
        filling.push(stream);
    }
    let answer = albeit.get("/unreachable").await?;
    assert_eq!((answer.status, answer.text()), (504, page("504 Gateway Time-out")));
    let record = albeit.record("/unreachable").await?;
    check_record(&record, &[("elb_status_code", "504"), ("request_processing_time", "-1")]);
    check_record(&record, &UNANSWERED);
    drop(queue);
    Ok(())
}

#[tokio::test]
async fn a_body_that_ends_early_is_never_passed_off_as_whole() -> Result<()> {
    let target = Target::start(|_| {
        vec![Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec()), Step::Close]
    })?;
    let albeit = in_front_of(&target).await?;
    let mut client = albeit.client().await?;
    let result = client.get("/early").await;
    assert!(result.is_err(), "{result:?}");
    check_record(&albeit.record("/early").await?, &[("target_status_code", "200")]);
    Ok(())
}

#[tokio::test]
async fn what_came_of_a_body_that_ends_early_reaches_the_client() -> Result<()> {
    let target = Target::start(|_| {
        vec![Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec()), Step::Close]
    })?;
    let ca = Ca::try_new()?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?.with_https(&ca)?).await?;
    let tls = ca.client(&["http/1.1"], ALL_VERSIONS)?;
    // Whether the target's end is seen together with its bytes is a matter of luck.
    for attempt in 0..10 {
        let plain = albeit.client().await?;
        let secure = Client::connect_tls(albeit.listener(1)?, "localhost", Arc::clone(&tls)).await?;
        for (kind, mut client) in [("plain", plain), ("secure", secure)] {
            let path = format!("/{kind}-{attempt}");
            client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await?;
            let received = String::from_utf8(client.closed().await?)?;
            assert!(received.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {received:?}");
            assert!(received.ends_with("\r\n\r\nhalf"), "{path}: {received:?}");
            let record = albeit.record(&path).await?;
            check_record(&record, &[("elb_status_code", "200"), ("target_status_code", "200")]);
            assert_eq!(record["sent_bytes"], received.len().to_string(), "{path}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_http_1_0_client_is_told_where_an_unframed_body_ends() -> Result<()> {
    let target = Target::start(|request| match request.path() {
        "/chunked" => {
            let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
            vec![Step::Send(chunked.as_bytes().to_vec())]
        }
        "/until-close" => vec![Step::Send(b"HTTP/1.1 200 OK\r\n\r\nbody".to_vec()), Step::Close],
        _ => vec![Step::Send(ok("body"))],
    })?;
    let albeit = in_front_of(&target).await?;
    for unframed in ["/chunked", "/until-close"] {
        let mut client = albeit.client().await?;
        for (path, connection) in [("/framed", "keep-alive"), ("/again", "keep-alive"), (unframed, "close")] {
            let request = format!("GET {path} HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
            client.send(request).await?;
            let answer = client.response().await.with_context(|| path.to_owned())?;
            assert_eq!((answer.status, answer.text()), (200, "body".to_owned()), "{path}");
            assert_eq!(answer.header("connection")?, connection, "{path}");
            assert!(answer.headers("transfer-encoding").is_empty(), "{}", answer.head);
        }
        assert!(client.closed().await?.is_empty(), "{unframed}");
    }
    Ok(())
}

#[tokio::test]
async fn head_gets_the_head_alone() -> Result<()> {
    let albeit = Albeit::start(Config::forwarding_to(&[])?).await?;
    let mut client = albeit.client().await?;
    client.send("HEAD /head HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await?;
    let answer = client.response_within(SOON, Body::None).await?;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("content-length")?, "162");
    let rest = client.closed().await?;
    assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest));
    let record = albeit.record("/head").await?;
    assert_eq!(record["sent_bytes"], answer.head.len().to_string());
    Ok(())
}

#[tokio::test]
async fn one_broken_target_does_not_harm_the_other() -> Result<()> {
    let (bad, good) = (Target::start(|_| vec![Step::Close])?, Target::saying("good")?);
    let albeit = Albeit::start(Config::forwarding_to(&[bad.addr(), good.addr()])?).await?;
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(albeit.get("/").await?.status);
    }
    let count = |status| statuses.iter().filter(|s| **s == status).count();
    // ELB does not try another target.
    assert_eq!((count(200), count(502)), (5, 5), "{statuses:?}");
    Ok(())
}

#[tokio::test]
async fn a_client_that_resets_leaves_nothing_behind() -> Result<()> {
    let target = Target::saying("ok")?;
    let listener = Listener::http(forward("web"))?;
    let config = Config::try_new()?.with_group(Group::new("web", &[target.addr()])).with_listener(listener);
    let albeit = Albeit::start(config).await?;
    let addr = albeit.listener(0)?;
    for bytes in [
        &b""[..],
        b"GE",
        b"GET / HTTP/1.1\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf",
    ] {
        connect_and_reset(addr, bytes).await?;
    }
    let mut client = Client::connect(addr).await?;
    let answer = client.get("/after").await.context("the next client")?;
    assert_eq!(answer.status, 200);
    Ok(())
}
