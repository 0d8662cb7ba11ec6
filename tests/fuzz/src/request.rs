//! What a client sends.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use albeit_proxy::{
    headers::{
        forwarded::{self, ClientEntry},
        hop_by_hop, host, trace_id,
        validity::{self, RequestHead},
        websocket::RequestKind,
    },
    model::{load_balancer::XffHeaderProcessing, rule::Redirect},
    rules::{
        path,
        redirect::{self, RequestParts},
        wildcard::{Case, Pattern},
    },
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};

use crate::{line, text};

const CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 41520);

/// Header fields, one a line, as far as they are well formed.
fn headers<'a>(lines: impl Iterator<Item = &'a [u8]>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    headers
}

/// `*` and `?`.
pub(crate) fn wildcard(data: &[u8]) {
    let (pattern, subject) = (text(data, 0), line(data, 1));
    let matches = |case| Pattern::new(&pattern, case).matches(subject);
    assert!(!matches(Case::Sensitive) || matches(Case::Insensitive), "ignoring case loses a match");
}

/// Path normalisation.
pub(crate) fn path(data: &[u8]) {
    let target = String::from_utf8_lossy(data);
    let normalised = path::normalise(&target);
    let dots = normalised.split('/').any(|segment| matches!(segment, "." | ".."));
    assert!(!dots || !normalised.starts_with('/'), "dot segments are left in {normalised}");
}

/// Location of a redirect.
pub(crate) fn redirect(data: &[u8]) {
    let redirect = Redirect {
        protocol: text(data, 0).into_owned(),
        host: text(data, 1).into_owned(),
        port: text(data, 2).into_owned(),
        path: text(data, 3).into_owned(),
        query: text(data, 4).into_owned(),
        status: StatusCode::FOUND,
    };
    let (host, target) = (text(data, 5), text(data, 6));
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let request = RequestParts { protocol: "https", host: &host, port: 443, path, query };
    if let Ok(location) = redirect::location(&redirect, &request) {
        assert!(location.len() <= redirect::MAX_LOCATION, "{} bytes", location.len());
    }
}

/// X-Forwarded-For.
pub(crate) fn forwarded(data: &[u8]) {
    let lines: Vec<HeaderValue> =
        data.split(|&byte| byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok()).collect();
    for mode in [XffHeaderProcessing::Append, XffHeaderProcessing::Preserve, XffHeaderProcessing::Remove] {
        for entry in [ClientEntry::Address, ClientEntry::AddressAndPort] {
            drop(forwarded::x_forwarded_for(mode, entry, CLIENT, lines.iter()));
        }
    }
}

/// X-Amzn-Trace-Id.
pub(crate) fn trace_id(data: &[u8]) {
    let value = trace_id::outgoing(Some(data), 1, [2; 12]);
    let roots = value.as_bytes().windows(5).filter(|window| window == b"Root=").count();
    assert!(roots >= 1, "no root in {value:?}");
}

/// The checks of a request's head.
pub(crate) fn head(data: &[u8]) {
    let Ok(method) = Method::from_bytes(line(data, 0)) else { return };
    let headers = headers(data.split(|&byte| byte == b'\n').skip(3));
    let authority = text(data, 2);
    for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
        let head = RequestHead {
            method: &method,
            target: line(data, 1),
            authority: Some(&authority),
            version,
            headers: &headers,
        };
        if let Err(invalid) = validity::check(&head) {
            assert!(invalid.status().as_u16() >= 400, "refused with {}", invalid.status());
        }
        drop(hop_by_hop::to_remove(&headers, RequestKind::of(&method, version, &headers)));
        assert!(!host::of_request(None, &headers, "dns").is_empty() || headers.contains_key("host"));
    }
}
