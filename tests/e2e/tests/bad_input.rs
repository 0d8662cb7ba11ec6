//! Bytes that no client should send: a clear status or close, one log line, no
//! panic (the harness looks for one), and the next client is served.

use std::time::Duration;

use albeit_e2e::{
    Albeit, Ca, Client, Config, Target, ca::ALL_VERSIONS, eventually, http2::Http2, wait::SOON,
};
use anyhow::{Result, ensure};

struct Site {
    albeit: Albeit,
    ca: Ca,
    target: Target,
}

async fn site() -> Result<Site> {
    let (ca, target) = (Ca::try_new()?, Target::saying("ok")?);
    let config = Config::forwarding_to(&[target.addr()])?.with_https(&ca)?;
    let config = config.with_attribute("idle_timeout.timeout_seconds", 10).with_time_scale(10);
    Ok(Site { albeit: Albeit::start(config).await?, ca, target })
}

async fn secure(site: &Site) -> Result<Client> {
    let tls = site.ca.client(&["http/1.1"], ALL_VERSIONS)?;
    Client::connect_tls(site.albeit.listener(1)?, "localhost", tls).await
}

async fn http2(site: &Site) -> Result<Http2> {
    Http2::connect(site.albeit.listener(1)?, "localhost", site.ca.client(&["h2"], ALL_VERSIONS)?).await
}

/// Sends `bytes` and gives the status of the answer, or `None` for a close without one.
async fn answer_to(mut client: Client, bytes: &[u8]) -> Result<Option<u16>> {
    // The balancer may refuse before it has read everything.
    drop(client.send(bytes).await);
    let answer = client.response().await;
    match answer {
        Ok(response) => {
            client.closed().await?;
            Ok(Some(response.status))
        }
        Err(error) if format!("{error:#}").contains("not within") => Err(error),
        Err(_) => Ok(None),
    }
}

