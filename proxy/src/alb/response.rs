//! The target's response as it goes to the client.

use http::{HeaderValue, Version, header};
use pingora::{Result, http::ResponseHeader};
use tokio::time::Instant;

use super::{
    authenticate,
    error::Cause,
    exchange::{Exchange, head_size},
};
use crate::headers::{hop_by_hop, websocket::RequestKind};

/// Most bytes of response headers that are taken from a target (32 KB); more is answered with 502.
pub const HEAD_LIMIT: usize = 32 * 1024;

/// The head that answers the client, from the target's: what is written next, and noted as such.
///
/// `kind` is [`RequestKind::WebSocketUpgrade`] only if this is the 101 of an upgrade; `cookies` are those of
/// stickiness.
///
/// # Errors
///
/// [`Cause::BadResponse`] when a field cannot be written, which parsed fields always can.
pub fn response_head(
    exchange: &mut Exchange<'_>,
    received: ResponseHeader,
    kind: RequestKind,
    cookies: Vec<HeaderValue>,
) -> Result<Box<ResponseHeader>, Cause> {
    let client = exchange.request().version;
    let context = &mut exchange.context;
    let cookies = cookies.into_iter().chain(authenticate::take_cookies(context));
    let mut head = for_client(received, kind, client, cookies).map_err(|_| Cause::BadResponse)?;
    context.state.response_headers.insert(&mut head);
    context.elb_status = Some(head.status.as_u16());
    context.responding = Some(Instant::now());
    context.count_stream(0, head_size(&head.headers));
    Ok(head)
}

fn for_client(
    response: ResponseHeader,
    kind: RequestKind,
    client: Version,
    set_cookies: impl IntoIterator<Item = HeaderValue>,
) -> Result<Box<ResponseHeader>> {
    let is_framed = response.headers.contains_key(header::CONTENT_LENGTH);
    let is_chunked = response.headers.contains_key(header::TRANSFER_ENCODING);
    let has_body = has_body(&response);
    let mut head = Box::new(response);
    head.set_version(client);
    for name in hop_by_hop::to_remove(&head.headers, kind) {
        head.remove_header(&name);
    }
    match client {
        // Chunked is known from HTTP/1.1 on: older clients read to the end of the connection.
        Version::HTTP_10 | Version::HTTP_09 | Version::HTTP_2 if is_chunked => {
            head.remove_header(&header::TRANSFER_ENCODING);
        }
        // The target ends its body by closing; the client's connection is to live on.
        Version::HTTP_11 if !is_framed && !is_chunked && has_body => {
            head.insert_header("Transfer-Encoding", "chunked")?;
        }
        _ => {}
    }
    for cookie in set_cookies {
        head.append_header("Set-Cookie", cookie)?;
    }
    Ok(head)
}

fn has_body(response: &ResponseHeader) -> bool {
    let status = response.status.as_u16();
    status >= 200 && status != 204 && status != 304
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, fields: &[(&'static str, &str)]) -> ResponseHeader {
        let mut response = ResponseHeader::build(status, None).unwrap();
        for (name, value) in fields {
            response.append_header(*name, *value).unwrap();
        }
        response
    }

    #[track_caller]
    fn check(response: &ResponseHeader, client: Version, expected: &str) {
        let cookies = [HeaderValue::from_static("AWSALB=x")];
        let head = for_client(response.clone(), RequestKind::Ordinary, client, cookies).unwrap();
        let mut wire = Vec::new();
        head.header_to_h1_wire(&mut wire);
        assert_eq!(String::from_utf8(wire).unwrap().replace("\r\n", "|"), expected);
    }

    #[test]
    fn hop_by_hop_fields_stay_here_and_cookies_are_added() {
        let response = response(
            200,
            &[
                ("Content-Length", "2"),
                ("Connection", "close"),
                ("Keep-Alive", "timeout=5"),
                ("Set-Cookie", "a=b"),
            ],
        );
        check(&response, Version::HTTP_11, "Content-Length: 2|Set-Cookie: a=b|Set-Cookie: AWSALB=x|");
    }

    #[test]
    fn framing_fits_the_clients_version() {
        let chunked = response(200, &[("Transfer-Encoding", "chunked")]);
        check(&chunked, Version::HTTP_11, "Transfer-Encoding: chunked|Set-Cookie: AWSALB=x|");
        check(&chunked, Version::HTTP_10, "Set-Cookie: AWSALB=x|");
        check(&chunked, Version::HTTP_2, "Set-Cookie: AWSALB=x|");
        let until_close = response(200, &[]);
        check(&until_close, Version::HTTP_11, "Transfer-Encoding: chunked|Set-Cookie: AWSALB=x|");
        check(&until_close, Version::HTTP_10, "Set-Cookie: AWSALB=x|");
        let empty = response(204, &[]);
        check(&empty, Version::HTTP_11, "Set-Cookie: AWSALB=x|");
    }
}
