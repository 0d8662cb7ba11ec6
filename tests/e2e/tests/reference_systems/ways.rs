//! System B: what the server sees in each of the four ways, with the instances of the folder.

use albeit_e2e::{
    Client, eventually,
    topology::{Way, ports::Name},
    wait::SOON,
    websocket::WebSocket,
};
use anyhow::{Result, ensure};

use super::system::{Plan, System, json};

/// What the server sees of a client.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    forwarded_proto: bool,
    tls: bool,
    rule: bool,
}

async fn start(way: Way) -> Result<System> {
    let backend = if way.targets_end_tls() { "backend-tls.yaml" } else { "backend.yaml" };
    let mut plan = Plan::of("b-nlb-or-alb", backend);
    way.files()[0].clone_into(&mut plan.balancer);
    plan.instances_end_tls = way.targets_end_tls();
    plan.start().await
}

async fn connect(system: &System, way: Way) -> Result<Client> {
    let name = if way == Way::Alb { Name::Https } else { Name::Nlb };
    Client::connect_tls(system.ports.addr(name), "localhost", system.tls()?).await
}

async fn check(way: Way, expected: Seen) -> Result<()> {
    let system = start(way).await?;
    // Behind the network load balancer the other one may still look for healthy targets.
    let seen = eventually(SOON, "an answer", || async {
        let answer = connect(&system, way).await?.get("/whoami").await?;
        ensure!(answer.status == 200, "{}", answer.head);
        json(&answer)
    })
    .await?;
    let rule = connect(&system, way).await?.get("/api/items").await?;
    let found = Seen {
        forwarded_proto: seen["headers"].to_string().contains("[\"x-forwarded-proto\",\"https\"]"),
        tls: seen["tls"].is_object(),
        rule: rule.text() == "rule 10",
    };
    ensure!(found == expected, "{way:?}: {found:?} in {seen:#}");
    WebSocket::open(connect(&system, way).await?, "/echo", &[]).await?.echo(b"hello".to_vec()).await
}

#[tokio::test]
async fn behind_an_alb_the_server_sees_http_with_forwarded_headers() -> Result<()> {
    check(Way::Alb, Seen { forwarded_proto: true, tls: false, rule: true }).await
}

#[tokio::test]
async fn behind_a_tls_listener_it_sees_the_clients_own_bytes() -> Result<()> {
    check(Way::NlbTls, Seen { forwarded_proto: false, tls: false, rule: false }).await
}

#[tokio::test]
async fn behind_a_tcp_listener_it_ends_tls_itself() -> Result<()> {
    check(Way::NlbTcp, Seen { forwarded_proto: false, tls: true, rule: false }).await
}

#[tokio::test]
async fn behind_both_it_sees_what_an_alb_tells() -> Result<()> {
    check(Way::NlbAlb, Seen { forwarded_proto: true, tls: false, rule: true }).await
}
