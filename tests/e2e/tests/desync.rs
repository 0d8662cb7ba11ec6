//! Desync mitigation: what each mode does with each class, what the log and the
//! metrics say about it, and what becomes of invalid header fields and of
//! requests that are unusual but served.

use albeit_e2e::{Albeit, Ca, Config, Target, ca::ALL_VERSIONS, eventually, http2::Http2, wait::SOON};
use anyhow::{Result, ensure};

const MODE: &str = "routing.http.desync_mitigation_mode";
const DROP: &str = "routing.http.drop_invalid_header_fields.enabled";
const NON_COMPLIANT: &str = "DesyncMitigationMode_NonCompliant_Request_Count";

struct Site {
    albeit: Albeit,
    target: Target,
}

async fn site(change: impl FnOnce(Config) -> Config) -> Result<Site> {
    let target = Target::saying("ok")?;
    let albeit = Albeit::start(change(Config::forwarding_to(&[target.addr()])?)).await?;
    Ok(Site { albeit, target })
}

/// What becomes of a request: its status and whether its connection lives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// 200, and the next request too, over the same connection to the target.
    Pass,
    /// 200, and both connections are closed.
    PassAndClose,
    /// 400 and close.
    Block,
}

impl Site {
    /// Sends a request and then another one.
    async fn outcome(&self, request: &str) -> Result<Outcome> {
        let before = self.target.requests().len();
        let mut client = self.albeit.client().await?;
        client.send(request).await?;
        let answer = client.response().await?;
        let lives = answer.header("connection")? == "keep-alive";
        if answer.status == 400 {
            ensure!(!lives && client.closed().await?.is_empty(), "400 without a close");
            ensure!(self.target.requests().len() == before, "a blocked request reached the target");
            return Ok(Outcome::Block);
        }
        ensure!(answer.status == 200, "{}", answer.head);
        if lives {
            ensure!(client.get("/next").await?.status == 200, "the connection does not live on");
        } else {
            ensure!(client.closed().await?.is_empty(), "bytes after the last response");
            ensure!(self.albeit.get("/next").await?.status == 200, "the next client is not served");
        }
        let connections: Vec<usize> =
            self.target.requests().iter().skip(before).map(|request| request.connection).collect();
        let [first, next] = connections[..] else { anyhow::bail!("{connections:?}") };
        ensure!((first == next) == lives, "{connections:?} at the target");
        Ok(if lives { Outcome::Pass } else { Outcome::PassAndClose })
    }
}

/// Requests of each class: request, class and reason in the log, and what comes of it in the modes
/// monitor, defensive and strictest.
fn classes() -> Vec<(&'static str, &'static str, &'static str, [Outcome; 3])> {
    use Outcome::{Block, Pass, PassAndClose};
    let acceptable = [Pass, Pass, Block];
    let ambiguous = [Pass, PassAndClose, Block];
    // Where a request ends is in doubt, so its connections do not live on in any mode.
    let doubtful = [PassAndClose, PassAndClose, Block];
    vec![
        ("GET /a HTTP/1.1\r\nHost: a\r\nX_Y: 1\r\n\r\n", "-", "-", [Pass; 3]),
        (
            "GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            "Acceptable",
            "GetHeadZeroContentLength",
            acceptable,
        ),
        ("GET /a HTTP/1.1 \r\nHost: a\r\n\r\n", "Acceptable", "NonCompliantVersion", acceptable),
        ("GET /a HTTP/1.1\nHost: a\n\n", "Acceptable", "NonCrLfLineTermination", acceptable),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "Acceptable", "SpaceInUri", acceptable),
        (
            "GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            "Ambiguous",
            "UndefinedContentLengthSemantics",
            ambiguous,
        ),
        (
            "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
            "Ambiguous",
            "DuplicateContentLength",
            ambiguous,
        ),
        (
            "POST /a HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\nContent-Length: 5\r\n\r\nhello",
            "Ambiguous",
            "SuspiciousHeader",
            doubtful,
        ),
        (
            "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "Ambiguous",
            "BothTeClPresent",
            doubtful,
        ),
        (
            "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            "Severe",
            "MultipleContentLength",
            [Block; 3],
        ),
        (
            "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            "Severe",
            "BadTransferEncoding",
            [Block; 3],
        ),
    ]
}

