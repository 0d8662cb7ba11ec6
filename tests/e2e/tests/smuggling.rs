//! Request smuggling: whatever a client sends, a target sees none of it or
//! exactly one request that can be read in one way only, and what other
//! requests follow is neither swallowed nor forged.

use albeit_e2e::{
    Albeit, Ca, Client, Config, Target,
    ca::ALL_VERSIONS,
    raw_http2::{Answer, RawHttp2},
    target::{Request, ok},
};
use anyhow::{Result, ensure};

/// A request that must never reach a target.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// A client's next request. The connection ends with it.
const MARKER: &str = "GET /marker HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// A POST with these header lines, `N` standing for the body's length.
fn post(lines: &str, body: &str) -> Vec<u8> {
    let lines = lines.replace('N', &body.len().to_string());
    format!("POST /attack HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}").into_bytes()
}

/// Ways to write Transfer-Encoding that some parser takes and another does not.
const CODINGS: [&str; 34] = [
    "Transfer-Encoding: chunked",
    "Transfer-Encoding:chunked",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding: chunKED",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: 'chunked'",
    "Transfer-Encoding: chunked;q=1",
    "Transfer-Encoding: chunked,",
    "Transfer-Encoding: ,chunked",
    "Transfer-Encoding:",
    "Transfer-Encoding: chun\0ked",
    "Transfer-Encoding: chunked\u{b}",
    "Transfer-Encoding:\u{b}chunked",
    "Transfer-Encoding: chunked\u{c}",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding\t: chunked",
    "Transfer-Encoding\0: chunked",
    " Transfer-Encoding: chunked",
    "X: y\r\n Transfer-Encoding: chunked",
    "Transfer-Encoding:\r\n chunked",
    "X: y\rTransfer-Encoding: chunked",
    "X: y\nTransfer-Encoding: chunked",
    "Transfer_Encoding: chunked",
    "Transfer Encoding: chunked",
    "Transfer-Encod\u{131}ng: chunked",
];

/// The same for Content-Length.
const LENGTHS: [&str; 27] = [
    "Content-Length: N",
    "Content-Length: 0N",
    "Content-Length:  N\t",
    "Content-Length: +N",
    "Content-Length: -N",
    "Content-Length: -0",
    "Content-Length: 0xN",
    "Content-Length: N.0",
    "Content-Length: Nx",
    "Content-Length: N;a",
    "Content-Length: N, N",
    "Content-Length: N,0",
    "Content-Length: N N",
    "Content-Length: 99999999999999999999999",
    "Content-Length: N\0",
    "Content-Length:\u{b}N",
    "Content-Length: N\r\nContent-Length: N",
    "Content-Length: N\r\nContent-Length: 0",
    "Content-Length: 0\r\nContent-Length: N",
    "Content-Length : N",
    "Content_Length: N",
    "Content Length: N",
    " Content-Length: N",
    "Content-Length:\r\n N",
    "X: y\rContent-Length: N",
    "X: y\nContent-Length: N",
    "Connection: Content-Length\r\nContent-Length: N",
];

/// Chunked bodies: wrong sizes, line ends, extensions, trailers.
const CHUNKS: [&str; 25] = [
    "5\r\nhello\r\n0\r\n\r\n",
    "0005\r\nhello\r\n0\r\n\r\n",
    "5;a=b\r\nhello\r\n0;c\r\n\r\n",
    "5;a=\"\r\nhello\r\n0\r\n\r\n",
    "5;a\nhello\r\n0\r\n\r\n",
    "5;a\rb\r\nhello\r\n0\r\n\r\n",
    "5 \r\nhello\r\n0\r\n\r\n",
    " 5\r\nhello\r\n0\r\n\r\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    "+5\r\nhello\r\n0\r\n\r\n",
    "-5\r\nhello\r\n0\r\n\r\n",
    "5_0\r\nhello\r\n0\r\n\r\n",
    "g\r\nhello\r\n0\r\n\r\n",
    "\r\nhello\r\n0\r\n\r\n",
    "10000000000000005\r\nhello\r\n0\r\n\r\n",
    "5\nhello\n0\n\n",
    "5\rhello\r0\r\r",
    "5\r\nhello0\r\n\r\n",
    "5\r\nhelloXX0\r\n\r\n",
    "5\r\nhello\n0\r\n\r\n",
    "5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
    "5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "5\r\nhello\r\n0\r\n folded\r\n\r\n",
    "5\r\nhello\r\n0\n\r\n",
];

