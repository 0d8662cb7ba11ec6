//! The request headers of [`headers::tls`](crate::headers::tls) in a request for a target.

use http::HeaderValue;
use pingora::{Result, http::RequestHeader};

use crate::{
    headers::tls::{TlsField, TlsHeaders},
    tls::{accept::TlsInfo, client_certificate::PemScope},
};

/// Removes what the client sent under reserved names, and names like them, and writes what its connection says instead.
///
/// # Errors
///
/// When a field cannot be written, which names and values checked at load always can.
pub fn set(headers: &TlsHeaders, tls: Option<&TlsInfo>, head: &mut RequestHeader) -> Result<()> {
    for name in headers.reserved.of(head.headers.keys()) {
        head.remove_header(&name);
    }
    let Some(tls) = tls else { return Ok(()) };
    for (name, field) in &headers.set {
        if let Some(value) = value(*field, tls) {
            head.insert_header(name.clone(), value)?;
        }
    }
    Ok(())
}

/// `None` without a client certificate, or with one from before a reload changed the mode. Nothing is
/// copied: the values are shared with the connection.
fn value(field: TlsField, tls: &TlsInfo) -> Option<HeaderValue> {
    let certificate = |scope| tls.client_certificate.as_deref().filter(|it| it.scope == scope);
    let verified = certificate(PemScope::Leaf);
    match field {
        TlsField::Version => Some(HeaderValue::from_static(tls.protocol)),
        TlsField::CipherSuite => Some(HeaderValue::from_static(tls.cipher)),
        TlsField::Clientcert => certificate(PemScope::Chain).map(|it| it.pem.clone()),
        TlsField::SerialNumber => verified.map(|it| it.serial_number.clone()),
        TlsField::Issuer => verified.map(|it| it.issuer.clone()),
        TlsField::Subject => verified.map(|it| it.subject.clone()),
        TlsField::Validity => verified.map(|it| it.validity.clone()),
        TlsField::Leaf => verified.map(|it| it.pem.clone()),
    }
}
