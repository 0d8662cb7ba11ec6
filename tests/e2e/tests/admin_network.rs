//! What the admin API shows of network load balancers, and what it changes for their flows.

use std::{net::SocketAddr, sync::Arc};

use albeit_e2e::{
    Albeit, Ca, Client, Config, Group, Listener, LoadBalancer, Target,
    ca::ALL_VERSIONS,
    config::SECURITY_POLICY,
    eventually, forward,
    ports::HeldPort,
    wait::{SOON, within},
};
use anyhow::{Context as _, Result, ensure};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// One element of a list of the admin API.
async fn only(albeit: &Albeit, path: &str, name: &str) -> Result<Value> {
    let mut all = albeit.list(path, name).await?;
    ensure!(all.len() == 1, "{path}: {all:#?}");
    all.pop().context("nothing")
}

#[track_caller]
fn has(object: &Value, members: &[(&str, Value)]) {
    for (pointer, expected) in members {
        assert_eq!(object.pointer(pointer).unwrap_or(&Value::Null), expected, "{pointer} of {object:#}");
    }
}

#[tokio::test]
async fn network_load_balancers_are_described_in_the_words_of_the_api() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, Target::saying("a")?);
    let mut config = Config::network(&[target.addr()])?.with_tls(&ca)?;
    config.listeners = vec![
        config.listeners[0].clone().with_attribute("tcp.idle_timeout.seconds", "60"),
        config.listeners[1].clone().with("alpn_policy", "HTTP2Preferred"),
    ];
    let albeit = Albeit::start(config).await?;
    let load_balancer = only(&albeit, "/load-balancers", "LoadBalancers").await?;
    has(&load_balancer, &[("/Type", json!("network")), ("/Scheme", json!("internet-facing"))]);
    let arn = load_balancer["LoadBalancerArn"].as_str().context("no ARN")?;
    assert!(arn.contains(":loadbalancer/net/e2e-alb/"), "{arn}");

    let listeners = albeit.list("/listeners", "Listeners").await?;
    let [tcp, tls] = listeners.as_slice() else { panic!("{listeners:#?}") };
    has(tcp, &[("/Protocol", json!("TCP")), ("/Certificates", Value::Null), ("/AlpnPolicy", Value::Null)]);
    let certificate = only(&albeit, "/certificates", "Certificates").await?;
    has(
        tls,
        &[
            ("/Protocol", json!("TLS")),
            ("/SslPolicy", json!(SECURITY_POLICY)),
            ("/AlpnPolicy", json!(["HTTP2Preferred"])),
            ("/MutualAuthentication", Value::Null),
            ("/Certificates/0/CertificateArn", certificate["CertificateArn"].clone()),
            ("/DefaultActions/0/Type", json!("forward")),
        ],
    );
    for listener in &listeners {
        let arn = listener["ListenerArn"].as_str().context("no ARN")?;
        assert!(arn.contains(":listener/net/e2e-alb/"), "{arn}");
    }
    let path = format!("/attributes?ListenerArn={}", tcp["ListenerArn"].as_str().unwrap_or_default());
    let attributes = albeit.list(&path, "Attributes").await?;
    let idle = json!({ "Key": "tcp.idle_timeout.seconds", "Value": "60" });
    assert!(attributes.contains(&idle), "{attributes:?}");

    let group = only(&albeit, "/target-groups", "TargetGroups").await?;
    has(
        &group,
        &[
            ("/Protocol", json!("TCP")),
            ("/ProtocolVersion", Value::Null),
            ("/HealthCheckProtocol", json!("TCP")),
            ("/HealthCheckPath", Value::Null),
            ("/LoadBalancerArns/0", json!(arn)),
        ],
    );
    let targets = only(&albeit, "/targets", "TargetGroups").await?;
    let described = "/TargetHealthDescriptions/0";
    has(
        &targets,
        &[
            (&format!("{described}/Target/Port"), json!(target.addr().port())),
            (&format!("{described}/TargetHealth/State"), json!("healthy")),
        ],
    );
    Ok(())
}

