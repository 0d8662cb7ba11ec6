//! The access log, field by field, for each kind of connection.

use std::net::SocketAddr;

use albeit_e2e::{
    Albeit, Ca, Client, Config, Group, Step, Target,
    access_log::{self, Record},
    ca::ALL_VERSIONS,
    http2::Http2,
    target::{ok, switching_protocols},
    wait::{SOON, within},
    websocket,
};
use anyhow::{Context as _, Result};
use tokio::io::{AsyncBufReadExt as _, BufReader};

struct Site {
    albeit: Albeit,
    target: Target,
    ca: Ca,
}

impl Site {
    async fn start() -> Result<Self> {
        let target = Target::start(|request| {
            if request.headers("upgrade").is_empty() {
                vec![Step::Send(ok("hello"))]
            } else {
                vec![Step::Send(switching_protocols()), Step::Relay]
            }
        })?;
        let ca = Ca::try_new()?;
        let config = Config::forwarding_to(&[target.addr()])?.with_https(&ca)?;
        Ok(Self { albeit: Albeit::start(config).await?, target, ca })
    }

    async fn tls(&self) -> Result<Client> {
        let tls = self.ca.client(&["http/1.1"], ALL_VERSIONS)?;
        Client::connect_tls(self.albeit.listener(1)?, "localhost", tls).await
    }
}

fn is_time(value: &str) -> bool {
    value.len() == "2018-07-02T22:23:00.186641Z".len() && value.ends_with('Z') && value.contains('T')
}

/// The fields that are the same for every forwarded request.
#[track_caller]
fn check_forwarded(record: &Record, client: SocketAddr, target: &Target) {
    let target_addr = target.addr().to_string();
    let trace =
        target.requests().last().expect("a request").header("x-amzn-trace-id").expect("one").to_owned();
    for (field, expected) in [
        ("client:port", client.to_string().as_str()),
        ("target:port", &target_addr),
        ("matched_rule_priority", "0"),
        ("actions_executed", "forward"),
        ("redirect_url", "-"),
        ("error_reason", "-"),
        ("target:port_list", &target_addr),
        ("classification", "-"),
        ("classification_reason", "-"),
        ("trace_id", &trace),
        ("transformed_host", "-"),
        ("transformed_uri", "-"),
        ("request_transform_status", "-"),
        ("ip_address", "127.0.0.1"),
    ] {
        assert_eq!(record[field], expected, "{field}");
    }
    assert!(record["elb"].starts_with("app/e2e-alb/"), "{}", record["elb"]);
    assert!(record["target_group_arn"].starts_with("arn:aws:elasticloadbalancing:"), "{record:?}");
    assert!(record["target_group_arn"].contains(":targetgroup/web/"), "{record:?}");
    assert!(record["conn_trace_id"].starts_with("TID_"), "{}", record["conn_trace_id"]);
    assert!(is_time(&record["time"]) && is_time(&record["request_creation_time"]), "{record:?}");
    assert!(record["request_creation_time"] <= record["time"], "{record:?}");
    for field in ["request_processing_time", "target_processing_time", "response_processing_time"] {
        let seconds = record.number(field).expect("a number");
        assert!((0.0..10.0).contains(&seconds) && record[field].len() == 5, "{field} {}", record[field]);
    }
}

#[track_caller]
fn check(record: &Record, expected: &[(&str, &str)]) {
    for (field, value) in expected {
        assert_eq!(record[*field], *value, "{field}");
    }
}

const STATUS_200: [(&str, &str); 3] =
    [("elb_status_code", "200"), ("target_status_code", "200"), ("target_status_code_list", "200")];
const STATUS_101: [(&str, &str); 3] =
    [("elb_status_code", "101"), ("target_status_code", "101"), ("target_status_code_list", "101")];
const NO_TLS: [(&str, &str); 4] =
    [("ssl_cipher", "-"), ("ssl_protocol", "-"), ("domain_name", "-"), ("chosen_cert_arn", "-")];

#[track_caller]
fn check_tls(record: &Record, cipher: &str) {
    check(record, &[("ssl_protocol", "TLSv1.3"), ("domain_name", "localhost")]);
    assert_eq!(record["ssl_cipher"], cipher.replace("TLS13_", "TLS_"), "{record:?}");
    assert!(record["chosen_cert_arn"].starts_with("arn:"), "{record:?}");
}

