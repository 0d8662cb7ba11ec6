//! Which target group and which target take a flow: weights, stickiness by source address, flow hash.

use std::collections::BTreeMap;

use albeit_e2e::{
    Albeit, Config, Group, Listener,
    access_log::Log,
    config::forward_weighted,
    flow::{Greeter, connect_from, records, to_end},
};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

/// Source addresses: each of them a client.
fn addresses() -> impl Iterator<Item = [u8; 4]> {
    (1..=40).map(|n| [127, 40, 0, n])
}

/// The name of the target that a flow from `source` gets to.
async fn reached(albeit: &Albeit, source: [u8; 4]) -> Result<String> {
    let mut client = connect_from(source, albeit.listener(0)?).await?;
    Ok(String::from_utf8(to_end(&mut client).await?)?)
}

/// How often each target was reached by `count` flows from one address.
async fn shares(albeit: &Albeit, count: usize) -> Result<BTreeMap<String, usize>> {
    let mut shares = BTreeMap::new();
    for _ in 0..count {
        *shares.entry(reached(albeit, [127, 0, 0, 1]).await?).or_default() += 1;
    }
    Ok(shares)
}

/// That every address reaches the same target again and again, and that all of `names` are reached.
async fn is_sticky(albeit: &Albeit, names: &[&str]) -> Result<()> {
    let mut bindings = BTreeMap::new();
    for round in 0..3 {
        for source in addresses() {
            let name = reached(albeit, source).await?;
            let bound = bindings.entry(source).or_insert_with(|| name.clone());
            ensure!(*bound == name, "round {round}: {source:?} reached {name}, before {bound}");
        }
    }
    for name in names {
        ensure!(bindings.values().any(|bound| bound == name), "nobody reached {name}: {bindings:?}");
    }
    Ok(())
}

/// A balancer whose listener forwards as `action` says to groups with one of `targets` each, named as it.
async fn in_front_of(targets: &[(&str, &Greeter)], action: Value) -> Result<Albeit> {
    let mut config = Config::network(&[])?;
    config.groups = targets.iter().map(|(name, target)| Group::tcp(name, &[target.addr()])).collect();
    config.listeners = vec![Listener::tcp(action)?];
    Albeit::start(config).await
}

#[tokio::test]
async fn weights_share_flows_among_groups_and_weight_0_gets_none() -> Result<()> {
    let (three, one, zero) = (Greeter::start("three")?, Greeter::start("one")?, Greeter::start("zero")?);
    let action = forward_weighted(&[("three", 3), ("one", 1), ("zero", 0)], None);
    let albeit = in_front_of(&[("three", &three), ("one", &one), ("zero", &zero)], action).await?;
    let shares = shares(&albeit, 200).await?;
    // 150 of 200 are expected; five standard deviations either way.
    ensure!((120..=180).contains(&shares["three"]), "{shares:?}");
    assert_eq!(shares["three"] + shares["one"], 200, "{shares:?}");
    Ok(())
}

#[tokio::test]
async fn sticky_weighted_groups_keep_an_address_in_its_group() -> Result<()> {
    let (one, two) = (Greeter::start("one")?, Greeter::start("two")?);
    let mut action = forward_weighted(&[("one", 1), ("two", 1)], None);
    action["forward"]["target_group_stickiness_config"] = json!({ "enabled": true });
    let albeit = in_front_of(&[("one", &one), ("two", &two)], action).await?;
    is_sticky(&albeit, &["one", "two"]).await
}

#[tokio::test]
async fn source_ip_stickiness_keeps_an_address_at_its_target() -> Result<()> {
    let (one, two) = (Greeter::start("one")?, Greeter::start("two")?);
    let group = |group: Group| {
        group.with_attribute("stickiness.enabled", true).with_attribute("stickiness.type", "source_ip")
    };
    let config = Config::network(&[one.addr(), two.addr()])?.map_group(group);
    is_sticky(&Albeit::start(config).await?, &["one", "two"]).await
}

#[tokio::test]
async fn the_flow_hash_spreads_the_flows_of_one_address() -> Result<()> {
    let (one, two) = (Greeter::start("one")?, Greeter::start("two")?);
    let albeit = Albeit::start(Config::network(&[one.addr(), two.addr()])?).await?;
    let shares = shares(&albeit, 100).await?;
    // 50 of 100 are expected; five standard deviations either way.
    ensure!((25..=75).contains(&shares["one"]), "{shares:?}");
    let records = records(&albeit, Log::Flow, 100).await?;
    let to_one = records.iter().filter(|record| record["target:port"] == one.addr().to_string());
    assert_eq!(to_one.count(), shares["one"]);
    Ok(())
}
