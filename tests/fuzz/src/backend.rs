//! What the backend is sent before HTTP.

use albeit_backend::proxy_protocol::{self, HEADER_LIMIT, Start};

/// The start of a connection, whole and in pieces.
pub(crate) fn proxy_protocol(data: &[u8]) {
    let whole = proxy_protocol::parse(data);
    let in_pieces = (0..=data.len())
        .map(|length| proxy_protocol::parse(data.get(..length).unwrap_or_default()))
        .find(|start| *start != Ok(Start::Partial))
        .unwrap_or(Ok(Start::Partial));
    assert_eq!(whole, in_pieces, "the header depends on how the bytes come");
    match whole {
        Ok(Start::Header(length, _)) => assert!(length <= data.len().min(HEADER_LIMIT), "{length} bytes"),
        Ok(Start::Partial) => assert!(data.len() < HEADER_LIMIT, "{} bytes are not enough", data.len()),
        Ok(Start::NoHeader) | Err(_) => {}
    }
}
