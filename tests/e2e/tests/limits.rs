//! Limits and refusals of requests: status, exact page, log record and metric of each.

use std::time::Duration;

use albeit_e2e::{
    Albeit, Ca, Client, Config, Target,
    ca::ALL_VERSIONS,
    eventually,
    ports::HeldPort,
    raw_http2::{Answer, RawHttp2},
    wait::SOON,
};
use anyhow::{Result, ensure};

/// The page ELB sends with an error.
fn page(status: &str) -> String {
    format!(
        "<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n\
         <center><h1>{status}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
}

/// Head of a request line or a header line with `length` bytes in all.
fn filled(prefix: &str, suffix: &str, length: usize) -> String {
    format!("{prefix}{}{suffix}", "a".repeat(length - prefix.len() - suffix.len()))
}

/// Requests and what they are answered with.
fn refusals() -> Vec<(String, &'static str)> {
    let get = |lines: &str| format!("GET /x HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    let line = |length| filled("GET /", " HTTP/1.1", length) + "\r\nHost: a\r\n\r\n";
    let header = |length| get(&(filled("X: ", "", length) + "\r\n"));
    let headers =
        |count| get(&(0..count).map(|n| filled(&format!("X-{n}: "), "", 1000) + "\r\n").collect::<String>());
    let addresses = |count| get(&format!("X-Forwarded-For: {}\r\n", vec!["10.0.0.1"; count].join(", ")));
    vec![
        (line(16 * 1024 - 1), "200"),
        (line(16 * 1024), "414 Request-URI Too Large"),
        (header(16 * 1024 - 1), "200"),
        (header(16 * 1024), "400 Bad Request"),
        (headers(64), "200"),
        (headers(66), "400 Bad Request"),
        (addresses(30), "200"),
        (addresses(31), "463 Unknown"),
        ("TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n".into(), "405 Not Allowed"),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n".into(), "405 Not Allowed"),
        (get("Transfer-Encoding: gzip\r\n"), "501 Not Implemented"),
        (get("Transfer-Encoding: gzip, chunked\r\n"), "501 Not Implemented"),
        ("GET /x HTTP/1.2\r\nHost: a\r\n\r\n".into(), "505 HTTP Version Not Supported"),
        ("GET /x HTTP/3.0\r\nHost: a\r\n\r\n".into(), "505 HTTP Version Not Supported"),
        ("GET /x HTTP/1.1\r\n\r\n".into(), "400 Bad Request"),
        ("GET x HTTP/1.1\r\nHost: a\r\n\r\n".into(), "400 Bad Request"),
    ]
}

#[tokio::test]
async fn each_limit_has_its_status_page_record_and_metric() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let (mut client_errors, mut server_errors, mut served) = (0.0, 0.0, 0);
    for (number, (request, status)) in refusals().into_iter().enumerate() {
        let what = request.get(..60).unwrap_or(&request);
        let mut client = albeit.client().await?;
        client.send(&request).await?;
        let answer = client.response().await?;
        let code = status.get(..3).unwrap_or_default();
        assert_eq!(answer.status.to_string(), code, "{what:?}");
        match code {
            "200" => served += 1,
            _ => assert_eq!(answer.text(), page(status), "{what:?}"),
        }
        client_errors += if code.starts_with('4') { 1.0 } else { 0.0 };
        server_errors += if code.starts_with('5') { 1.0 } else { 0.0 };
        let records = albeit.records("", number + 1).await?;
        let record = records.last().expect("a record");
        assert_eq!(record["elb_status_code"], code, "{what:?}");
        assert_eq!(record["target_status_code"], if code == "200" { "200" } else { "-" }, "{what:?}");
    }
    assert_eq!(target.requests().len(), served);
    let metrics = albeit.metrics().await?;
    assert_eq!(metrics.cloudwatch("HTTPCode_ELB_4XX_Count")?, client_errors);
    assert_eq!(metrics.cloudwatch("HTTPCode_ELB_5XX_Count")?, server_errors);
    Ok(())
}

#[tokio::test]
async fn expect_is_answered_at_once_and_not_forwarded() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let mut client = albeit.client().await?;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n").await?;
    assert_eq!(client.response().await?.status, 100);
    client.send("hello").await?;
    assert_eq!(client.response().await?.status, 200);
    let request = target.request(1).await?;
    assert!(request.headers("expect").is_empty() && request.body == b"hello", "{}", request.head);
    Ok(())
}

#[tokio::test]
async fn what_is_no_http_is_refused_before_the_idle_timeout() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    for bytes in [&b"\x16\x03\x01\x02\x00\x01"[..], b"EHLO example.com\r\n", b"POST /\r\n", b"{\"a\": 1}\n"] {
        let mut client: Client = albeit.client().await?;
        client.send(bytes).await?;
        assert_eq!(client.response().await?.status, 400, "{:?}", bytes.escape_ascii().to_string());
        client.closed().await?;
    }
    Ok(())
}