#[tokio::test]
async fn http() -> Result<()> {
    let site = Site::start().await?;
    let mut client = site.albeit.client().await?;
    let request = "POST /http?q=%20 HTTP/1.1\r\nHost: Example.test\r\nUser-Agent: a \"quoted\" \\ agent\r\nContent-Length: 5\r\n\r\nhello";
    client.send(request).await?;
    let answer = client.response().await?;
    let record = site.albeit.record("/http").await?;
    check_forwarded(&record, client.local_addr(), &site.target);
    check(&record, &STATUS_200);
    check(&record, &NO_TLS);
    let url = format!("POST http://Example.test:{}/http?q=%20 HTTP/1.1", site.albeit.listener(0)?.port());
    check(
        &record,
        &[
            ("type", "http"),
            ("request", &url),
            ("user_agent", r"a \x22quoted\x22 \x5c agent"),
            ("received_bytes", &request.len().to_string()),
            ("sent_bytes", &(answer.head.len() + answer.body.len()).to_string()),
        ],
    );
    Ok(())
}

#[tokio::test]
async fn https() -> Result<()> {
    let site = Site::start().await?;
    let mut client = site.tls().await?;
    let answer = client.get("/https").await?;
    let cipher = client.tls.as_ref().context("TLS")?.cipher.clone();
    let record = site.albeit.record("/https").await?;
    check_forwarded(&record, client.local_addr(), &site.target);
    check(&record, &STATUS_200);
    check_tls(&record, &cipher);
    let url = format!("GET https://localhost:{}/https HTTP/1.1", site.albeit.listener(1)?.port());
    let sent = (answer.head.len() + answer.body.len()).to_string();
    check(&record, &[("type", "https"), ("request", &url), ("user_agent", "-"), ("sent_bytes", &sent)]);
    Ok(())
}

#[tokio::test]
async fn h2() -> Result<()> {
    let site = Site::start().await?;
    let addr = site.albeit.listener(1)?;
    let h2 = Http2::connect(addr, "localhost", site.ca.client(&["h2"], ALL_VERSIONS)?).await?;
    let answer = h2.get(&format!("https://localhost:{}/two", addr.port()), &[("user-agent", "e2e")]).await?;
    assert_eq!(answer.body().as_ref(), b"hello");
    let record = site.albeit.record("/two").await?;
    check_forwarded(&record, h2.local_addr(), &site.target);
    check(&record, &STATUS_200);
    check_tls(&record, &record["ssl_cipher"].clone());
    let url = format!("GET https://localhost:{}/two HTTP/2.0", addr.port());
    check(&record, &[("type", "h2"), ("request", &url), ("user_agent", "e2e")]);
    assert!(record.number("received_bytes")? > 0.0 && record.number("sent_bytes")? >= 5.0, "{record:?}");
    Ok(())
}

async fn check_websocket(site: &Site, mut client: Client, kind: &str, scheme: &str) -> Result<Record> {
    let path = format!("/{kind}-record");
    let url = format!("GET {scheme}://{}{path} HTTP/1.1", client.host());
    let sent = websocket::upgrade_request(client.host(), &path, &[]).len();
    let head = websocket::upgrade(&mut client, &path).await?.head.len();
    client.send("12345").await?;
    client.read_exactly(5).await?;
    client.finish_writing().await?;
    client.closed().await?;
    let record = site.albeit.record(&path).await?;
    check_forwarded(&record, client.local_addr(), &site.target);
    check(&record, &STATUS_101);
    let (received, sent) = ((sent + 5).to_string(), (head + 5).to_string());
    check(
        &record,
        &[("type", kind), ("request", &url), ("received_bytes", &received), ("sent_bytes", &sent)],
    );
    Ok(record)
}

#[tokio::test]
async fn ws() -> Result<()> {
    let site = Site::start().await?;
    let record = check_websocket(&site, site.albeit.client().await?, "ws", "http").await?;
    check(&record, &NO_TLS);
    Ok(())
}

