//! The connection log: one line for each attempt, failed ones too.

use albeit_e2e::{
    Albeit, Ca, Client, Config, Target,
    access_log::{Log, Record},
    ca::ALL_VERSIONS,
    client::connect_and_reset,
    eventually,
    http2::Http2,
    wait::SOON,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::json;

struct Site {
    albeit: Albeit,
    ca: Ca,
    _target: Target,
}

impl Site {
    async fn start() -> Result<Self> {
        let (ca, target) = (Ca::try_new()?, Target::saying("ok")?);
        let config = Config::forwarding_to(&[target.addr()])?.with_https(&ca)?;
        let bucket = json!(config.dir().join("logs"));
        let config = config
            .with_attribute("connection_logs.s3.enabled", true)
            .with_attribute("connection_logs.s3.bucket", bucket);
        Ok(Self { albeit: Albeit::start(config).await?, ca, _target: target })
    }

    /// Waits for the lines of the connections from `client`: there must be exactly one.
    async fn line_of(&self, client: std::net::SocketAddr) -> Result<Record> {
        let port = client.port().to_string();
        eventually(SOON, "one connection log line", || async {
            let mut lines = self.albeit.log(Log::Connection)?;
            lines.retain(|line| line["client_port"] == port);
            ensure!(lines.len() == 1, "{lines:?}");
            lines.pop().context("no line")
        })
        .await
    }
}

#[track_caller]
fn check(line: &Record, expected: &[(&str, &str)]) {
    for (field, value) in expected {
        assert_eq!(line[*field], *value, "{field} of {line:?}");
    }
}

const NO_CERTIFICATE: [(&str, &str); 3] = [
    ("leaf_client_cert_subject", "-"),
    ("leaf_client_cert_validity", "-"),
    ("leaf_client_cert_serial_number", "-"),
];
const NO_TLS: [(&str, &str); 4] =
    [("tls_protocol", "-"), ("tls_cipher", "-"), ("tls_handshake_latency", "-"), ("tls_keyexchange", "-")];

#[tokio::test]
async fn a_connection_in_clear_text() -> Result<()> {
    let site = Site::start().await?;
    let mut client = site.albeit.client().await?;
    client.get("/one").await?;
    client.get("/two").await?;
    let line = site.line_of(client.local_addr()).await?;
    let record = site.albeit.record("/two").await?;
    let port = site.albeit.listener(0)?.port().to_string();
    check(&line, &NO_TLS);
    check(&line, &NO_CERTIFICATE);
    check(
        &line,
        &[
            ("client_ip", "127.0.0.1"),
            ("listener_port", &port),
            ("tls_verify_status", "-"),
            ("conn_trace_id", &record["conn_trace_id"]),
            ("elb", &record["elb"]),
            ("ip_address", "127.0.0.1"),
        ],
    );
    assert!(line["timestamp"] <= record["time"], "{line:?} {record:?}");
    assert_eq!(line["conn_trace_id"].len(), "TID_3180a73013c8ca4bac2f731159d4b0fe".len());
    Ok(())
}

#[tokio::test]
async fn connections_over_tls() -> Result<()> {
    let site = Site::start().await?;
    let addr = site.albeit.listener(1)?;
    for (version, protocol) in [(&rustls::version::TLS12, "TLSv1.2"), (&rustls::version::TLS13, "TLSv1.3")] {
        let tls = site.ca.client(&["http/1.1"], &[version])?;
        let mut client = Client::connect_tls(addr, "localhost", tls).await?;
        let path = format!("/{protocol}");
        client.get(&path).await?;
        let line = site.line_of(client.local_addr()).await?;
        let record = site.albeit.record(&path).await?;
        let port = addr.port().to_string();
        check(&line, &NO_CERTIFICATE);
        check(
            &line,
            &[
                ("listener_port", &port),
                ("tls_protocol", protocol),
                ("tls_cipher", &record["ssl_cipher"]),
                ("tls_verify_status", "Success"),
                ("conn_trace_id", &record["conn_trace_id"]),
                // The policy has no hybrid groups; the client's next favourite is this.
                ("tls_keyexchange", "x25519"),
            ],
        );
        let latency = line.number("tls_handshake_latency")?;
        assert!((0.0..10.0).contains(&latency) && line["tls_handshake_latency"].len() == 5, "{line:?}");
    }
    let h2 = Http2::connect(addr, "localhost", site.ca.client(&["h2"], ALL_VERSIONS)?).await?;
    for _ in 0..3 {
        h2.get(&format!("https://localhost:{}/two", addr.port()), &[]).await?;
    }
    let line = site.line_of(h2.local_addr()).await?;
    let records = site.albeit.records("/two", 3).await?;
    assert!(records.iter().all(|record| record["conn_trace_id"] == line["conn_trace_id"]), "{records:?}");
    Ok(())
}

#[tokio::test]
async fn handshakes_that_fail() -> Result<()> {
    let site = Site::start().await?;
    let addr = site.albeit.listener(1)?;
    let mut nonsense = Client::connect(addr).await?;
    nonsense.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await?;
    let from = nonsense.local_addr();
    nonsense.closed().await?;
    let line = site.line_of(from).await?;
    check(&line, &NO_TLS);
    check(&line, &NO_CERTIFICATE);
    check(&line, &[("tls_verify_status", "Failed:UnmappedConnectionError")]);
    connect_and_reset(addr, b"\x16\x03").await?;
    eventually(SOON, "the line of a client that left", || async {
        let lines = site.albeit.log(Log::Connection)?;
        let failed = lines.iter().filter(|line| line["tls_verify_status"].starts_with("Failed:")).count();
        ensure!(failed == 2, "{lines:?}");
        Ok(())
    })
    .await?;
    assert_eq!(site.albeit.metrics().await?.cloudwatch("ClientTLSNegotiationErrorCount")?, 2.0);
    Ok(())
}

#[tokio::test]
async fn there_is_none_unless_it_is_enabled() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    albeit.get("/one").await?;
    albeit.record("/one").await?;
    assert_eq!(albeit.log(Log::Connection)?, []);
    assert_eq!(albeit.log(Log::HealthCheck)?, []);
    Ok(())
}
