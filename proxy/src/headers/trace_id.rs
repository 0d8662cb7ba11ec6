//! X-Amzn-Trace-Id.
//!
//! ELB page: "Request tracing for your Application Load Balancer". The value
//! goes to targets and into the access log's `trace_id`; responses never carry
//! it.

use http::HeaderValue;

/// Longest incoming value that is kept, in bytes (7 KB); a longer one is replaced by a fresh root.
pub const MAX_INCOMING: usize = 7 * 1024;

/// The value for a request's target.
///
/// Without a root one is made; a request that has a root keeps it with its other fields and gets a
/// new `Self` in front. `random` makes the id unique, `epoch_seconds` is the time it carries. Of
/// several incoming lines, pass the first.
#[must_use]
pub fn outgoing(incoming: Option<&[u8]>, epoch_seconds: u64, random: [u8; 12]) -> HeaderValue {
    let id = Id { epoch_seconds, random };
    let incoming = incoming.filter(|value| value.len() <= MAX_INCOMING).unwrap_or_default();
    let mut value = Vec::with_capacity(incoming.len() + FIELD_LENGTH + 1);
    let has_root = fields(incoming).any(|field| field.starts_with(b"Root="));
    id.append_field(if has_root { "Self" } else { "Root" }, &mut value);
    for field in fields(incoming).filter(|field| !field.starts_with(b"Self=")) {
        value.push(b';');
        value.extend_from_slice(field);
    }
    HeaderValue::try_from(value).unwrap_or_else(|_| id.root())
}

/// Length of `Root=1-xxxxxxxx-xxxxxxxxxxxxxxxxxxxxxxxx`.
const FIELD_LENGTH: usize = 5 + 35;

/// The parts between semicolons, trimmed; empty ones are skipped.
pub fn fields(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b';').map(<[u8]>::trim_ascii).filter(|field| !field.is_empty())
}

/// An id of version 1: time and 96 random bits.
#[derive(Clone, Copy)]
struct Id {
    epoch_seconds: u64,
    random: [u8; 12],
}

impl Id {
    /// Appends `NAME=1-<8 hex digits>-<24 hex digits>`. The time wraps after 32 bits.
    fn append_field(self, name: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"=1-");
        let [_, _, _, _, time @ ..] = self.epoch_seconds.to_be_bytes();
        append_hex(&time, out);
        out.push(b'-');
        append_hex(&self.random, out);
    }

    #[expect(clippy::expect_used, reason = "letters, hex digits, '=' and '-' are a valid header value")]
    fn root(self) -> HeaderValue {
        let mut value = Vec::with_capacity(FIELD_LENGTH);
        self.append_field("Root", &mut value);
        HeaderValue::try_from(value).expect("a trace id is visible ASCII")
    }
}

fn append_hex(bytes: &[u8], out: &mut Vec<u8>) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    for byte in bytes {
        out.push(digit(byte >> 4));
        out.push(digit(byte & 0x0f));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: u64 = 0x6733_6abc;
    const RANDOM: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 0xf8, 0xf9, 0xfa, 0xfb];
    const NEW: &str = "1-67336abc-0001020304050607f8f9fafb";
    const OLD: &str = "1-63441c4a-abcdef012345678912345678";

    #[track_caller]
    fn check(incoming: &str, expected: &str) {
        assert_eq!(outgoing(Some(incoming.as_bytes()), TIME, RANDOM), expected);
    }

    #[test]
    fn a_request_without_one_gets_a_root() {
        assert_eq!(outgoing(None, TIME, RANDOM), format!("Root={NEW}"));
        check("", &format!("Root={NEW}"));
        check(" ; ;", &format!("Root={NEW}"));
    }

    #[test]
    fn a_root_is_kept_behind_a_new_self() {
        check(&format!("Root={OLD}"), &format!("Self={NEW};Root={OLD}"));
        check(&format!("Root={OLD};CalledFrom=app"), &format!("Self={NEW};Root={OLD};CalledFrom=app"));
        check(&format!("CalledFrom=app; Root={OLD}"), &format!("Self={NEW};CalledFrom=app;Root={OLD}"));
    }

    #[test]
    fn a_self_is_replaced() {
        check(&format!("Self={OLD};Root={OLD};a=b"), &format!("Self={NEW};Root={OLD};a=b"));
        check(&format!("Root={OLD};Self={OLD}"), &format!("Self={NEW};Root={OLD}"));
        check(&format!("Self={OLD}"), &format!("Root={NEW}"));
    }

    #[test]
    fn custom_fields_alone_get_a_root() {
        check("CalledFrom=app;x", &format!("Root={NEW};CalledFrom=app;x"));
    }

    #[test]
    fn above_seven_kilobytes_the_value_is_replaced() {
        let longest = format!("Root={}", "a".repeat(MAX_INCOMING - 5));
        check(&longest, &format!("Self={NEW};{longest}"));
        check(&format!("{longest}a"), &format!("Root={NEW}"));
    }

    #[test]
    fn bytes_that_no_header_may_hold_are_dropped_with_the_value() {
        check("Root=1\r\nX: y", &format!("Root={NEW}"));
    }

    #[test]
    fn time_takes_eight_digits() {
        assert_eq!(outgoing(None, 1, [0; 12]), "Root=1-00000001-000000000000000000000000");
    }
}