/// Whole heads that parsers do not agree on.
const HEADS: [&str; 30] = [
    "GET /attack HTTP/1.1\nHost: a\n\n",
    "GET /attack HTTP/1.1\r\nHost: a\n\r\n",
    "\r\n\r\nGET /attack HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /attack HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n",
    "GET /attack HTTP/1.1\r\nHost: a\r\rX: y\r\n\r\n",
    "GET  /attack HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET\t/attack\tHTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /attack  HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /attack HTTP/1.1 \r\nHost: a\r\n\r\n",
    " GET /attack HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /attack HTTP/1.1 GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /attack\r HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /attack\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /attack HTTP/1.1\r\nHost: a\0GET /smuggled HTTP/1.1\r\n\r\n",
    "GET /attack HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET /attack HTTP/1.1\r\nHost: a\r\n Host: b\r\n\r\n",
    "GET /attack HTTP/1.1\r\nHost : a\r\n\r\n",
    "GET http://b/attack HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET http://b@a/attack HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /attack HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
    "GET /attack HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
    "GET /attack HTTP/1.1\r\nHost: a\r\nX y: z\r\n\r\n",
    "GET /attack HTTP/1.1\r\nHost: a\r\nX@y: z\r\n\r\n",
    "GET /attack HTTP/1.1\r\nHost: a\r\nContent-Length: 37\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: aaaa\r\n\r\n",
    "GET /attack HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /attack HTTP/0.9\r\nHost: a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /attack\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /attack HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "GET /attack HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 37\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: aaaa\r\n\r\n",
    "POST /attack HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 37\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: aaaa\r\n\r\n",
];

fn corpus() -> Vec<Vec<u8>> {
    let chunked = format!("0\r\n\r\n{SMUGGLED}");
    let in_chunk = format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
    let mut all = Vec::new();
    for coding in CODINGS {
        // Counted by the length, the smuggled request is a part of the body; counted by chunks, it is not.
        all.push(post(&format!("Content-Length: N\r\n{coding}\r\n"), &chunked));
        all.push(post(&format!("{coding}\r\nContent-Length: 4\r\n"), &in_chunk));
        all.push(post(&format!("{coding}\r\n"), &in_chunk));
    }
    for length in LENGTHS {
        all.push(post(&format!("{length}\r\n"), SMUGGLED));
        all.push(post(&format!("{length}\r\nTransfer-Encoding: chunked\r\n"), &chunked));
    }
    all.extend(CHUNKS.map(|body| post("Transfer-Encoding: chunked\r\n", body)));
    all.extend(HEADS.map(|head| head.as_bytes().to_vec()));
    all
}

/// Whether a request as a target got it can be read in one way only.
fn check_unambiguous(request: &Request) -> Result<()> {
    let head = &request.head;
    let lines = head.strip_suffix("\r\n\r\n").unwrap_or(head);
    ensure!(!head.replace("\r\n", "").contains(['\r', '\n', '\0']), "a stray control character in {head:?}");
    ensure!(request.line().split(' ').count() == 3 && request.line().ends_with(" HTTP/1.1"), "{head:?}");
    for line in lines.split("\r\n").skip(1) {
        let name = line.split(':').next().unwrap_or_default();
        let is_token = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        ensure!(line.contains(':') && !name.is_empty() && is_token, "the line {line:?} in {head:?}");
    }
    ensure!(request.headers("host").len() == 1, "hosts of {head:?}");
    let (lengths, codings) = (request.headers("content-length"), request.headers("transfer-encoding"));
    ensure!(lengths.len() + codings.len() <= 1, "the framing of {head:?}");
    ensure!(lengths.iter().all(|length| length.bytes().all(|b| b.is_ascii_digit())), "{lengths:?}");
    ensure!(codings.iter().all(|coding| coding.eq_ignore_ascii_case("chunked")), "{codings:?}");
    Ok(())
}

