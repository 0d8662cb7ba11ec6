//! One function for each parser that reads foreign bytes. None may panic, and
//! what a target asserts must hold for every input.
//!
//! The library's tests run each target on its seeds and on random damage to
//! them; the binary `fuzz` (feature `libfuzzer`) searches on.

mod admin;
mod authenticate;
mod backend;
mod head;
mod logs;
mod proxy_protocol;
mod request;
mod rules;
mod settings;
mod stickiness;
mod stomp;

/// A fuzz target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Runs it once.
    pub run: fn(&[u8]),
    /// Inputs that get far into the parser.
    pub seeds: &'static [&'static [u8]],
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "configuration",
        run: settings::configuration,
        seeds: &[include_bytes!("../../../conf/alb.yaml"), include_bytes!("../../../conf/dev.yaml")],
    },
    Target {
        name: "wildcard",
        run: request::wildcard,
        seeds: &[b"/a*b?c\n/axxbyc", b"****?*?\n????????????????", b"*.example.com\nwww.EXAMPLE.com"],
    },
    Target {
        name: "path",
        run: request::path,
        seeds: &[b"/a/./b/../c//d/%2e%2E/e?x=/../y", b"*", b"/\xff/%zz/%"],
    },
    Target {
        name: "redirect",
        run: request::redirect,
        seeds: &[b"#{protocol}\n#{host}\n#{port}\n/#{path}\n#{query}\nexample.com:8080\n/a/b?c=d"],
    },
    Target {
        name: "rule",
        run: rules::rule,
        seeds: &[
            b"^/(a|b)*c$\nv\\*\n*1?\n/b/c?x&v*=11\nh.example.com:80\ngold, silver",
            b"((a*)*b){1,9}\n*\n%20\n/%61/../b?a=%41%20&b\n[::1]:8080\n\xff",
        ],
    },
    Target {
        name: "transform",
        run: rules::transform,
        seeds: &[
            b"^/api/(v[0-9])/(.*)$\n/$2?version=$1\na.test:80\n/api/v2/x?y",
            b"^(.+)\\.example\\.(com|org)$\n$1$1.$2\nwww.Example.com\n/\xff",
        ],
    },
    Target {
        name: "forwarded",
        run: request::forwarded,
        seeds: &[b"203.0.113.7, 10.0.0.1\n[2001:db8::1]:41520", b",,,,\n \n,"],
    },
    Target {
        name: "trace_id",
        run: request::trace_id,
        seeds: &[b"Self=1-67891234-12456789abcdef012345678;Root=1-67891233-abcdef012345678912345678;A=b"],
    },
    Target {
        name: "request_head",
        run: request::head,
        seeds: &[b"GET\n/a?b\nexample.com\ncontent-length: 5\ntransfer-encoding: chunked\nconnection: x-a"],
    },
    Target {
        name: "access_log",
        run: logs::access_log,
        seeds: &[b"\"quoted\"\n\\x22\r\n\xf0\x9f\x98\x80\n/a?b=\"c\"\nmozilla \x7f"],
    },
    Target {
        name: "tls_connection_log",
        run: logs::tls_connection_log,
        seeds: &[
            b"example.com\nh2\nh2,http/1.1",
            b"\"quoted\"\n\xff %2F\n,,\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0,\"",
        ],
    },
    Target {
        name: "lb_cookie",
        run: stickiness::lb_cookie,
        seeds: &[b"AWSALB=abc; AWSALBCORS=def; a=b", b"AWSALB=;;;=\nAWSALBCORS"],
    },
    Target {
        name: "target_group_cookie",
        run: stickiness::target_group_cookie,
        seeds: &[b"AWSALBTG=abc; AWSALBTGCORS=def; a=b", b"AWSALBTG=;;;=\nAWSALBTGCORS"],
    },
    Target {
        name: "app_cookie",
        run: stickiness::app_cookie,
        seeds: &[
            b"SESSION=1; AWSALBAPP-0=abc; AWSALBAPP-1=_remove_\nAWSALBAPP-2=x; AWSALBAPP-3=",
            b"Mozilla/5.0 Chrome/120.0.0.0 Chromium/80",
        ],
    },
    Target {
        name: "raw_head",
        run: head::raw_head,
        seeds: &[
            b"GET http://a/b?c HTTP/1.1\r\nHost: a\r\nHost: b\r\nTransfer-Encoding: identity, chunked\r\n\r\n",
            b"\r\nPOST / HTTP/1.0\nContent-Length : 5\n a_b: c\n\n",
            b"GET /\r\n",
        ],
    },
    Target {
        name: "proxy_protocol",
        run: proxy_protocol::header,
        seeds: &[
            b"PROXY TCP4 192.0.2.7 198.51.100.9 41520 443\r\nGET / HTTP/1.1\r\n\r\n",
            b"PROXY TCP6 2001:db8::7 ::ffff:192.0.2.9 41520 443\r\n",
            b"PROXY UNKNOWN x\r\n",
            // A health check and a client's connection as a Network Load Balancer writes them, with less padding.
            b"\r\n\r\n\0\r\nQUIT\n\x20\x11\0\x0c\x03\0\x04\xb7\x60\xaa\xa9\x04\0\x02\0\0",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x1f\xc0\0\x02\x07\xc6\x33\x64\x09\xa2\x30\x01\xbb\
                \x03\0\x04\x7b\x9a\x3a\x54\xea\0\x05\x01vpce\x04\0\x01\0",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x33\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\
                \x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09\xa2\x30\x01\xbb\x01\0\x02h2\x02\0\x03a.b\x05\0\x01u",
        ],
    },
    Target {
        name: "session_cookie",
        run: authenticate::session_cookie,
        seeds: &[b"AWSELBAuthSessionCookie-0=abc; AWSELBAuthSessionCookie-1=def; AWSALBAuthNonce=x"],
    },
    Target {
        name: "login_state",
        run: authenticate::login_state,
        seeds: &[b"code=abc&state=QUJD%3D&error=access_denied&a=b%zz"],
    },
    Target {
        name: "jwt",
        run: authenticate::jwt,
        seeds: &[b"Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.eyJpc3MiOiJpIiwiZXhwIjoxfQ.c2lnbmF0dXJl"],
    },
    Target {
        name: "client_certificate",
        run: authenticate::client_certificate,
        seeds: &[b"\x30\x82\x01\x0a\x30\x81\xb1\xa0\x03\x02\x01\x02"],
    },
    Target {
        name: "admin_body",
        run: admin::body,
        seeds: &[
            b"{\"TargetGroupArn\": \"web\", \"Targets\": [{\"Id\": \"127.0.0.1\", \"Port\": 80}]}",
            b"{\"Attributes\": [{\"Key\": \"idle_timeout.timeout_seconds\", \"Value\": \"60\"}]}",
            b"{}",
        ],
    },
    Target {
        name: "backend_proxy_protocol",
        run: backend::proxy_protocol,
        seeds: &[
            b"PROXY TCP4 198.51.100.7 192.0.2.1 56324 443\r\nGET / HTTP/1.1\r\n",
            b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n\x16\x03\x01",
            b"PROXY UNKNOWN\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f\xc6\x33\x64\x07\xc0\0\x02\x01\xdc\x04\x01\xbb\x04\0\0",
            b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
        ],
    },
    Target {
        name: "engine_io",
        run: backend::engine_io,
        seeds: &[b"4hello\x1e2\x1ebAQIDBA==\x1e3probe", b"42/chat,1[\"message\",{}]", b"1", b"6\x1e"],
    },
    Target {
        name: "sock_js",
        run: backend::sock_js,
        seeds: &[
            br#"["CONNECT\naccept-version:1.2\n\n\u0000","\ud83d\ude00\ud800"]"#,
            b"/000/abc_def/xhr_streaming",
            b"t=1&c=%5fjp.a1",
        ],
    },
    Target {
        name: "socket_io",
        run: backend::socket_io,
        seeds: &[
            b"0/chat,{\"token\":\"t\"}",
            b"52-/chat,17[\"file\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]\nab",
            b"51-[\"a\",[{\"_placeholder\":true,\"num\":0}]]\n\xff\n31[\"b\"]",
            b"4/x,\"no\"",
        ],
    },
    Target {
        name: "stomp_codec",
        run: stomp::codec,
        seeds: &[
            b"\x02SEND\ndestination:/app/a\\c\\n\\\\\\r\ncontent-length:3\n\na\0b\0\n\nDISCONNECT\n\n\0",
            b"\x01\r\nSUBSCRIBE\r\nid:1\r\ndestination:/topic/a:b\r\nack:client\r\n\r\n\0\r\n",
            b"\0SEND\ndestination: /queue/a \n\nbody\0MESSAGE\na:\\c\n\n\xff\0",
        ],
    },
    Target {
        name: "stomp_session",
        run: stomp::session,
        seeds: &[
            b"\0CONNECT\naccept-version:1.1,1.2\nheart-beat:10000,10000\n\n\0SUBSCRIBE\nid:0\ndestination:/topic/a\n\
                ack:client\nreceipt:1\n\n\0ACK\nid:0-1\nreceipt:2\n\n\0UNSUBSCRIBE\nid:0\n\n\0DISCONNECT\nreceipt:3\n\n\0",
            b"\x02STOMP\naccept-version:1.2\n\n\0BEGIN\ntransaction:t\n\n\0SEND\ndestination:/app/a\ntransaction:t\n\
                receipt:1\n\nbody\0NACK\nid:0-1\ntransaction:t\n\n\0COMMIT\ntransaction:t\nreceipt:2\n\n\0",
            b"\x01CONNECT\n\n\0BEGIN\ntransaction:t\n\n\0ACK\nmessage-id:s-1\ntransaction:t\n\n\0ABORT\ntransaction:t\n\n\0\n",
        ],
    },
];

