//! The event `configuration`: everything that is configured, each resource as the list of its kind has it.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::Dashboard;
use crate::{
    admin::{
        AdminState, api_error::ApiError, attributes, certificates, connections::timestamp, control::InForce,
        listeners, load_balancers, overrides, query::Query, rules, target_groups,
    },
    model::{
        LoadBalancerType,
        attributes::{Resource, ValueType, of},
    },
};

/// What the attributes that inject faults begin with.
const FAULT: &str = "albeit.fault.";

/// What is in force, with what the doctor says of it.
pub(super) fn configuration(state: &AdminState, in_force: &InForce, findings: &[Value]) -> Value {
    let Dashboard { started, scale, .. } = &*state.dashboard;
    let attributes = all("Resources", |query| attributes::list(in_force, query));
    let with_attributes = |mut resource: Value, arn: &str| {
        let of_it = attributes.iter().find(|it| it.get(arn).is_some() && it.get(arn) == resource.get(arn));
        if let Some(members) = resource.as_object_mut() {
            members.insert("Attributes".to_owned(), by_key(of_it.and_then(|it| it.get("Attributes"))));
        }
        resource
    };
    let attributed = |resources: Vec<Value>, arn: &str| -> Vec<Value> {
        resources.into_iter().map(|resource| with_attributes(resource, arn)).collect()
    };
    let now = OffsetDateTime::now_utc();
    json!({
        "Version": env!("CARGO_PKG_VERSION"),
        "StartTime": timestamp(*started),
        "TimeScale": scale.divisor(),
        "TokenRequired": in_force.token.is_some(),
        "ActionsAllowed": in_force.token.is_some()
            || in_force.model.admin.bind.is_some_and(|bind| bind.ip().to_canonical().is_loopback()),
        "LoadBalancers": attributed(
            all("LoadBalancers", |query| load_balancers::list(in_force, query)), "LoadBalancerArn",
        ),
        "Listeners": attributed(all("Listeners", |query| listeners::list(in_force, query)), "ListenerArn"),
        "Rules": all("Rules", |query| rules::list(state, in_force, query)),
        "TargetGroups": attributed(
            all("TargetGroups", |query| target_groups::list(in_force, query)), "TargetGroupArn",
        ),
        "Certificates": all("Certificates", |query| certificates::list(in_force, query, now)),
        "Findings": findings,
        "Overrides": overrides::list(state),
        "FaultAttributes": fault_attributes(),
    })
}

/// All pages of a list.
fn all(name: &str, list: impl Fn(&Query) -> Result<Value, ApiError>) -> Vec<Value> {
    let mut all = Vec::new();
    let mut query = Query::default();
    while let Ok(mut page) = list(&query) {
        if let Some(Value::Array(elements)) = page.get_mut(name) {
            all.append(elements);
        }
        match page.get("NextMarker").and_then(Value::as_str) {
            Some(marker) => query = Query::from_marker(marker),
            None => break,
        }
    }
    all
}

/// A list of keys and values as an object.
fn by_key(attributes: Option<&Value>) -> Value {
    let pairs = attributes.and_then(Value::as_array).into_iter().flatten();
    let pairs =
        pairs.filter_map(|pair| Some((pair.get("Key")?.as_str()?.to_owned(), pair.get("Value")?.clone())));
    Value::Object(pairs.collect::<Map<_, _>>())
}

/// The faults that a target group can be made to have, from the table of attributes.
fn fault_attributes() -> Vec<Value> {
    let faults = of(Resource::TargetGroup).filter(|attribute| attribute.key.starts_with(FAULT));
    faults
        .map(|attribute| {
            let types = [LoadBalancerType::Application, LoadBalancerType::Network].into_iter();
            let types =
                types.filter(|kind| attribute.applies_to.includes(*kind)).map(LoadBalancerType::as_str);
            let types: Vec<_> = types.collect();
            json!({
                "Key": attribute.key,
                "Default": attribute.default.of(LoadBalancerType::Application),
                "Description": attribute.doc,
                "Range": range(&attribute.value),
                "LoadBalancerTypes": types,
            })
        })
        .collect()
}

/// What a value may be: faults are numbers.
fn range(value: &ValueType) -> String {
    match value {
        ValueType::Integer(from, to) => format!("{from}–{to}"),
        ValueType::ZeroOrInteger(from, to) => format!("0 or {from}–{to}"),
        ValueType::OffOrInteger(from, to) => format!("off or {from}–{to}"),
        ValueType::SignedInteger(most) => format!("-{most}–{most}"),
        ValueType::Boolean => "true or false".to_owned(),
        ValueType::OneOf(words) => words.join(", "),
        ValueType::Text(_)
        | ValueType::CookieName
        | ValueType::HeaderValue(_)
        | ValueType::FrameOptions(_)
        | ValueType::Cidrs
        | ValueType::HeaderName(_) => "text".to_owned(),
    }
}