async fn check_mode(mode: &str, column: usize) -> Result<()> {
    let site = site(|config| config.with_attribute(MODE, mode)).await?;
    let mut non_compliant = 0.0;
    for (request, class, reason, outcomes) in classes() {
        let path = format!("/{reason}");
        let request = request.replacen("/a", &path, 1);
        // Only transfer codings have an answer of their own.
        if reason == "BadTransferEncoding" && mode == "monitor" {
            continue;
        }
        let outcome = site.outcome(&request).await?;
        assert_eq!(outcome, outcomes[column], "{mode}: {request:?}");
        let record = site.albeit.record(&path).await?;
        assert_eq!([&record["classification"], &record["classification_reason"]], [class, reason]);
        let expected = if outcome == Outcome::Block { ("400", "-") } else { ("200", "200") };
        assert_eq!(
            (record["elb_status_code"].as_str(), record["target_status_code"].as_str()),
            expected,
            "{request:?}"
        );
        non_compliant += if class == "-" { 0.0 } else { 1.0 };
    }
    let counted = site.albeit.metrics().await?.cloudwatch(NON_COMPLIANT)?;
    assert!((counted - non_compliant).abs() < f64::EPSILON, "{counted} counted, {non_compliant} sent");
    Ok(())
}

#[tokio::test]
async fn monitor_passes_what_has_one_reading() -> Result<()> {
    check_mode("monitor", 0).await
}

#[tokio::test]
async fn defensive_closes_after_ambiguous_requests_and_blocks_severe_ones() -> Result<()> {
    check_mode("defensive", 1).await
}

#[tokio::test]
async fn strictest_passes_compliant_requests_only() -> Result<()> {
    check_mode("strictest", 2).await
}

#[tokio::test]
async fn an_http_2_request_is_judged_by_its_fields() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, Target::saying("ok")?);
    let config = Config::forwarding_to(&[target.addr()])?.with_https(&ca)?;
    let albeit = Albeit::start(config.with_attribute(DROP, true)).await?;
    let client = Http2::connect(albeit.listener(1)?, "localhost", ca.client(&["h2"], ALL_VERSIONS)?).await?;
    assert_eq!(client.get("https://localhost/plain", &[]).await?.status(), 200);
    let suspicious = [("content_length", "5"), ("x-kept", "1")];
    assert_eq!(client.get("https://localhost/suspicious", &suspicious).await?.status(), 200);
    assert_eq!(client.get("https://localhost/after", &[]).await?.status(), 200);
    let record = albeit.record("/suspicious").await?;
    assert_eq!(
        [&record["classification"], &record["classification_reason"]],
        ["Ambiguous", "SuspiciousHeader"]
    );
    let seen = target.requests();
    let connections: Vec<usize> = seen.iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 1], "the target's connection is not used again");
    assert!(
        seen[1].headers("content_length").is_empty() && seen[1].header("x-kept")? == "1",
        "{}",
        seen[1].head
    );
    let metrics = albeit.metrics().await?;
    assert_eq!(metrics.cloudwatch("DroppedInvalidHeaderRequestCount")?, 1.0);
    assert_eq!(metrics.cloudwatch(NON_COMPLIANT)?, 1.0);
    Ok(())
}

#[tokio::test]
async fn invalid_header_fields_are_forwarded_and_counted() -> Result<()> {
    let site = site(|config| config).await?;
    let mut client = site.albeit.client().await?;
    client.get_with("/", &["X_Under: 1", "X.Dot: 2", "X-Fine: 3"]).await?;
    let request = site.target.request(1).await?;
    assert_eq!((request.header("x_under")?, request.header("x.dot")?), ("1", "2"));
    // Only what is routed counts.
    let lines = ["X_Under: 1", &format!("X-Forwarded-For: {}", ["192.0.2.1"; 31].join(", "))];
    assert_eq!(client.get_with("/", &lines).await?.status, 463);
    let metrics = site.albeit.metrics().await?;
    assert_eq!(metrics.cloudwatch("ForwardedInvalidHeaderRequestCount")?, 1.0);
    assert_eq!(metrics.cloudwatch("DroppedInvalidHeaderRequestCount")?, 0.0);
    Ok(())
}