#[tokio::test]
async fn open_flows_are_shown_with_both_ends_their_bytes_and_their_tls() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, Target::saying("a")?);
    let albeit = Albeit::start(Config::network(&[target.addr()])?.with_tls(&ca)?.with_time_scale(10)).await?;
    assert_eq!(albeit.list("/flows", "Flows").await?, [Value::Null; 0]);
    let mut plain = albeit.client().await?;
    let response = plain.get("/").await?;
    let tls = ca.client(&[], ALL_VERSIONS)?;
    let mut secure = Client::connect_tls(albeit.listener(1)?, "localhost", tls).await?;
    secure.get("/").await?;

    let flows = albeit.list("/flows", "Flows").await?;
    let [first, second] = flows.as_slice() else { panic!("{flows:#?}") };
    let arns =
        |list: Vec<Value>, member: &str| -> Vec<Value> { list.iter().map(|it| it[member].clone()).collect() };
    let listeners = arns(albeit.list("/listeners", "Listeners").await?, "ListenerArn");
    let groups = arns(albeit.list("/target-groups", "TargetGroups").await?, "TargetGroupArn");
    has(
        first,
        &[
            ("/Protocol", json!("TCP")),
            ("/Client", json!(plain.local_addr().to_string())),
            ("/Destination", json!(albeit.listener(0)?.to_string())),
            ("/Local", Value::Null),
            ("/Target", json!({ "Id": target.addr().ip(), "Port": target.addr().port() })),
            ("/TargetGroupArn", groups[0].clone()),
            ("/ListenerArn", listeners[0].clone()),
            ("/SentBytes", json!(response.head.len() + response.body.len())),
            ("/Tls", Value::Null),
        ],
    );
    let received = first["ReceivedBytes"].as_u64().context("not a number")?;
    assert!(received > 0, "{first:#}");
    has(
        second,
        &[
            ("/Protocol", json!("TLS")),
            ("/Client", json!(secure.local_addr().to_string())),
            ("/ListenerArn", listeners[1].clone()),
            ("/Tls/Protocol", json!("TLSv1.3")),
            ("/Tls/ServerName", json!("localhost")),
        ],
    );

    // Nothing passes: the flow idles from the last sweep that found bytes.
    eventually(SOON, "idleness", || async {
        let idle = albeit.list("/flows", "Flows").await?[0]["IdleSeconds"].as_f64().context("no number")?;
        ensure!(idle > 0.3, "idle for {idle}");
        Ok(())
    })
    .await?;
    drop(plain);
    let rest = eventually(SOON, "the end of a flow", || only(&albeit, "/flows", "Flows")).await?;
    assert_eq!(rest["FlowId"], second["FlowId"]);
    Ok(())
}

#[tokio::test]
async fn flows_are_listed_by_listener_group_and_client_page_by_page() -> Result<()> {
    let (a, b) = (Target::saying("a")?, Target::saying("b")?);
    let config = Config::network(&[a.addr()])?
        .with_group(Group::tcp("others", &[b.addr()]))
        .with_listener(Listener::tcp(forward("others"))?);
    let albeit = Albeit::start(config).await?;
    let mut open = Vec::new();
    for index in [0, 1, 0] {
        let mut flow = Client::connect(albeit.listener(index)?).await?;
        flow.get("/").await?;
        open.push(flow);
    }
    let all = albeit.list("/flows", "Flows").await?;
    assert_eq!(all.len(), 3, "{all:#?}");
    let count = async |parameter: &str, value: &Value| -> Result<usize> {
        let path = format!("/flows?{parameter}={}", value.as_str().context("not text")?);
        Ok(albeit.list(&path, "Flows").await?.len())
    };
    assert_eq!(count("ListenerArn", &all[0]["ListenerArn"]).await?, 2);
    assert_eq!(count("TargetGroupArn", &all[1]["TargetGroupArn"]).await?, 1);
    assert_eq!(count("Client", &json!("127.0.0.1")).await?, 3);
    assert_eq!(count("Client", &json!("127.0.0.9")).await?, 0);
    for wrong in ["ListenerArn=none", "TargetGroupArn=none", "Client=nobody", "Name=x"] {
        let status = albeit.admin(&format!("/flows?{wrong}")).await?.status;
        assert!(matches!(status, 400 | 404), "{wrong}: {status}");
    }
    let page = albeit.resource("/flows?PageSize=2").await?;
    assert_eq!(page["Flows"].as_array().map(Vec::len), Some(2));
    let next = format!("/flows?PageSize=2&Marker={}", page["NextMarker"].as_str().context("no marker")?);
    let rest = albeit.resource(&next).await?;
    has(
        &rest,
        &[
            ("/Flows/0/FlowId", all[2]["FlowId"].clone()),
            ("/Flows/1", Value::Null),
            ("/NextMarker", Value::Null),
        ],
    );
    Ok(())
}

