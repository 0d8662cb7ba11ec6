//! 400, 405, 414, 463, 501, 505: requests that are refused for what they say.

use albeit_e2e::{Albeit, Answer, Ca, Config, ElbError, ElbErrors, Target, ca::ALL_VERSIONS, http2::Http2};
use anyhow::Result;
use bytes::Bytes;

use super::BAD_REQUEST;

fn filled(prefix: &str, suffix: &str, length: usize) -> String {
    format!("{prefix}{}{suffix}", "a".repeat(length - prefix.len() - suffix.len()))
}

fn get(lines: &str) -> String {
    format!("GET /x HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

fn addresses() -> String {
    vec!["10.0.0.1"; 31].join(", ")
}

fn malformed() -> Vec<(String, ElbError)> {
    let bad = || ElbError::new(BAD_REQUEST).closing();
    let ambiguous = |reason| bad().classified("Ambiguous", reason);
    let severe = |reason| bad().classified("Severe", reason);
    let headers: String = (0..66).map(|n| filled(&format!("X-{n}: "), "", 1000) + "\r\n").collect();
    vec![
        ("NONSENSE\r\n\r\n".into(), ambiguous("MissingUri")),
        ("GET /x HTTP/1.1\r\n\r\n".into(), bad()),
        ("GET x HTTP/1.1\r\nHost: a\r\n\r\n".into(), bad()),
        (get("Host: b\r\n"), bad()),
        (get("X: a\0b\r\n"), severe("BadHeader")),
        (get("no colon\r\n"), ambiguous("MissingHeaderColon")),
        (get(&(filled("X: ", "", 16 * 1024) + "\r\n")), bad()),
        (get(&headers), bad()),
        (get("Content-Length: x\r\n"), severe("BadContentLength")),
        (get("Content-Length: 1\r\nContent-Length: 2\r\n"), severe("MultipleContentLength")),
        (get("Transfer-Encoding: xchunked\r\n"), severe("BadTransferEncoding")),
    ]
}

fn others() -> Vec<(String, ElbError)> {
    let not_allowed = || ElbError::new("405 Not Allowed");
    let not_implemented = || {
        let error = ElbError::new("501 Not Implemented").closing();
        error.classified("Ambiguous", "UndefinedTransferEncodingSemantics")
    };
    let version = || ElbError::new("505 HTTP Version Not Supported").closing();
    vec![
        ("TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n".into(), not_allowed()),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n".into(), not_allowed()),
        (
            filled("GET /", " HTTP/1.1", 16 * 1024) + "\r\nHost: a\r\n\r\n",
            ElbError::new("414 Request-URI Too Large").closing(),
        ),
        (
            filled("GET /?", " HTTP/1.1", 20 * 1024) + "\r\nHost: a\r\n\r\n",
            ElbError::new("414 Request-URI Too Large").closing(),
        ),
        (get(&format!("X-Forwarded-For: {}\r\n", addresses())), ElbError::new("463 Unknown")),
        (get("Transfer-Encoding: gzip\r\n"), not_implemented()),
        (get("Transfer-Encoding: gzip, chunked\r\n"), not_implemented()),
        (
            "GET /x HTTP/1.2\r\nHost: a\r\n\r\n".into(),
            version().classified("Acceptable", "NonCompliantVersion"),
        ),
        ("GET /x HTTP/3.0\r\nHost: a\r\n\r\n".into(), version()),
    ]
}

async fn check_all(config: Config, cases: Vec<(String, ElbError)>) -> Result<()> {
    let albeit = Albeit::start(config).await?;
    let mut errors = ElbErrors::of(&albeit);
    for (request, expected) in cases {
        let what = request.get(..80).unwrap_or(&request);
        let mut client = albeit.client().await?;
        client.send(&request).await?;
        let answer = client.response().await?;
        let closes = answer.header("connection")? == "close";
        errors.expect_elb_error(what, Answer::Http1(&answer), &expected).await?;
        if closes {
            assert!(client.closed().await?.is_empty(), "{what}");
        } else {
            assert_eq!(client.get("/next").await?.status, 200, "{what}");
            errors.pass(&["RequestCount", "HTTPCode_Target_2XX_Count"]);
        }
    }
    Ok(())
}

#[tokio::test]
async fn malformed_requests_and_desync_blocks_are_400() -> Result<()> {
    let target = Target::saying("ok")?;
    check_all(Config::forwarding_to(&[target.addr()])?, malformed()).await?;
    assert_eq!(target.requests().len(), 0);
    Ok(())
}

#[tokio::test]
async fn what_only_the_mode_strictest_blocks_is_400_too() -> Result<()> {
    let target = Target::saying("ok")?;
    let config = Config::forwarding_to(&[target.addr()])?
        .with_attribute("routing.http.desync_mitigation_mode", "strictest");
    let blocked = |class, reason| ElbError::new(BAD_REQUEST).closing().classified(class, reason);
    let cases = vec![
        (get("Content-Length: 0\r\n"), blocked("Acceptable", "GetHeadZeroContentLength")),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n".into(), blocked("Acceptable", "SpaceInUri")),
        (get("Content-Length: 5\r\n") + "hello", blocked("Ambiguous", "UndefinedContentLengthSemantics")),
        (
            get("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n",
            blocked("Ambiguous", "UndefinedTransferEncodingSemantics"),
        ),
    ];
    check_all(config, cases).await?;
    assert_eq!(target.requests().len(), 0);
    Ok(())
}

#[tokio::test]
async fn methods_lengths_addresses_codings_and_versions_have_codes_of_their_own() -> Result<()> {
    let target = Target::saying("ok")?;
    check_all(Config::forwarding_to(&[target.addr()])?, others()).await?;
    assert!(target.requests().iter().all(|request| request.path() == "/next"));
    Ok(())
}

#[tokio::test]
async fn http2_requests_are_refused_like_those_of_http1() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, Target::saying("ok")?);
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?.with_https(&ca)?).await?;
    let mut errors = ElbErrors::of(&albeit);
    let tls = ca.client(&["h2"], ALL_VERSIONS)?;
    let client = Http2::connect(albeit.listener(1)?, "localhost", tls).await?;
    let long = "a".repeat(10_000);
    let seven: Vec<(String, String)> = (0..7).map(|n| (format!("x-{n}"), long.clone())).collect();
    let heads: Vec<(&str, &str)> =
        seven.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let forwarded = addresses();
    for (method, path, headers, status) in [
        ("GET", "/heads", &heads[..], BAD_REQUEST),
        ("GET", "/xff", &[("x-forwarded-for", forwarded.as_str())], "463 Unknown"),
        ("TRACE", "/trace", &[], "405 Not Allowed"),
        ("GET", &"/a".repeat(9000), &[], "414 Request-URI Too Large"),
    ] {
        let mut request = http::Request::builder().method(method).uri(format!("https://localhost{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = client.send(request.body(Bytes::new())?).await?;
        errors.expect_elb_error(status, Answer::Http2(&answer), &ElbError::new(status)).await?;
    }
    assert_eq!(client.get("https://localhost/after", &[]).await?.status(), 200);
    Ok(())
}
