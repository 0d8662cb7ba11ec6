//! System B: what the server sees in each of the four ways, with the instances of the folder.

use albeit_e2e::{
    Client, eventually,
    topology::{Way, ports::Name},
    wait::SOON,
    websocket::WebSocket,
};
use anyhow::{Result, ensure};

use super::system::{Plan, System, json};

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

/// What shows of the way: `headers` that were added, `tls` at the server, a `rule` that acts.
async fn check(way: Way, expected: &[&str]) -> Result<()> {
    let system = start(way).await?;
    // Behind the network load balancer the other one may still look for healthy targets.
    let seen = eventually(SOON, "an answer", || async {
        let answer = connect(&system, way).await?.get("/whoami").await?;
        ensure!(answer.status == 200, "{}", answer.head);
        json(&answer)
    })
    .await?;
    let rule = connect(&system, way).await?.get("/api/items").await?;
    let shows = [
        ("headers", seen["headers"].to_string().contains("[\"x-forwarded-proto\",\"https\"]")),
        ("tls", seen["tls"].is_object()),
        ("rule", rule.text() == "rule 10"),
    ];
    let found: Vec<&str> = shows.into_iter().filter_map(|(what, shows)| shows.then_some(what)).collect();
    ensure!(found == expected, "{way:?}: {found:?} in {seen:#}");
    WebSocket::open(connect(&system, way).await?, "/echo", &[]).await?.echo(b"hello".to_vec()).await
}

#[tokio::test]
async fn behind_an_alb_the_server_sees_http_with_forwarded_headers() -> Result<()> {
    check(Way::Alb, &["headers", "rule"]).await
}

#[tokio::test]
async fn behind_a_tls_listener_it_sees_the_clients_own_bytes() -> Result<()> {
    check(Way::NlbTls, &[]).await
}

#[tokio::test]
async fn behind_a_tcp_listener_it_ends_tls_itself() -> Result<()> {
    check(Way::NlbTcp, &["tls"]).await
}

#[tokio::test]
async fn behind_both_it_sees_what_an_alb_tells() -> Result<()> {
    check(Way::NlbAlb, &["headers", "rule"]).await
}
