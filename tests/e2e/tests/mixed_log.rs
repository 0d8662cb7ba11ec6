//! One access log with an entry of every type and of every error, read by three readers.

use std::{collections::BTreeSet, fs, time::Duration};

use albeit_e2e::{
    Albeit, Ca, Client, Config, Group, Listener, Step, Target,
    access_log::{self, Log, Record},
    ca::ALL_VERSIONS,
    eventually, forward,
    http2::Http2,
    log_tools,
    target::{ok, response, switching_protocols},
    wait::SOON,
    websocket,
};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

/// User agents that a log must survive.
const AGENTS: [&[u8]; 6] = [
    b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36",
    b"quotes \" and \\ and ' and `",
    b"\xff\xfe not UTF-8 \xc3\x28",
    "Grüße 日本語 🦀".as_bytes(),
    b"a, b; c=d \t tab %22 \"\"\" -",
    b"-",
];

/// Paths and queries that a log must survive.
const PATHS: [&str; 6] = [
    "/plain",
    "/%22quoted%22?q=%20%0A",
    "/a'b?c=\"d\"&e=\\f",
    "/[brackets]{braces}|pipe^caret",
    "/?",
    "//double//slashes/../dots?x=http://a.example/",
];

/// Paths, and the codes that come of them.
const STATUSES: [(&str, u16); 7] = [
    ("/forward", 200),
    ("/404", 404),
    ("/fixed", 200),
    ("/redirect", 302),
    ("/nobody", 503),
    ("/close", 502),
    ("/silent", 504),
];

struct Site {
    albeit: Albeit,
    ca: Ca,
    target: Target,
}

fn rule(path: &str, action: &Value) -> (Value, Value) {
    (json!({ "path_pattern": [path] }), action.clone())
}

async fn start() -> Result<Site> {
    let target = Target::start(|request| {
        if !request.headers("upgrade").is_empty() {
            return vec![Step::Send(switching_protocols()), Step::Relay];
        }
        match request.path() {
            "/404" => vec![Step::Send(response("404 Not Found", &[], "no"))],
            "/close" => vec![Step::Close],
            "/silent" | "/leave/plain" | "/leave/secure" => vec![Step::Pause(Duration::from_secs(60))],
            _ => vec![Step::Send(ok("hello"))],
        }
    })?;
    let ca = Ca::try_new()?;
    let mut listeners =
        vec![Listener::http(forward("web"))?, Listener::https(&["localhost"], forward("web"))?];
    let fixed = json!({ "fixed_response": {
        "status_code": "200", "content_type": "text/plain", "message_body": "fixed"
    } });
    let redirect = json!({ "redirect": { "host": "elsewhere.test", "status_code": "HTTP_302" } });
    let rules = [rule("/fixed", &fixed), rule("/redirect", &redirect), rule("/nobody", &forward("empty"))];
    for (priority, (condition, action)) in (1..).zip(rules) {
        let with_rule = |listener: Listener| listener.with_rule(priority, condition.clone(), action.clone());
        listeners = listeners.into_iter().map(with_rule).collect();
    }
    let mut config = Config::try_new()?
        .with_group(Group::new("web", &[target.addr()]))
        .with_group(Group::new("empty", &[]));
    config = config.with_attribute("idle_timeout.timeout_seconds", 10).with_time_scale(10);
    let certificate = ca.issue(config.dir(), "localhost", &["localhost"])?;
    config = config.with_certificate(certificate);
    config.listeners = listeners;
    Ok(Site { albeit: Albeit::start(config).await?, ca, target })
}

impl Site {
    async fn client(&self, secure: bool) -> Result<Client> {
        if !secure {
            return self.albeit.client().await;
        }
        let tls = self.ca.client(&["http/1.1"], ALL_VERSIONS)?;
        Client::connect_tls(self.albeit.listener(1)?, "localhost", tls).await
    }