#[tokio::test]
async fn the_bytes_of_a_flow_are_counted_while_it_runs_and_once() -> Result<()> {
    let target = Target::saying("a")?;
    let albeit = Albeit::start(Config::network(&[target.addr()])?.with_time_scale(10)).await?;
    let processed = async || albeit.metrics().await?.network_cloudwatch("ProcessedBytes");
    let mut flow = albeit.client().await?;
    let mut passed = 0.0;
    for _ in 0..2 {
        flow.get("/").await?;
        let open = only(&albeit, "/flows", "Flows").await?;
        let bytes = |member: &str| open[member].as_f64().unwrap_or_default();
        let total = bytes("ReceivedBytes") + bytes("SentBytes");
        assert!(total > passed, "{open:#}");
        passed = total;
        eventually(SOON, "bytes of an open flow", || async {
            let counted = processed().await?;
            ensure!((counted - passed).abs() < 0.1, "{counted} of {passed}");
            Ok(())
        })
        .await?;
    }
    drop(flow);
    eventually(SOON, "the end", || async {
        let flows = albeit.metrics().await?.network_cloudwatch("ActiveFlowCount")?;
        ensure!(flows < 0.1, "{flows} flows");
        Ok(())
    })
    .await?;
    assert!((processed().await? - passed).abs() < 0.1, "nothing is counted twice");
    Ok(())
}

/// A target that keeps the first bytes of each connection that has any.
struct Opener {
    addr: SocketAddr,
    openings: Arc<Mutex<Vec<Vec<u8>>>>,
    _port: HeldPort,
    _task: JoinSet<()>,
}

impl Opener {
    fn start() -> Result<Self> {
        let port = HeldPort::try_new()?;
        let openings = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let mut task = JoinSet::new();
        task.spawn(keep_openings(port.listen()?, Arc::clone(&openings)));
        Ok(Self { addr: port.addr(), openings, _port: port, _task: task })
    }
}

async fn keep_openings(listener: TcpListener, openings: Arc<Mutex<Vec<Vec<u8>>>>) {
    let mut connections = JoinSet::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        let openings = Arc::clone(&openings);
        connections.spawn(async move {
            let mut all = Vec::new();
            while let Ok(1..) = stream.read_buf(&mut all).await {
                if all.ends_with(b"!") {
                    openings.lock().push(std::mem::take(&mut all));
                    if stream.write_all(b"!").await.is_err() {
                        break;
                    }
                }
            }
        });
    }
}

/// Sends `words`, which end with `!`, and waits until the target has them.
async fn say(flow: &mut TcpStream, words: &[u8]) -> Result<()> {
    flow.write_all(words).await?;
    within(SOON, "an answer", flow.read_u8()).await??;
    Ok(())
}

#[tokio::test]
async fn a_changed_attribute_is_for_flows_that_begin_from_then_on() -> Result<()> {
    let target = Opener::start()?;
    let albeit = Albeit::start(Config::network(&[target.addr])?).await?;
    let mut before = TcpStream::connect(albeit.listener(0)?).await?;
    say(&mut before, b"one!").await?;
    let group = only(&albeit, "/target-groups", "TargetGroups").await?;
    let on = json!({ "Key": "proxy_protocol_v2.enabled", "Value": "true" });
    let body = json!({ "TargetGroupArn": group["TargetGroupArn"], "Attributes": [on] });
    albeit.act("PUT", "/attributes", &body).await?;
    let mut after = TcpStream::connect(albeit.listener(0)?).await?;
    say(&mut after, b"two!").await?;
    say(&mut before, b"three!").await?;
    let openings = target.openings.lock().clone();
    let [one, two, three] = openings.as_slice() else { panic!("{openings:?}") };
    assert_eq!((one.as_slice(), three.as_slice()), (&b"one!"[..], &b"three!"[..]));
    assert!(two.starts_with(b"\r\n\r\n\0\r\nQUIT\n"), "{two:?}");
    assert!(two.ends_with(b"two!"), "{two:?}");
    assert_eq!(two.len(), 100 + 4, "a header as an NLB writes it");
    Ok(())
}

#[tokio::test]
async fn load_balancers_have_series_of_the_groups_they_forward_to_and_no_others() -> Result<()> {
    let (web, flows) = (Target::saying("web")?, Target::saying("flows")?);
    let network = LoadBalancer::new("edge", "network", vec![Listener::tcp(forward("flows"))?]);
    let config = Config::forwarding_to(&[web.addr()])?
        .with_group(Group::tcp("flows", &[flows.addr()]))
        .with_load_balancer(network);
    let albeit = Albeit::start(config).await?;
    let text = albeit.admin("/metrics").await?.text();
    let series = |load_balancer: &str, group: &str| {
        let is = |line: &&str| {
            line.contains(&format!("load_balancer=\"{load_balancer}/"))
                && line.contains(&format!("target_group=\"targetgroup/{group}/"))
        };
        text.lines().filter(is).count()
    };
    for (load_balancer, group, expected) in [
        ("app/e2e-alb", "web", true),
        ("net/edge", "flows", true),
        ("app/e2e-alb", "flows", false),
        ("net/edge", "web", false),
    ] {
        assert_eq!(series(load_balancer, group) > 0, expected, "{load_balancer} and {group} in\n{text}");
    }
    Ok(())
}