#[tokio::test]
async fn invalid_header_fields_are_dropped_and_counted() -> Result<()> {
    let site = site(|config| config.with_attribute(DROP, true)).await?;
    let mut client = site.albeit.client().await?;
    let fields = ["X_Under: 1", "X Space: 2", "X@At: 3", ": fourth", "X-Fine: 5"];
    assert_eq!(client.get_with("/", &fields).await?.status, 200);
    let request = site.target.request(1).await?;
    assert_eq!(request.header("x-fine")?, "5");
    for gone in ["X_Under", "X Space", "X@At", "fourth"] {
        assert!(!request.head.contains(gone), "{}", request.head);
    }
    let metrics = site.albeit.metrics().await?;
    assert_eq!(metrics.cloudwatch("DroppedInvalidHeaderRequestCount")?, 1.0);
    assert_eq!(metrics.cloudwatch("ForwardedInvalidHeaderRequestCount")?, 0.0);
    Ok(())
}

#[tokio::test]
async fn an_absolute_target_wins_over_host() -> Result<()> {
    let site = site(|config| config).await?;
    let port = site.albeit.listener(0)?.port();
    let mut client = site.albeit.client().await?;
    client.send("GET http://Other.test/x?y HTTP/1.1\r\nHost: a\r\n\r\n").await?;
    assert_eq!(client.response().await?.status, 200);
    let request = site.target.request(1).await?;
    assert_eq!((request.path(), request.header("host")?), ("/x?y", format!("other.test:{port}").as_str()));
    let record = site.albeit.record("/x?y").await?;
    assert_eq!(record.request(), format!("GET http://Other.test:{port}/x?y HTTP/1.1"));
    Ok(())
}

#[tokio::test]
async fn several_hosts_are_kept_where_host_is_preserved() -> Result<()> {
    let preserve = "routing.http.preserve_host_header.enabled";
    let site = site(|config| config.with_attribute(preserve, true)).await?;
    let mut client = site.albeit.client().await?;
    client.send("GET /x HTTP/1.1\r\nHost: A\r\nX: y\r\nHost: b\r\n\r\n").await?;
    assert_eq!(client.response().await?.status, 200);
    assert_eq!(site.target.request(1).await?.headers("host"), ["A", "b"]);
    assert!(site.albeit.record("/x").await?.request().contains("http://A:"));
    Ok(())
}

#[tokio::test]
async fn elsewhere_several_hosts_must_be_the_same() -> Result<()> {
    let site = site(|config| config).await?;
    let mut client = site.albeit.client().await?;
    client.send("GET /same HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n").await?;
    assert_eq!(client.response().await?.status, 200);
    assert_eq!(site.target.request(1).await?.headers("host").len(), 1);
    client.send("GET /two HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").await?;
    assert_eq!(client.response().await?.status, 400);
    assert!(client.closed().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn identity_is_no_transfer_coding() -> Result<()> {
    let site = site(|config| config).await?;
    let mut client = site.albeit.client().await?;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n").await?;
    assert_eq!(client.response().await?.status, 200);
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello")
        .await?;
    assert_eq!(client.response().await?.status, 200);
    let request = site.target.request(2).await?;
    assert_eq!((request.header("content-length")?, &request.body[..]), ("5", &b"hello"[..]));
    assert!(request.headers("transfer-encoding").is_empty(), "{}", request.head);
    Ok(())
}

#[tokio::test]
async fn a_thousand_short_fields_pass() -> Result<()> {
    let site = site(|config| config).await?;
    let fields: Vec<String> = (0..1000).map(|n| format!("X-{n}: {n}")).collect();
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    let mut client = site.albeit.client().await?;
    assert_eq!(client.get_with("/", &fields).await?.status, 200);
    let request = site.target.request(1).await?;
    let kept = request.head.lines().filter(|line| line.starts_with("X-") && !line.starts_with("X-A")).count();
    assert!(kept >= 1000, "{kept} of them");
    assert_eq!((request.header("x-0")?, request.header("x-999")?), ("0", "999"));
    Ok(())
}

#[tokio::test]
async fn http_0_9_gets_a_body_and_nothing_else() -> Result<()> {
    let site = site(|config| config).await?;
    let mut client = site.albeit.client().await?;
    client.send("GET /old\r\n").await?;
    assert_eq!(client.closed().await?, b"ok");
    assert_eq!(site.target.request(1).await?.path(), "/old");
    eventually(SOON, "a record", || async {
        let record = site.albeit.record("/old").await?;
        ensure!(
            record["classification_reason"] == "NonCompliantVersion" && record["sent_bytes"] == "2",
            "{record:?}"
        );
        Ok(())
    })
    .await?;
    let mut named = site.albeit.client().await?;
    named.send("GET /named HTTP/0.9\r\nHost: a\r\n\r\n").await?;
    assert_eq!(named.response().await?.text(), "ok");
    Ok(())
}