    /// HTTP/1 over one transport; the number of requests.
    async fn http1(&self, secure: bool) -> Result<usize> {
        let answered = self.answered(secure).await? + self.odd(secure).await? + self.refused(secure).await?;
        let path = if secure { "/leave/secure" } else { "/leave/plain" };
        let mut leaving = self.client(secure).await?;
        leaving.send(format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n")).await?;
        eventually(SOON, "the request that nobody will wait for", || async {
            ensure!(self.target.requests().iter().any(|request| request.path() == path), "not yet");
            Ok(())
        })
        .await?;
        drop(leaving);
        let mut socket = self.client(secure).await?;
        websocket::upgrade(&mut socket, "/socket").await?;
        socket.send("12345").await?;
        socket.read_exactly(5).await?;
        Ok(answered + 2)
    }

    /// Every action, and what targets do wrong.
    async fn answered(&self, secure: bool) -> Result<usize> {
        for (path, status) in STATUSES {
            assert_eq!(self.client(secure).await?.get(path).await?.status, status, "{path}");
        }
        Ok(STATUSES.len())
    }

    /// Odd agents and URLs.
    async fn odd(&self, secure: bool) -> Result<usize> {
        for agent in AGENTS {
            let mut client = self.client(secure).await?;
            let request = [b"GET /agent HTTP/1.1\r\nHost: a.example\r\nUser-Agent: ", agent, b"\r\n\r\n"];
            client.send(request.concat()).await?;
            client.response().await?;
        }
        for path in PATHS {
            let mut client = self.client(secure).await?;
            client.send(format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n")).await?;
            client.response().await?;
        }
        Ok(AGENTS.len() + PATHS.len())
    }

    /// What clients do wrong.
    async fn refused(&self, secure: bool) -> Result<usize> {
        let addresses = format!("X-Forwarded-For: {}", vec!["203.0.113.7"; 31].join(", "));
        assert_eq!(self.client(secure).await?.get_with("/463", &[&addresses]).await?.status, 463);
        let refused = [
            ("NONSENSE\r\n\r\n", 400),
            // Never finished.
            ("GET /408 HTTP/1.1\r\nHost: a.exam", 408),
            ("TRACE /405 HTTP/1.1\r\nHost: a.example\r\n\r\n", 405),
            ("POST /501 HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        ];
        for (bytes, status) in refused {
            let mut client = self.client(secure).await?;
            client.send(bytes).await?;
            assert_eq!(client.response().await?.status, status, "{bytes:?}");
        }
        Ok(1 + refused.len())
    }

    async fn http2(&self) -> Result<usize> {
        let addr = self.albeit.listener(1)?;
        let h2 = Http2::connect(addr, "localhost", self.ca.client(&["h2"], ALL_VERSIONS)?).await?;
        for (path, status) in STATUSES {
            let uri = format!("https://localhost:{}{path}", addr.port());
            let answer = h2.get(&uri, &[("user-agent", "an \"HTTP/2\" \\ agent")]).await?;
            assert_eq!(answer.status(), status, "{path}");
        }
        Ok(STATUSES.len())
    }
}

#[track_caller]
fn values<'r>(records: &'r [Record], field: &str) -> BTreeSet<&'r str> {
    records.iter().map(|record| record[field].as_str()).collect()
}

/// What holds for every line, by the documentation of the fields.
#[track_caller]
fn check(record: &Record) {
    let seconds = |field: &str| record.number(field).expect("a number");
    let times =
        ["request_processing_time", "target_processing_time", "response_processing_time"].map(seconds);
    assert!(times.iter().all(|time| *time == -1.0 || *time >= 0.0), "{record:?}");
    let dispatched = record["target:port"] != "-";
    assert_eq!(dispatched, record["target:port_list"] != "-", "{record:?}");
    assert_eq!(record["target_status_code"], record["target_status_code_list"], "{record:?}");
    assert!(dispatched || times == [-1.0; 3], "{record:?}");
    assert!(record["target_status_code"] != "-" || record["response_processing_time"] == "-1", "{record:?}");
    let secure = record["ssl_protocol"] != "-";
    assert_eq!(secure, matches!(record["type"].as_str(), "https" | "h2" | "wss"), "{record:?}");
    assert_eq!(secure, record["ssl_cipher"] != "-", "{record:?}");
    let scheme = if secure { " https://" } else { " http://" };
    assert!(record.request().contains(scheme), "{record:?}");
    assert_eq!(record["type"] == "h2", record.request().ends_with(" HTTP/2.0"), "{record:?}");
    assert!(record["request_creation_time"] <= record["time"], "{record:?}");
    assert!(record["received_bytes"].bytes().all(|byte| byte.is_ascii_digit()), "{record:?}");
}

#[tokio::test]
async fn three_readers_understand_every_line() -> Result<()> {
    let site = start().await?;
    let (plain, secure, http2) = tokio::try_join!(site.http1(false), site.http1(true), site.http2())?;
    let count = plain + secure + http2;
    let dir = site.albeit.config.dir();
    let records = eventually(SOON, "all lines", || async {
        let records = site.albeit.access_log()?;
        ensure!(records.len() == count, "{} of {count}", records.len());
        Ok(records)
    })
    .await?;
    records.iter().for_each(check);
    assert_eq!(values(&records, "type"), ["h2", "http", "https", "ws", "wss"].into());
    assert_eq!(
        values(&records, "elb_status_code"),
        ["101", "200", "302", "400", "404", "405", "408", "460", "463", "501", "502", "503", "504"].into()
    );
    assert_eq!(values(&records, "actions_executed"), ["-", "fixed-response", "forward", "redirect"].into());
    assert_eq!(values(&records, "matched_rule_priority"), ["-", "0", "1", "2", "3"].into());

    let whole = dir.join("whole.log");
    let mut text = access_log::lines(&dir.join("logs"), Log::Access)?.join("\n");
    text.push('\n');
    fs::write(&whole, text)?;
    let count = u64::try_from(count)?;
    if let Some(counted) = log_tools::goaccess(&whole, dir).await? {
        let invalid = fs::read_to_string(dir.join("goaccess.invalid"))?;
        assert_eq!(counted, (count, 0), "{invalid}");
    }
    if let Some(entries) = log_tools::aws_log_parser(&whole, dir).await? {
        assert_eq!(entries, count);
    }
    Ok(())
}
