//! The top level of the file, and what spans several resources.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    path::{Path as FilePath, PathBuf},
};

use super::{
    GivenAttributes, NamedFiles, admin,
    context::{Context, KnownGroup},
    error::Report,
    load_balancer,
    load_balancer_target::{self, KnownLoadBalancer},
    network,
    path::Path,
    raw::{List, RawCertificate, RawConfig, RawKeyFile, RawLoadBalancer, RawTargetGroup, RawTrustStore},
    scalar::Text,
    target_group,
    targets_declare::TargetsDeclare,
    traces,
};
use crate::model::{
    Certificate, LoadBalancer, Model, SecurityPolicy, TargetGroup, TargetGroupIndex, TrustStore, arn::Scope,
};

/// Digits of an account id.
const ACCOUNT_ID_DIGITS: usize = 12;
/// Trust stores of an account.
const MOST_TRUST_STORES: usize = 20;
/// Revocation lists of a trust store.
const MOST_REVOCATION_LISTS: usize = 30;
/// Longest name of a region or certificate.
const LONGEST_NAME: usize = 64;

/// What a file says beside the model.
pub(super) struct Beside<'a> {
    /// The attributes of every resource as they were given.
    pub(super) attributes: &'a mut GivenAttributes,
    /// What is said of the targets of each target group.
    pub(super) targets_declare: &'a mut BTreeMap<usize, TargetsDeclare>,
}

/// Converts the whole file. The model counts only if the report has no mistake.
pub(super) fn convert(
    raw: RawConfig,
    (base, named_files): (&FilePath, NamedFiles),
    beside: Beside<'_>,
    report: &mut Report,
) -> Option<Model> {
    let Beside { attributes, targets_declare } = beside;
    let root = Path::root();
    let mut cx = Context {
        report,
        base,
        named_files,
        scope: Scope::default(),
        certificates: Vec::new(),
        trust_stores: Vec::new(),
        groups: Vec::new(),
        load_balancers: Vec::new(),
        wanted: Vec::new(),
        given: attributes,
        targets_declare,
        sockets: Vec::new(),
    };
    scope(raw.account_id, raw.region, &mut cx);
    let certificates = certificates(raw.certificates, &mut cx);
    let trust_stores = trust_stores(raw.trust_stores, &mut cx);
    let mut target_groups = target_groups(raw.target_groups, &mut cx);
    let load_balancers = load_balancers(raw.load_balancers, &mut cx);
    load_balancer_target::resolve(&load_balancers, &mut target_groups, &mut cx);
    network::choose_hosts(&load_balancers, &mut target_groups);
    choose_target_policies(&load_balancers, &mut target_groups);
    let admin = admin::convert(raw.admin, &mut cx);
    let stickiness_keys = stickiness_keys(raw.stickiness_keys, &mut cx);
    let traces = traces::convert(raw.traces, &mut cx);
    if let Some(bind) = admin.bind {
        cx.claim(bind, &root.key("admin").key("bind"));
    }
    unused_groups(&mut cx);
    Some(Model {
        scope: cx.scope,
        certificates,
        trust_stores,
        load_balancers,
        target_groups,
        admin,
        stickiness_keys,
        traces,
    })
}

fn scope(account_id: Option<Text>, region: Option<Text>, cx: &mut Context<'_>) {
    if let Some(Text(id)) = account_id {
        if id.len() != ACCOUNT_ID_DIGITS || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            let message = format!("account id '{id}' must have {ACCOUNT_ID_DIGITS} digits");
            cx.report.mistake(&Path::root().key("account_id"), message);
        }
        cx.scope.account_id = id;
    }
    if let Some(Text(region)) = region {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if region.is_empty() || region.len() > LONGEST_NAME || !region.bytes().all(allowed) {
            let message = format!("region '{region}' can only have lower-case letters, digits and hyphens");
            cx.report.mistake(&Path::root().key("region"), message);
        }
        cx.scope.region = region;
    }
}

/// Reports a name that an earlier element has already.
fn unique<K: Eq + Hash>(key: Option<K>, at: &Path, seen: &mut HashMap<K, String>, cx: &mut Context<'_>) {
    let Some(key) = key else { return };
    if let Some(first) = seen.get(&key) {
        cx.report.mistake(at, format!("the name is already in use at {first}"));
    } else {
        seen.insert(key, at.to_string());
    }
}

fn certificates(raw: List<RawCertificate>, cx: &mut Context<'_>) -> Vec<Certificate> {
    let mut certificates = Vec::new();
    let mut names = HashMap::new();
    let at = Path::root().key("certificates");
    for (index, raw) in raw.unwrap_or_default().into_iter().enumerate() {
        let at = at.index(index);
        let Some(raw) = raw else {
            cx.report.missing(&at);
            cx.certificates.push(None);
            continue;
        };
        let name_at = at.key("name");
        let name = cx.required(raw.name, &name_at);
        if let Some(name) = &name
            && !is_certificate_name(name)
        {
            let message = format!("certificate name '{name}' can only have letters, digits and '-._'");
            cx.report.mistake(&name_at, message);
        }
        unique(name.clone(), &name_at, &mut names, cx);
        cx.certificates.push(name.clone());
        let certificate = cx.file(raw.certificate, &at.key("certificate"));
        let private_key = cx.file(raw.private_key, &at.key("private_key"));
        if let (Some(name), Some(certificate), Some(private_key)) = (name, certificate, private_key) {
            let arn = cx.scope.certificate(&name);
            certificates.push(Certificate { name, arn, certificate, private_key });
        }
    }
    certificates
}