/// The target with this name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|target| target.name == name).copied()
}

/// The `index`th line of the input; empty beyond the last.
fn line(data: &[u8], index: usize) -> &[u8] {
    data.split(|&byte| byte == b'\n').nth(index).unwrap_or_default()
}

/// [`line()`] as text.
fn text(data: &[u8], index: usize) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(line(data, index))
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::SmallRng};

    use super::*;

    /// Damaged copies of each seed.
    const ROUNDS: usize = 400;

    #[test]
    fn no_target_panics_on_its_seeds_or_on_damage_to_them() {
        let mut random = SmallRng::seed_from_u64(7);
        for target in TARGETS {
            for seed in target.seeds {
                (target.run)(seed);
                for _ in 0..ROUNDS {
                    (target.run)(&damage(seed, &mut random));
                }
            }
            (target.run)(&[]);
        }
    }

    fn damage(seed: &[u8], random: &mut SmallRng) -> Vec<u8> {
        let mut damaged = seed.to_vec();
        for _ in 0..random.random_range(1..8) {
            let at = random.random_range(0..=damaged.len());
            match random.random_range(0..4) {
                0 => damaged.truncate(at),
                1 => damaged.insert(at, random.random()),
                2 => {
                    let byte = damaged.get(at).copied().unwrap_or(b'a');
                    let copies = random.random_range(1..64);
                    damaged.splice(at..at, std::iter::repeat_n(byte, copies));
                }
                _ => {
                    if let Some(byte) = damaged.get_mut(at) {
                        *byte = random.random();
                    }
                }
            }
        }
        damaged
    }
}
