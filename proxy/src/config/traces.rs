//! `traces`: where spans of requests go. Not ELB's; keys are OpenTelemetry's names.

use std::{collections::BTreeMap, time::Duration};

use http::{HeaderName, HeaderValue, Uri, header};
use serde::Deserialize;

use super::{
    context::Context,
    path::Path,
    raw::RawAttributes,
    scalar::{Span, Text},
};
use crate::model::traces::{Sampler, Traces};

/// What a URL without a path is completed by, as OpenTelemetry's exporters do.
const TRACES_PATH: &str = "/v1/traces";
/// Longest `timeout`.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Header fields, and resource attributes, at most.
const MOST_ENTRIES: usize = 64;
/// Fields that the exporter writes by itself.
const OWN_FIELDS: [HeaderName; 6] = [
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    header::TRANSFER_ENCODING,
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTraces {
    enabled: Option<bool>,
    endpoint: Option<Text>,
    headers: RawAttributes,
    sampler: Option<Text>,
    sampling_ratio: Option<Text>,
    service_name: Option<Text>,
    resource_attributes: RawAttributes,
    timeout: Option<Span>,
    propagate: Option<bool>,
}

/// Converts the section `traces`; `None` if there is none or it is switched off.
pub(super) fn convert(raw: Option<RawTraces>, cx: &mut Context<'_>) -> Option<Traces> {
    const SAMPLERS: &[(&str, Sampler)] = &[
        ("parentbased_traceidratio", Sampler::ParentBasedTraceIdRatio),
        ("traceidratio", Sampler::TraceIdRatio),
    ];
    let raw = raw?;
    let at = Path::root().key("traces");
    let endpoint = endpoint(raw.endpoint, &at.key("endpoint"), cx);
    let headers = headers(raw.headers, &at.key("headers"), cx);
    let sampler =
        raw.sampler.and_then(|Text(name)| cx.one_of(&name, &at.key("sampler"), "sampler", SAMPLERS));
    let sampling_ratio = raw.sampling_ratio.map_or(1.0, |text| ratio(&text, &at.key("sampling_ratio"), cx));
    let service_name = match raw.service_name {
        Some(name) => cx.required(Some(name), &at.key("service_name")).unwrap_or_default(),
        None => "albeit".to_owned(),
    };
    let resource_attributes = entries(raw.resource_attributes, &at.key("resource_attributes"), cx);
    let timeout = raw.timeout.map_or(Duration::from_secs(10), |Span(timeout)| timeout);
    if timeout.is_zero() || timeout > LONGEST_TIMEOUT {
        cx.report.mistake(&at.key("timeout"), "must be between 1ms and 60s");
    }
    let traces = Traces {
        endpoint: endpoint?,
        headers,
        sampler: sampler.unwrap_or_default(),
        sampling_ratio,
        service_name,
        resource_attributes: resource_attributes.into_iter().collect(),
        timeout,
        propagate: raw.propagate.unwrap_or(true),
    };
    (raw.enabled != Some(false)).then_some(traces)
}

fn endpoint(raw: Option<Text>, at: &Path, cx: &mut Context<'_>) -> Option<Uri> {
    let text = cx.required(raw, at)?;
    let url = completed(&text);
    if url.is_none() {
        // Without the text: an address with a password in it is one of the mistakes.
        let message =
            "is not an http or https URL without a password, such as http://127.0.0.1:4318/v1/traces";
        cx.report.mistake(at, message);
    }
    url
}

/// The URL with [`TRACES_PATH`] if it has no path; `None` if it is no URL of a collector.
fn completed(text: &str) -> Option<Uri> {
    let url: Uri = text.parse().ok()?;
    let is_web = matches!(url.scheme_str(), Some("http" | "https"));
    let authority = url.authority()?.as_str();
    if !is_web || authority.contains('@') || url.host().is_none_or(str::is_empty) {
        return None;
    }
    if url.path() != "/" || url.query().is_some() {
        return Some(url);
    }
    format!("{}://{authority}{TRACES_PATH}", url.scheme_str()?).parse().ok()
}

fn headers(raw: RawAttributes, at: &Path, cx: &mut Context<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let mut fields: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for (name, value) in entries(raw, at, cx) {
        let at = at.key(&name);
        let (Ok(field), Ok(mut value)) = (HeaderName::try_from(&name), HeaderValue::try_from(value)) else {
            cx.report.mistake(&at, "is not a header field");
            continue;
        };
        if OWN_FIELDS.contains(&field) {
            cx.report.mistake(&at, "is set by the exporter");
        }
        if fields.iter().any(|(known, _)| *known == field) {
            cx.report.mistake(&at, "is there twice, whatever the case of its letters");
        }
        value.set_sensitive(true);
        fields.push((field, value));
    }
    fields
}

/// The pairs of a map that has not too many of them.
fn entries(raw: RawAttributes, at: &Path, cx: &mut Context<'_>) -> BTreeMap<String, String> {
    let raw = raw.unwrap_or_default();
    if raw.len() > MOST_ENTRIES {
        cx.report.mistake(at, format!("can have up to {MOST_ENTRIES} entries, not {}", raw.len()));
    }
    let mut entries = BTreeMap::new();
    for (key, value) in raw {
        let at = at.key(&key);
        if key.is_empty() {
            cx.report.mistake(&at, "must not be empty");
        }
        if let Some(value) = cx.required(value, &at) {
            entries.insert(key, value);
        }
    }
    entries
}

fn ratio(Text(text): &Text, at: &Path, cx: &mut Context<'_>) -> f64 {
    match text.parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => ratio,
        _ => {
            cx.report.mistake(at, format!("'{text}' is not a number from 0 to 1, such as 0.1"));
            0.0
        }
    }
}
