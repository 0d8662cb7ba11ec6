//! `Action`: what listeners and rules do.

use super::item::Item;
use crate::doctor::{
    setting::Setting,
    system::{Action, WeightedTargetGroup},
};

/// Actions in the order in which they are done; those of an unknown type are left out.
pub(in crate::doctor::sources) fn read(described: &[Item<'_>]) -> Vec<Action> {
    let mut ordered: Vec<_> = described.iter().collect();
    ordered.sort_by_key(|action| action.value::<u32>("Order").map_or(0, |order| order.value));
    ordered.into_iter().filter_map(action).collect()
}

fn action(described: &Item<'_>) -> Option<Action> {
    let kind = described.text("Type")?;
    match kind.value.as_str() {
        "forward" => Some(forward(described)),
        "redirect" => {
            let redirect = described.get("RedirectConfig")?;
            let part = |member| redirect.text(member).map(|setting| setting.value);
            let key = redirect.key("Protocol");
            let protocol = redirect.text("Protocol").unwrap_or_else(|| {
                Setting::new("#{protocol}".to_owned(), &key, "#{protocol}", kind.place.clone())
            });
            Some(Action::Redirect {
                protocol,
                host: part("Host"),
                port: part("Port"),
                path: part("Path"),
                query: part("Query"),
            })
        }
        "fixed-response" => {
            Some(Action::FixedResponse(described.get("FixedResponseConfig")?.value("StatusCode")?))
        }
        "authenticate-oidc" | "authenticate-cognito" | "jwt-validation" => Some(Action::Authenticate(kind)),
        _ => None,
    }
}

/// `ForwardConfig`, or the one `TargetGroupArn`: the API writes both if there is one group only.
fn forward(described: &Item<'_>) -> Action {
    let config = described.get("ForwardConfig");
    let groups = config.as_ref().map_or_else(Vec::new, |config| config.all("TargetGroups"));
    let mut target_groups: Vec<_> = groups
        .iter()
        .filter_map(|group| {
            let target_group = group.text("TargetGroupArn").or_else(|| group.text("Arn"))?;
            Some(WeightedTargetGroup { target_group, weight: group.value("Weight") })
        })
        .collect();
    if target_groups.is_empty() {
        let one = described.text("TargetGroupArn");
        target_groups.extend(one.map(|target_group| WeightedTargetGroup { target_group, weight: None }));
    }
    let stickiness = config.and_then(|config| config.get("TargetGroupStickinessConfig")?.value("Enabled"));
    Action::Forward { target_groups, stickiness }
}