/// Requests that are refused, each with the statuses that fit.
fn malformed() -> Vec<(&'static str, Vec<u8>, &'static [u16])> {
    let garbage: Vec<u8> = (0..=u8::MAX).rev().cycle().take(3000).chain(*b"\r\n\r\n").collect();
    let many = (0..10_000).map(|n| format!("X-{n}: 1\r\n")).collect::<String>();
    vec![
        ("binary garbage", garbage, &[400]),
        ("no version", b"POST /\r\nHost: a\r\n\r\n".to_vec(), &[400]),
        ("unknown version", b"GET / HTTP/9.9\r\nHost: a\r\n\r\n".to_vec(), &[400, 505]),
        ("no host", b"GET / HTTP/1.1\r\n\r\n".to_vec(), &[400]),
        ("two hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_vec(), &[400]),
        ("header without colon", b"GET / HTTP/1.1\r\nHost: a\r\nbad\r\n\r\n".to_vec(), &[400]),
        ("space before colon", b"GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n".to_vec(), &[400]),
        ("NUL in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n".to_vec(), &[400]),
        ("bad length", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n".to_vec(), &[400]),
        ("negative length", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n".to_vec(), &[400]),
        (
            "two lengths",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_vec(),
            &[400],
        ),
        (
            "giant header",
            [b"GET / HTTP/1.1\r\nHost: a\r\nX: ", vec![b'a'; 1 << 20].as_slice(), b"\r\n\r\n"].concat(),
            &[400],
        ),
        ("too many headers", format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n").into_bytes(), &[400]),
        (
            "huge URI",
            [b"GET /", vec![b'a'; 1 << 20].as_slice(), b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat(),
            &[400, 414],
        ),
        ("HTTP/2 preface in clear text", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), &[400, 505]),
    ]
}

#[tokio::test]
async fn malformed_requests_are_refused_with_one_record_each() -> Result<()> {
    let site = site().await?;
    for (number, (what, bytes, statuses)) in malformed().into_iter().enumerate() {
        let status = answer_to(site.albeit.client().await?, &bytes).await?;
        // A reset may overtake the answer while megabytes are still on their way.
        let lost = status.is_none() && bytes.len() > 60_000;
        assert!(lost || status.is_some_and(|s| statuses.contains(&s)), "{what}: {status:?}");
        eventually(SOON, &format!("a record for {what}"), || async {
            let records = site.albeit.access_log()?;
            ensure!(records.len() == number + 1, "{} records", records.len());
            let code: u16 = records.last().map_or(Ok(0), |r| r["elb_status_code"].parse())?;
            ensure!(statuses.contains(&code), "{what} was logged as {code}");
            Ok(())
        })
        .await?;
    }
    assert_eq!(site.albeit.get("/after").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn malformed_requests_are_refused_inside_tls_too() -> Result<()> {
    let site = site().await?;
    for (what, bytes, statuses) in malformed() {
        let status = answer_to(secure(&site).await?, &bytes).await?;
        let lost = status.is_none() && bytes.len() > 60_000;
        assert!(lost || status.is_some_and(|s| statuses.contains(&s)), "{what}: {status:?}");
    }
    assert_eq!(secure(&site).await?.get("/after").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn what_is_refused_with_505_or_501_is_logged() -> Result<()> {
    let site = site().await?;
    let port = site.albeit.listener(0)?.port();
    let coded = b"POST /coded?x=1 HTTP/1.1\r\nHost: a\r\nUser-Agent: e2e\r\nTransfer-Encoding: gzip\r\n\r\n";
    assert_eq!(answer_to(site.albeit.client().await?, coded).await?, Some(501));
    let record = site.albeit.record("/coded").await?;
    assert_eq!(record.request(), format!("POST http://a:{port}/coded?x=1 HTTP/1.1"));
    assert_eq!((record["elb_status_code"].as_str(), record["user_agent"].as_str()), ("501", "e2e"));

    for (number, version) in ["HTTP/3.1", "HTTP/1.2", "HTTP/2.0"].into_iter().enumerate() {
        let request = format!("GET /version {version}\r\nHost: a\r\n\r\n");
        let status = answer_to(site.albeit.client().await?, request.as_bytes()).await?;
        assert_eq!(status, Some(505), "{version}");
        let records = site.albeit.records("", number + 2).await?;
        assert_eq!(records.last().map(|r| r["elb_status_code"].as_str()), Some("505"), "{version}");
    }
    Ok(())
}

#[tokio::test]
async fn a_head_without_end_is_answered_with_400_not_just_cut() -> Result<()> {
    let site = site().await?;
    let endless = [b"GET /endless HTTP/1.1\r\nHost: a\r\nX: ", vec![b'a'; 200 << 10].as_slice()].concat();
    for client in [site.albeit.client().await?, secure(&site).await?] {
        assert_eq!(answer_to(client, &endless).await?, Some(400));
    }
    Ok(())
}

#[tokio::test]
async fn an_http_2_head_of_70_kb_gets_400_and_the_connection_lives_on() -> Result<()> {
    let site = site().await?;
    let client = http2(&site).await?;
    let value = "a".repeat(10_000);
    let names: Vec<String> = (0..7).map(|n| format!("x-{n}")).collect();
    let headers: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), value.as_str())).collect();
    assert_eq!(client.get("https://localhost/big", &headers).await?.status(), 400);
    assert_eq!(site.albeit.record("/big").await?["elb_status_code"], "400");
    assert_eq!(client.get("https://localhost/after", &[]).await?.status(), 200);
    let after = site.albeit.record("/after").await?;
    assert_eq!(after["client:port"], client.local_addr().to_string());
    assert_eq!(site.target.requests().len(), 1);
    Ok(())
}

#[tokio::test]
async fn garbage_after_the_http_2_preface_is_logged_once_and_the_next_client_is_served() -> Result<()> {
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    const DATA_OF_NO_STREAM: &[u8] = &[0, 0, 1, 0, 0, 0, 0, 0, 0, b'a'];
    let site = site().await?;
    let cases = [("noise", vec![0xff; 4000]), ("DATA of no stream", [SETTINGS, DATA_OF_NO_STREAM].concat())];
    for (number, (what, garbage)) in cases.into_iter().enumerate() {
        let tls = site.ca.client(&["h2"], ALL_VERSIONS)?;
        let mut client = Client::connect_tls(site.albeit.listener(1)?, "localhost", tls).await?;
        client.send([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &garbage[..]].concat()).await?;
        client.closed().await?;
        assert_eq!(http2(&site).await?.get("https://localhost/after", &[]).await?.status(), 200, "{what}");
        let own = client.local_addr().to_string();
        eventually(SOON, &format!("one line about {what}"), || async {
            let said = site.albeit.process.stderr();
            let lines: Vec<&str> = said.lines().filter(|line| line.contains("HTTP/2")).collect();
            ensure!(lines.len() == number + 1, "{lines:?}");
            ensure!(lines.iter().all(|line| line.contains("INFO")), "{lines:?}");
            ensure!(lines.last().is_some_and(|line| line.contains(&own)), "no {own} in {lines:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// ELB passes such a request on in defensive mode and closes afterwards; refusing it is as good.
/// What must never happen is that the bytes after the last chunk become a request.
#[tokio::test]
async fn length_and_chunks_together_smuggle_nothing() -> Result<()> {
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let head = "POST /both HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: ";
    let target = Target::saying("ok")?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let mut client = albeit.client().await?;
    client.send(format!("{head}{}\r\n\r\n{smuggled}", smuggled.len())).await?;
    let answer = client.response().await?;
    assert!([200, 400].contains(&answer.status), "{}", answer.head);
    let rest = client.closed().await?;
    assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest));
    for request in target.requests() {
        assert_eq!(request.path(), "/both");
        let framings = request.headers("content-length").len() + request.headers("transfer-encoding").len();
        assert_eq!(framings, 1, "{}", request.head);
    }
    Ok(())
}

#[tokio::test]
async fn a_head_that_drips_is_cut_with_408() -> Result<()> {
    let site = site().await?;
    let mut client = site.albeit.client().await?;
    client.send("GET / HTTP/1.1\r\n").await?;
    // Steady bytes reset the idle timer, so it is the silence after them that ends it.
    let mut rhythm = tokio::time::interval(Duration::from_millis(100));
    for _ in 0..5 {
        rhythm.tick().await;
        client.send("X: y\r\n").await?;
    }
    assert_eq!(client.response().await?.status, 408);
    client.closed().await?;
    assert_eq!(site.albeit.get("/after").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn garbage_on_the_admin_port_is_refused() -> Result<()> {
    let site = site().await?;
    let admin = site.albeit.config.admin.addr();
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..],
        b"NONSENSE\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let status = answer_to(Client::connect(admin).await?, bytes).await?;
        assert!(matches!(status, None | Some(400)), "{status:?}");
    }
    assert_eq!(site.albeit.admin("/healthz").await?.status, 200);
    assert_eq!(site.albeit.admin("/no-such-page").await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn a_websocket_full_of_garbage_is_none_of_the_balancers_business() -> Result<()> {
    let target = Target::start(|_| {
        vec![albeit_e2e::Step::Send(albeit_e2e::target::switching_protocols()), albeit_e2e::Step::Relay]
    })?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let mut client = albeit.client().await?;
    albeit_e2e::websocket::upgrade(&mut client, "/").await?;
    let garbage: Vec<u8> = (0..=u8::MAX).cycle().take(5000).collect();
    client.send(&garbage).await?;
    assert_eq!(client.read_exactly(garbage.len()).await?, garbage);
    Ok(())
}

#[tokio::test]
async fn a_thousand_aborted_connections_leave_no_descriptor_behind() -> Result<()> {
    let site = site().await?;
    let before = site.albeit.process.open_files()?;
    for listener in [0, 1] {
        for _ in 0..500 {
            albeit_e2e::client::connect_and_reset(site.albeit.listener(listener)?, b"\x16\x03\x01").await?;
        }
    }
    assert_eq!(site.albeit.get("/after").await?.status, 200);
    eventually(SOON, "closed descriptors", || async {
        let now = site.albeit.process.open_files()?;
        // The last request may keep a connection to the target and one to its client for a moment.
        ensure!(now <= before + 2, "{before} before, {now} now");
        Ok(())
    })
    .await
}
