//! `/certificates`: what the configured certificates say of themselves, in the words of ACM's
//! `DescribeCertificate`, and which listeners show them.

use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    api_error::ApiError,
    control::InForce,
    listeners,
    query::{Query, present},
};
use crate::{
    model::CertificateIndex,
    tls::{certificates::LoadedCertificate, details::CertificateDetails},
};

/// Parameters besides those of paging.
pub(super) const PARAMETERS: &[&str] = &["ListenerArn"];

/// The certificates of a listener, the default one first, or all.
pub(super) fn list(in_force: &InForce, query: &Query, now: OffsetDateTime) -> Result<Value, ApiError> {
    let model = &in_force.model;
    let indexes: Vec<usize> = match query.one("ListenerArn")? {
        Some(arn) => {
            let tls = listeners::by_arn(model, arn)?.listener.tls.iter();
            tls.flat_map(|tls| &tls.certificates).map(|CertificateIndex(index)| *index).collect()
        }
        None => (0..model.certificates.len()).collect(),
    };
    let wanted = indexes.into_iter().filter_map(|index| Some((index, in_force.certificates.get(index)?)));
    query.page("Certificates", wanted.map(|(index, certificate)| describe(in_force, index, certificate, now)))
}

fn describe(in_force: &InForce, index: usize, certificate: &LoadedCertificate, now: OffsetDateTime) -> Value {
    let details = certificate.key.cert.first().and_then(CertificateDetails::of);
    let status = details.as_ref().map(|details| match details.not_after {
        Some(end) if end < now => "EXPIRED",
        _ => "ISSUED",
    });
    let mut shown_by = Vec::new();
    for (_, listener) in listeners::all(&in_force.model) {
        let certificates = listener.tls.iter().flat_map(|tls| &tls.certificates);
        for (place, _) in certificates.enumerate().filter(|(_, it)| it.0 == index) {
            shown_by.push(json!({ "ListenerArn": listener.arn, "IsDefault": place == 0 }));
        }
    }
    let details = details.as_ref();
    present(json!({
        "CertificateArn": certificate.arn,
        "Name": in_force.model.certificates.get(index).map(|it| &it.name),
        "Subject": details.map(|it| &it.subject),
        "Issuer": details.map(|it| &it.issuer),
        "Serial": details.map(|it| &it.serial),
        "SubjectAlternativeNames": details.map(|it| &it.subject_alternative_names),
        "KeyAlgorithm": details.map(|it| &it.key_algorithm),
        "NotBefore": details.and_then(|it| it.not_before).and_then(|it| it.format(&Rfc3339).ok()),
        "NotAfter": details.and_then(|it| it.not_after).and_then(|it| it.format(&Rfc3339).ok()),
        "Status": status,
        "Listeners": shown_by,
    }))
}