#[tokio::test]
async fn wss() -> Result<()> {
    let site = Site::start().await?;
    let client = site.tls().await?;
    let cipher = client.tls.as_ref().context("TLS")?.cipher.clone();
    let record = check_websocket(&site, client, "wss", "https").await?;
    check_tls(&record, &cipher);
    Ok(())
}

#[tokio::test]
async fn requests_of_one_connection_share_its_trace_id() -> Result<()> {
    let site = Site::start().await?;
    let mut client = site.albeit.client().await?;
    client.get("/one-connection").await?;
    client.get("/one-connection").await?;
    site.albeit.get("/another-connection").await?;
    let pair = site.albeit.records("/one-connection", 2).await?;
    let other = site.albeit.record("/another-connection").await?;
    assert_eq!(pair[0]["conn_trace_id"], pair[1]["conn_trace_id"]);
    assert_ne!(pair[0]["conn_trace_id"], other["conn_trace_id"]);
    Ok(())
}

#[tokio::test]
async fn files_are_laid_out_as_in_s3() -> Result<()> {
    let target = Target::saying("ok")?;
    let config = Config::try_new()?
        .with_attribute("access_logs.s3.prefix", "my/prefix")
        .with_group(Group::new("web", &[target.addr()]))
        .with_listener(albeit_e2e::Listener::http(albeit_e2e::forward("web"))?);
    let albeit = Albeit::start(config).await?;
    albeit.get("/layout").await?;
    albeit.record("/layout").await?;
    let root = albeit.config.dir().join("logs");
    let files = access_log::files(&root)?;
    let file = files.iter().find(|file| file.extension() == Some("log".as_ref())).context("no file")?;
    let parts: Vec<String> =
        file.strip_prefix(&root)?.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    assert_eq!(parts[..3], ["my", "prefix", "AWSLogs"]);
    let (account, region) = (&parts[3], &parts[5]);
    assert!(account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()), "{parts:?}");
    assert_eq!(parts[4], "elasticloadbalancing");
    assert_eq!(parts[6..9].iter().map(String::len).collect::<Vec<_>>(), [4, 2, 2], "{parts:?}");
    let name = format!("{account}_elasticloadbalancing_{region}_app.e2e-alb.");
    assert!(parts[9].starts_with(&name) && parts[9].contains("Z_127.0.0.1_"), "{parts:?}");
    Ok(())
}

#[tokio::test]
async fn lines_go_to_standard_output_too_when_the_attribute_says_so() -> Result<()> {
    let target = Target::saying("ok")?;
    let config = Config::forwarding_to(&[target.addr()])?;
    let albeit = Albeit::start(config.with_attribute("albeit.access_logs.stdout.enabled", true)).await?;
    albeit.get("/for-people").await?;
    let record = albeit.record("/for-people").await?;
    albeit_e2e::eventually(SOON, "the line on standard output", || async {
        let stdout = albeit.process.stdout();
        let line = stdout.lines().find(|line| line.contains("/for-people")).context("no line")?;
        anyhow::ensure!(Record::parse(line)? == record, "{line}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_file_is_complete_though_nobody_reads_standard_output() -> Result<()> {
    let target = Target::saying("ok")?;
    let config = Config::forwarding_to(&[target.addr()])?;
    let config = config.with_attribute("albeit.access_logs.stdout.enabled", true);
    let (mut albeit, stdout) = Albeit::start_piped(config).await?;
    let mut lines = BufReader::new(stdout).lines();
    let mut client = albeit.client().await?;
    client.get("/read").await?;
    let line = within(SOON, "a line", lines.next_line()).await??.context("no line")?;
    assert!(line.contains("/read"), "{line}");
    drop(lines);
    for number in 0..50 {
        assert_eq!(client.get(&format!("/unread-{number}")).await?.status, 200);
    }
    albeit.records("/unread-", 50).await?;
    // The file has all, so nothing is lost, and the reader's leaving is told once.
    assert_eq!(albeit.metrics().await?.sum("albeit_access_log_lines_dropped_total", ""), 0.0);
    let log = albeit.process.stderr();
    assert_eq!(log.matches("no longer copied").count(), 1, "{log}");
    assert!(albeit.stop().await?.success());
    Ok(())
}