#[tokio::test]
async fn requests_after_the_10_000th_of_an_http_2_connection_are_caught_by_goaway() -> Result<()> {
    const REFUSED_STREAM: u32 = 7;
    let (ca, target) = (Ca::try_new()?, Target::saying("ok")?);
    let config = Config::forwarding_to(&[target.addr()])?.with_https(&ca)?;
    let albeit = Albeit::start(config).await?;
    let tls = ca.client(&["h2"], ALL_VERSIONS)?;
    let mut http2 = RawHttp2::connect(albeit.listener(1)?, "localhost", tls).await?;
    // TRACE is answered without a target: cheap enough for ten thousand.
    let request = |path: &'static [u8]| {
        [
            (&b":method"[..], &b"TRACE"[..]),
            (b":scheme", b"https"),
            (b":authority", b"localhost"),
            (b":path", path),
        ]
    };
    let mut stream = 1;
    for burst in [50; 199].into_iter().chain([49]) {
        for _ in 0..burst {
            http2.send(stream, &request(b"/counted"), b"").await?;
            stream += 2;
        }
        http2.responses(burst).await?;
    }
    // Sent together: the second cannot know that the first was the last.
    http2.send(stream, &request(b"/last"), b"").await?;
    http2.send(stream + 2, &request(b"/caught"), b"").await?;
    assert_eq!(http2.answer_despite_goaway(stream + 2).await?, Answer::Reset(REFUSED_STREAM));
    eventually(SOON, "a record with 000", || async {
        let record = albeit.record("/caught").await?;
        ensure!(record["elb_status_code"] == "000" && record["type"] == "h2", "{record:?}");
        ensure!(record["target:port"] == "-" && record["sent_bytes"] == "0", "{record:?}");
        Ok(())
    })
    .await?;
    assert_eq!(albeit.record("/last").await?["elb_status_code"], "405");
    // Who does not go by itself is left: after as many streams as could have been on their way.
    let mut caught = 1;
    for more in 2..200 {
        let sent = http2.send(stream + 2 * more, &request(b"/more"), b"").await.is_ok();
        if !sent || http2.answer_despite_goaway(stream + 2 * more).await? == Answer::Closed {
            break;
        }
        caught += 1;
    }
    assert_eq!(caught, 128);
    // 000 is for the log only.
    let metrics = albeit.metrics().await?;
    assert_eq!(metrics.cloudwatch("HTTPCode_ELB_4XX_Count")?, 10_000.0);
    assert_eq!(metrics.cloudwatch("HTTPCode_ELB_5XX_Count")?, 0.0);
    Ok(())
}

#[tokio::test]
async fn requests_that_their_client_gave_up_are_bounded_too() -> Result<()> {
    const REFUSED_STREAM: u32 = 7;
    const BOUND: u32 = 256;
    let ca = Ca::try_new()?;
    let port = HeldPort::try_new()?;
    let queue = port.listen_without_accepting()?;
    let checked = Target::saying("checked")?;
    let config = Config::forwarding_to(&[port.addr()])?.with_https(&ca)?;
    let albeit =
        Albeit::start(config.map_group(|group| group.with_health("port", checked.addr().port()))).await?;
    // Fills the accept queue; later SYNs are dropped, and connecting takes its 10 s.
    let mut filling = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(200), tokio::net::TcpStream::connect(port.addr())).await
    {
        ensure!(filling.len() < 64, "this system queues connections without end");
        filling.push(stream);
    }
    let tls = ca.client(&["h2"], ALL_VERSIONS)?;
    let mut http2 = RawHttp2::connect(albeit.listener(1)?, "localhost", tls).await?;
    let request = |method: &'static [u8]| {
        [(&b":method"[..], method), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", b"/")]
    };
    let mut stream = 1;
    for _ in 1..BOUND / 8 {
        let begun = stream;
        for _ in 0..8 {
            http2.begin(stream, &request(b"POST")).await?;
            stream += 2;
        }
        // Its answer shows that those before it are in the works.
        http2.send(stream, &request(b"TRACE"), b"").await?;
        assert!(matches!(http2.answer(stream).await?, Answer::Response(_)));
        stream += 2;
        for given_up in 0..8 {
            http2.cancel(begun + 2 * given_up).await?;
        }
    }
    for last in 0..=8 {
        http2.begin(stream + 2 * last, &request(b"POST")).await?;
    }
    assert_eq!(http2.answer(stream + 2 * 8).await?, Answer::Reset(REFUSED_STREAM));
    drop((queue, filling));
    Ok(())
}
