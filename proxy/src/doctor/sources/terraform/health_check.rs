//! `health_check` of a target group, with the provider's defaults if there is
//! a block, with ELB's if there is none.

use std::{str::FromStr, time::Duration};

use super::{super::aws::item::Item, PROVIDER};
use crate::{
    doctor::{setting::Setting, system::HealthCheck},
    model::LoadBalancerType,
};

const ELB: &str = "ELB";

pub(super) fn read(item: &Item<'_>, kind: LoadBalancerType) -> HealthCheck {
    let block = Block { item: item.get("health_check"), key: item.key("health_check") };
    let (own, healthy, unhealthy) = match block.item {
        Some(_) => (PROVIDER, "3", "3"),
        None => (ELB, "5", "2"),
    };
    let protocol = match (&block.item, kind) {
        (None, LoadBalancerType::Network) => "TCP",
        _ => "HTTP",
    };
    let protocol = block.value::<String>("protocol", Some((own, protocol)));
    let by_http = protocol.as_ref().is_some_and(|protocol| protocol.value.starts_with("HTTP"));
    let (timeout, matcher) = match (kind, by_http) {
        (LoadBalancerType::Application, _) => ("5", "200"),
        (LoadBalancerType::Network, true) => ("6", "200-399"),
        (LoadBalancerType::Network, false) => ("10", ""),
    };
    HealthCheck {
        path: block.value("path", by_http.then_some((ELB, "/"))),
        interval: block.seconds("interval", (own, "30")),
        timeout: block.seconds("timeout", (ELB, timeout)),
        healthy_threshold: block.value("healthy_threshold", Some((own, healthy))),
        unhealthy_threshold: block.value("unhealthy_threshold", Some((own, unhealthy))),
        matcher: block.value("matcher", by_http.then_some((ELB, matcher))),
        protocol,
    }
}

/// The block, if it is there.
struct Block<'a> {
    item: Option<Item<'a>>,
    key: String,
}

impl Block<'_> {
    /// What an argument says, or whose default holds; `None` if it says something that cannot be known.
    fn value<T: FromStr>(&self, argument: &str, default: Option<(&str, &str)>) -> Option<Setting<T>> {
        let written = self.item.as_ref().and_then(|item| item.text(argument));
        match written.filter(|written| !written.value.is_empty()) {
            Some(written) => written.filter_map(|text| text.parse().ok()),
            None => {
                let (of, value) = default?;
                let key = format!("{}.{argument}", self.key);
                Some(Setting::default_of(of, value.parse().ok()?, &key, value))
            }
        }
    }

    fn seconds(&self, argument: &str, default: (&str, &str)) -> Option<Setting<Duration>> {
        Some(self.value(argument, Some(default))?.map(Duration::from_secs))
    }
}
