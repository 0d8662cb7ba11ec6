//! The header that may stand before everything else on a connection.

use albeit_proxy::proxy_protocol::{Command, MAX_LEN, Parsed, parse, v2};

/// PROXY protocol of both versions, as its bytes come in.
pub(crate) fn header(data: &[u8]) {
    let whole = parse(data);
    assert!(data.len() < MAX_LEN || whole != Ok(Parsed::Incomplete), "no buffer would do");
    let decided_at = match whole {
        Ok(Parsed::Incomplete) => data.len() + 1,
        Ok(Parsed::Header { len, .. }) => len,
        Ok(Parsed::NotProxy) | Err(_) => 0,
    };
    for (end, _) in data.iter().enumerate().take(MAX_LEN + 2) {
        let verdict = parse(data.get(..end).unwrap_or_default());
        if end < decided_at {
            assert_eq!(verdict, Ok(Parsed::Incomplete), "the first {end} bytes were enough");
        } else {
            assert!(
                verdict == whole || verdict == Ok(Parsed::Incomplete),
                "{end} bytes: {verdict:?}, all: {whole:?}"
            );
        }
    }
    let Ok(Parsed::Header { header, len }) = whole else { return };
    assert!(len <= data.len().min(MAX_LEN), "a header of {len} bytes");
    assert_eq!(parse(data.get(..len).unwrap_or_default()), whole, "what follows the header counts");
    let read: usize = header.tlvs.iter().map(|tlv| tlv.value.len()).sum();
    assert!(read < len, "TLVs of {read} bytes in {len}");
    let id = header.tlvs.vpc_endpoint_id().unwrap_or_default();
    assert!(id.bytes().all(|byte| byte.is_ascii_graphic()), "{id:?} would break a log line");
    if let Some(addresses) = header.addresses {
        assert_eq!(header.command, Command::Proxy);
        let written = v2::proxy(addresses.source, addresses.destination);
        let again = parse(&written);
        assert!(
            matches!(again, Ok(Parsed::Header { header, .. }) if header.addresses == Some(addresses)),
            "{addresses:?} was read back as {again:?}"
        );
    }
}
