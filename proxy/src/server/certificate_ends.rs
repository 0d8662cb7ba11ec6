//! When the certificates of a configuration end, for `albeit_certificate_not_after_timestamp_seconds`.

use super::prepare::Prepared;
use crate::tls::details::CertificateDetails;

/// The certificates by name, each with the end of its validity in seconds since 1970.
pub(super) fn certificate_ends(prepared: &Prepared) -> Vec<(&str, i64)> {
    let certificates = prepared.model.certificates.iter().zip(&prepared.certificates);
    let ends = certificates.filter_map(|(settings, loaded)| {
        let details = loaded.key.cert.first().and_then(CertificateDetails::of)?;
        Some((settings.name.as_str(), details.not_after?.unix_timestamp()))
    });
    ends.collect()
}