/// The final responses in what a client got: statuses and bodies.
fn responses(bytes: &[u8]) -> Vec<(u16, String)> {
    let text = String::from_utf8_lossy(bytes);
    let mut all = Vec::new();
    let mut rest = text.as_ref();
    while let Some((head, after)) = rest.split_once("\r\n\r\n") {
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
        let (body, next) = after.split_at(length.unwrap_or(0).min(after.len()));
        if status != 100 {
            all.push((status, body.to_owned()));
        }
        rest = next;
    }
    all
}

/// A target that answers with the path it was asked for.
fn echoing_paths() -> Result<Target> {
    Target::start(|request| vec![albeit_e2e::Step::Send(ok(request.path()))])
}

async fn survives(mode: &str, drops: bool) -> Result<()> {
    let target = echoing_paths()?;
    let config = Config::forwarding_to(&[target.addr()])?
        .with_attribute("routing.http.desync_mitigation_mode", mode)
        .with_attribute("routing.http.drop_invalid_header_fields.enabled", drops)
        .with_attribute("idle_timeout.timeout_seconds", 3)
        .with_time_scale(10);
    let albeit = Albeit::start(config).await?;
    let corpus = corpus();
    ensure!(corpus.len() > 200, "{} cases", corpus.len());
    for attack in corpus {
        let what = String::from_utf8_lossy(&attack).into_owned();
        let before = target.requests().len();
        let mut client = albeit.client().await?;
        // The balancer may refuse before it has read everything.
        drop(client.send([&attack[..], MARKER.as_bytes()].concat()).await);
        let answers = responses(&client.closed().await?);
        let seen = target.requests();
        let seen = seen.get(before..).unwrap_or_default();
        for request in seen {
            check_unambiguous(request)?;
        }
        let paths: Vec<&str> = seen.iter().map(Request::path).collect();
        // What is no part of a path is escaped in it.
        let is_whole =
            |path: &&str| ["/attack", "/attack%20", "/attack%0D", "/attack%00", "/marker"].contains(path);
        ensure!(paths.iter().all(is_whole), "{mode}: {paths:?} after {what:?}");
        ensure!(paths.iter().filter(|path| path.contains("attack")).count() <= 1, "{paths:?} after {what:?}");
        // What follows gets its own answer, or the connection had ended before it.
        let markers = answers.iter().filter(|(_, body)| body == "/marker").count();
        ensure!(markers == paths.iter().filter(|path| **path == "/marker").count(), "{answers:?} {what:?}");
        let refused = answers.last().is_some_and(|(status, _)| [400, 405, 408, 501, 505].contains(status));
        let attacked = answers.first().is_some_and(|(status, _)| *status == 200);
        ensure!(markers == 1 || refused || attacked || answers.is_empty(), "{mode}: {answers:?} {what:?}");
    }
    Ok(())
}

#[tokio::test]
async fn nothing_is_smuggled_in_defensive_mode() -> Result<()> {
    survives("defensive", false).await
}

#[tokio::test]
async fn nothing_is_smuggled_in_strictest_mode() -> Result<()> {
    survives("strictest", false).await
}

#[tokio::test]
async fn nothing_is_smuggled_in_monitor_mode() -> Result<()> {
    survives("monitor", false).await
}

#[tokio::test]
async fn nothing_is_smuggled_while_invalid_fields_are_dropped() -> Result<()> {
    survives("monitor", true).await
}

type Fields = Vec<(&'static [u8], &'static [u8])>;

/// Fields of an HTTP/2 request for `/attack`, these added.
fn downgrade(more: &[(&'static [u8], &'static [u8])]) -> Fields {
    let mut fields: Fields = vec![
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", b"localhost"),
        (b":path", b"/attack"),
    ];
    fields.extend_from_slice(more);
    fields
}