fn is_certificate_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    name.len() <= LONGEST_NAME && name.bytes().all(allowed)
}

fn trust_stores(raw: List<RawTrustStore>, cx: &mut Context<'_>) -> Vec<TrustStore> {
    let mut stores = Vec::new();
    let at = Path::root().key("trust_stores");
    let mut names = HashMap::new();
    let raw = raw.unwrap_or_default();
    if raw.len() > MOST_TRUST_STORES {
        let message =
            format!("an account can have up to {MOST_TRUST_STORES} trust stores, not {}", raw.len());
        cx.report.mistake(&at, message);
    }
    for (index, raw) in raw.into_iter().enumerate() {
        let at = at.index(index);
        let Some(raw) = raw else {
            cx.report.missing(&at);
            cx.trust_stores.push(None);
            continue;
        };
        let name = cx.name(raw.name, &at.key("name"), "Trust store");
        unique(name.clone(), &at.key("name"), &mut names, cx);
        cx.trust_stores.push(name.clone());
        let bundle = cx.file(raw.ca_certificates_bundle, &at.key("ca_certificates_bundle"));
        let lists_at = at.key("revocation_lists");
        let lists = raw.revocation_lists.unwrap_or_default();
        if lists.len() > MOST_REVOCATION_LISTS {
            let count = lists.len();
            let message =
                format!("a trust store can have up to {MOST_REVOCATION_LISTS} revocation lists, not {count}");
            cx.report.mistake(&lists_at, message);
        }
        let mut revocation_lists = Vec::new();
        for (index, file) in lists.into_iter().enumerate() {
            revocation_lists.extend(cx.file(file, &lists_at.index(index)));
        }
        if let (Some(name), Some(ca_certificates_bundle)) = (name, bundle) {
            let arn = cx.scope.trust_store(&name);
            stores.push(TrustStore { name, arn, ca_certificates_bundle, revocation_lists });
        }
    }
    stores
}

fn target_groups(raw: List<RawTargetGroup>, cx: &mut Context<'_>) -> Vec<TargetGroup> {
    let mut groups = Vec::new();
    let mut names = HashMap::new();
    let at = Path::root().key("target_groups");
    for (index, raw) in raw.unwrap_or_default().into_iter().enumerate() {
        let at = at.index(index);
        let Some(mut raw) = raw else {
            cx.report.missing(&at);
            cx.groups.push(KnownGroup::default());
            continue;
        };
        let name_at = at.key("name");
        let spelled = raw.name.as_ref().map(|Text(name)| name.clone());
        let name = cx.name(raw.name.take(), &name_at, "Target group");
        unique(spelled.clone(), &name_at, &mut names, cx);
        let (known, group) = target_group::convert(raw, name, &at, cx);
        cx.groups.push(KnownGroup { name: spelled, ..known });
        groups.extend(group);
    }
    groups
}

fn load_balancers(raw: List<RawLoadBalancer>, cx: &mut Context<'_>) -> Vec<LoadBalancer> {
    let mut load_balancers = Vec::new();
    let mut names = HashMap::new();
    let at = Path::root().key("load_balancers");
    match raw {
        Some(list) if !list.is_empty() => {
            for (index, raw) in list.into_iter().enumerate() {
                let at = at.index(index);
                let Some(raw) = raw else {
                    cx.report.missing(&at);
                    cx.load_balancers.push(KnownLoadBalancer { name: None, converted: None });
                    continue;
                };
                let name = raw.name.as_ref().map(|Text(name)| name.clone());
                let key = name.clone().map(|name| (name, raw.r#type.clone().map(|Text(t)| t)));
                unique(key, &at.key("name"), &mut names, cx);
                let listeners = raw.listeners.as_ref().map_or(0, Vec::len);
                let converted = load_balancer::convert(raw, &at, cx);
                let whole = converted.as_ref().filter(|it| it.listeners.len() == listeners);
                let converted_as = whole.map(|it| (load_balancers.len(), it.kind));
                cx.load_balancers.push(KnownLoadBalancer { name, converted: converted_as });
                load_balancers.extend(converted);
            }
        }
        Some(_) => cx.report.mistake(&at, "at least one load balancer is needed"),
        None => cx.report.missing(&at),
    }
    load_balancers
}

/// TLS towards targets goes by the listeners of the load balancer that uses the group.
fn choose_target_policies(load_balancers: &[LoadBalancer], groups: &mut [TargetGroup]) {
    for load_balancer in load_balancers {
        let tls = load_balancer.listeners.iter().filter_map(|listener| listener.tls.as_ref());
        let policy = SecurityPolicy::towards_targets(tls.map(|tls| tls.policy));
        for TargetGroupIndex(index) in load_balancer.target_groups() {
            if let Some(group) = groups.get_mut(index) {
                group.health_check.tls_policy = policy;
            }
        }
    }
}

fn stickiness_keys(raw: List<RawKeyFile>, cx: &mut Context<'_>) -> Vec<PathBuf> {
    let at = Path::root().key("stickiness_keys");
    let mut files = Vec::new();
    for (index, raw) in raw.unwrap_or_default().into_iter().enumerate() {
        let at = at.index(index);
        match raw {
            Some(raw) => files.extend(cx.file(raw.file, &at.key("file"))),
            None => cx.report.missing(&at),
        }
    }
    files
}

fn unused_groups(cx: &mut Context<'_>) {
    let at = Path::root().key("target_groups");
    for (index, group) in cx.groups.iter().enumerate() {
        if group.used_by.is_none() {
            cx.report.warn(&at.index(index), "no listener or rule forwards to this target group");
        }
    }
}
