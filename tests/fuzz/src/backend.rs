//! What the backend is sent before HTTP, and in SockJS and Socket.IO sessions.

use albeit_backend::engine_io::{Malformed, Packet, payload};
use albeit_backend::proxy_protocol::{self, HEADER_LIMIT, Start};
use albeit_backend::sock_js::{Callback, Route, client, route};
use albeit_backend::socket_io::{Decoder, packet};

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

/// The body of a polling request.
pub(crate) fn engine_io(data: &[u8]) {
    let decode = |payload| payload::Packets::try_new(payload)?.collect::<Result<Vec<Packet>, Malformed>>();
    let Ok(packets) = decode(data.to_vec().into()) else { return };
    let mut encoder = payload::Encoder::default();
    for packet in &packets {
        encoder.push_text(&packet.encode());
    }
    assert_eq!(decode(encoder.finish()), Ok(packets), "packets changed on the way");
}

/// Lines are messages in turn: text, binary, text.
pub(crate) fn socket_io(data: &[u8]) {
    let mut decoder = Decoder::default();
    for (number, message) in data.split(|&byte| byte == b'\n').enumerate() {
        let decoded = if number % 2 == 0 {
            decoder.text(&String::from_utf8_lossy(message))
        } else {
            decoder.binary(message.to_vec().into())
        };
        let Ok(Some(decoded)) = decoded else { continue };
        let mut text = Vec::new();
        decoded.encode(&mut text);
        let text = String::from_utf8(text).unwrap_or_default();
        let again = packet::decode(&text);
        assert!(again.is_ok_and(|(again, _)| again.namespace == decoded.namespace), "{text} is no packet");
    }
}

/// A payload, which is tried as an address and a query, too.
pub(crate) fn sock_js(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(Route::Session { session, .. }) = route(&text) {
        assert!(!session.is_empty() && !session.contains(['/', '.']), "{session:?} names no session");
    }
    if let Ok(callback) = Callback::try_from_query(Some(&text)) {
        assert!(!callback.as_str().contains(['(', '<', '"', '/', '\n']), "{}", callback.as_str());
    }
    let Ok(messages) = client::array(data) else { return };
    assert_eq!(client::array_or_string(data).as_ref(), Ok(&messages), "two readers differ");
    for message in messages {
        assert!(std::str::from_utf8(&message).is_ok(), "{message:?} is no UTF-8");
    }
}