/// HTTP/2 requests that become another request once they are written as HTTP/1.1.
fn downgrades() -> Vec<Fields> {
    let with = |name: &'static [u8], value: &'static [u8]| {
        let mut fields = downgrade(&[]);
        fields.retain(|(known, _)| *known != name);
        fields.insert(0, (name, value));
        fields
    };
    vec![
        downgrade(&[(b"content-length", b"0")]),
        downgrade(&[(b"content-length", b"4")]),
        downgrade(&[(b"content-length", b"4000")]),
        downgrade(&[(b"content-length", b"+37")]),
        downgrade(&[(b"content-length", b"37"), (b"content-length", b"0")]),
        downgrade(&[(b"transfer-encoding", b"chunked")]),
        downgrade(&[(b"transfer_encoding", b"chunked")]),
        downgrade(&[(b"connection", b"transfer-encoding"), (b"transfer-encoding", b"chunked")]),
        downgrade(&[(b"upgrade", b"websocket")]),
        downgrade(&[(b"x", b"y\r\ntransfer-encoding: chunked")]),
        downgrade(&[(b"x", b"y\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n")]),
        downgrade(&[(b"x\r\ntransfer-encoding", b"chunked")]),
        downgrade(&[(b"x: y\r\nz", b"a")]),
        downgrade(&[(b"x y", b"a")]),
        downgrade(&[(b"X", b"a")]),
        downgrade(&[(b"", b"a")]),
        downgrade(&[(b"host", b"other")]),
        downgrade(&[(b"host", b"localhost"), (b"host", b"other")]),
        downgrade(&[(b":path", b"/smuggled")]),
        downgrade(&[(b"x", b"y"), (b":scheme", b"http")]),
        downgrade(&[(b":unknown", b"y")]),
        with(b":method", b"GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\nPOST"),
        with(b":path", b"/attack HTTP/1.1\r\nhost: a\r\n\r\nGET /smuggled"),
        with(b":path", b"/attack /smuggled"),
        with(b":path", b"/attack\n"),
        with(b":path", b""),
        with(b":path", b"http://other/smuggled"),
        with(b":authority", b"a\r\nx: y"),
        with(b":authority", b"user@localhost"),
        with(b":scheme", b"http://other/smuggled?"),
    ]
}

#[tokio::test]
async fn an_http_2_request_becomes_at_most_one_request() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, echoing_paths()?);
    for mode in ["monitor", "defensive", "strictest"] {
        let config = Config::forwarding_to(&[target.addr()])?.with_https(&ca)?;
        let config = config.with_attribute("routing.http.desync_mitigation_mode", mode);
        let albeit = Albeit::start(config).await?;
        for fields in downgrades() {
            let what: Vec<String> = fields
                .iter()
                .map(|(name, value)| {
                    format!("{:?}: {:?}", name.escape_ascii().to_string(), value.escape_ascii().to_string())
                })
                .collect();
            let before = target.requests().len();
            let tls = ca.client(&["h2"], ALL_VERSIONS)?;
            let mut http2 = RawHttp2::connect(albeit.listener(1)?, "localhost", tls).await?;
            http2.send(1, &fields, SMUGGLED.as_bytes()).await?;
            let answer = http2.answer(1).await?;
            if answer != Answer::Closed {
                let marker: Fields = vec![
                    (b":method", b"GET"),
                    (b":scheme", b"https"),
                    (b":authority", b"localhost"),
                    (b":path", b"/marker"),
                ];
                http2.send(3, &marker, b"").await?;
                ensure!(http2.answer(3).await? == Answer::Response(200), "{mode}: no marker after {what:?}");
            }
            let seen = target.requests();
            let seen = seen.get(before..).unwrap_or_default();
            for request in seen {
                check_unambiguous(request)?;
            }
            let paths: Vec<&str> = seen.iter().map(Request::path).collect();
            let is_known = |path: &&str| ["/attack", "/attack%20/smuggled", "/marker"].contains(path);
            ensure!(paths.iter().all(is_known), "{mode}: {paths:?} after {what:?}");
            ensure!(paths.len() <= 2, "{mode}: {paths:?} after {what:?}");
        }
    }
    Ok(())
}

/// A request on the same connection to the target gets its own answer after an attack was cut off.
#[tokio::test]
async fn a_target_connection_is_not_left_with_half_a_request() -> Result<()> {
    let target = echoing_paths()?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    for bad in ["5\r\nhello\r\nXX\r\n", "5\r\nhelloXX", "FFFFFFFFFFFFFFFFF\r\n"] {
        let mut client: Client = albeit.client().await?;
        client.send(post("Transfer-Encoding: chunked\r\n", bad)).await?;
        client.closed().await?;
        assert_eq!(albeit.get("/after").await?.text(), "/after", "{bad:?}");
    }
    Ok(())
}
