//! Sessions with time passed in.

use proptest::prelude::*;

use super::*;

const ZERO: Duration = Duration::ZERO;

struct Client {
    session: Session,
    now: Instant,
}

impl Client {
    fn new() -> Self {
        Self::with_heart_beat(Duration::from_secs(10))
    }

    fn with_heart_beat(interval: Duration) -> Self {
        let settings = Settings {
            limits: Limits { frame: 1024, headers: 8, line: 512 },
            subscription_limit: 3,
            transaction_size_limit: 500,
            heart_beat: (interval, interval),
            time_to_first_message: Duration::from_secs(60),
            ping_interval: Duration::from_secs(25),
            server: "albeit-backend/0.1.0 b1".to_owned(),
        };
        let now = Instant::now();
        Self { session: Session::new(Arc::new(settings), "s1", now), now }
    }

    /// A client after CONNECT with this heart-beat header.
    fn connected(version: &str, heart_beat: &str) -> Self {
        let mut client = Self::new();
        let frame = format!("CONNECT\naccept-version:{version}\nheart-beat:{heart_beat}\n\n\0");
        assert_eq!(client.send(&frame).len(), 1);
        client
    }

    /// Sends text and shows what is to be done, accepting every frame.
    fn send(&mut self, text: &str) -> Vec<String> {
        self.session.handle_bytes(self.now, text.as_bytes());
        self.outputs()
    }

    /// The next thing to do for a frame that was admitted.
    fn poll(&mut self) -> Option<Output> {
        match self.session.poll_output() {
            Some(Output::Received) => {
                self.session.admit();
                self.session.poll_output()
            }
            output => output,
        }
    }

    fn outputs(&mut self) -> Vec<String> {
        let mut shown = Vec::new();
        while let Some(output) = self.session.poll_output() {
            if output == Output::Received {
                self.session.admit();
                continue;
            }
            if let Output::Connect(_) = output {
                self.session.accept_connect(self.now, None);
                continue;
            }
            shown.push(match output {
                Output::Write(bytes) => String::from_utf8(bytes.to_vec()).unwrap().replace('\0', "^@"),
                Output::Ping => "ping".to_owned(),
                Output::Subscribe { id, destination, ack, .. } => {
                    self.session.accept(self.now);
                    let id = id.unwrap_or_else(|| "-".into());
                    match ack {
                        AckMode::Auto => format!("subscribe {id} to {destination}"),
                        ack => format!("subscribe {id} to {destination} with {ack:?}"),
                    }
                }
                Output::Settle(verdict, reference) => {
                    self.session.accept(self.now);
                    format!("{verdict:?} {reference:?}")
                }
                Output::Unsubscribe(key) => {
                    self.session.accept(self.now);
                    format!("unsubscribe {key}")
                }
                Output::Send(frame) => {
                    self.session.accept(self.now);
                    format!("send {} bytes", frame.body.len())
                }
                Output::Received | Output::Connect(_) => unreachable!("answered above"),
                Output::Close(ending) => format!("close {ending:?}"),
            });
        }
        shown
    }

    /// Moves the clock and shows what is to be done.
    fn wait(&mut self, seconds: u64) -> Vec<String> {
        self.now += Duration::from_secs(seconds);
        self.session.handle_timeout(self.now);
        self.outputs()
    }
}

#[track_caller]
fn check(client: &mut Client, sent: &str, expected: &[&str]) {
    assert_eq!(client.send(sent), expected, "for {sent:?}");
}

#[test]
fn connected_names_version_heart_beat_session_and_server() {
    check(
        &mut Client::new(),
        "CONNECT\naccept-version:1.0,1.1,1.2\nheart-beat:0,0\nhost:a\n\n\0",
        &["CONNECTED\nversion:1.2\nheart-beat:10000,10000\nsession:s1\n\
           server:albeit-backend/0.1.0 b1\n\n^@"],
    );
}

#[test]
fn the_owner_decides_who_connects_and_as_whom() {
    let connect = "CONNECT\naccept-version:1.2\nheart-beat:0,1000\npasscode:se:cret\n\n\0SEND\n\n\0";
    let mut client = Client::new();
    client.session.handle_bytes(client.now, connect.as_bytes());
    let Some(Output::Connect(headers)) = client.poll() else { panic!("CONNECT is handed out") };
    assert_eq!(headers.value("passcode"), Some("se:cret"));
    assert_eq!(client.poll(), None, "frames wait for the answer");
    // However long the owner takes, the client was in time.
    client.now += Duration::from_secs(61);
    client.session.handle_timeout(client.now);
    assert_eq!(client.poll(), Some(Output::Ping));
    client.session.accept_connect(client.now, Some("a\nn:n"));
    let Some(Output::Write(connected)) = client.poll() else { panic!("CONNECTED is written") };
    assert_eq!(
        connected,
        "CONNECTED\nversion:1.2\nheart-beat:10000,10000\nuser-name:a\nsession:s1\n\
         server:albeit-backend/0.1.0 b1\n\n\0"
    );
    assert_eq!(client.session.poll_timeout(), Some(client.now + Duration::from_secs(9)));

    let mut client = Client::new();
    client.session.handle_bytes(client.now, connect.as_bytes());
    assert!(matches!(client.poll(), Some(Output::Connect(_))));
    client.session.reject("not authenticated", "");
    assert_eq!(
        client.outputs(),
        ["ERROR\nmessage:not authenticated\ncontent-length:0\n\n^@", "close Refused"]
    );
}

#[test]
fn every_frame_is_admitted_first() {
    let mut client = Client::connected("1.2", "0,0");
    client.session.handle_bytes(client.now, b"\nBEGIN\ntransaction:t\nreceipt:5\n\n\0");
    assert_eq!(client.session.poll_output(), Some(Output::Received));
    assert_eq!(client.session.received().map(|frame| frame.command), Some(Command::Begin));
    assert_eq!(client.session.poll_output(), None);
    client.session.reject("too fast", "");
    assert_eq!(
        client.outputs(),
        ["ERROR\nmessage:too fast\nreceipt-id:5\ncontent-length:0\n\n^@", "close Refused"]
    );
}

#[test]
fn version_1_0_has_no_heart_beats() {
    let mut client = Client::new();
    let answer = client.send("CONNECT\naccept-version:1.0\nheart-beat:1000,1000\n\n\0");
    assert!(answer[0].contains("\nheart-beat:0,0\n"), "{answer:?}");
    // Its client sends none either.
    assert_eq!(client.wait(25), ["ping"]);
    assert_eq!(client.wait(25), ["ping"]);
}

#[test]
fn the_highest_common_version_is_agreed() {
    for (accepted, version) in [("1.0,1.1", "1.1"), ("1.0", "1.0"), ("1.2,2.0", "1.2")] {
        let mut client = Client::new();
        let answer = client.send(&format!("STOMP\naccept-version:{accepted}\n\n\0"));
        assert!(answer[0].starts_with(&format!("CONNECTED\nversion:{version}\n")), "{answer:?}");
    }
    let answer = Client::new().send("CONNECT\n\n\0");
    assert!(answer[0].starts_with("CONNECTED\nversion:1.0\n"), "{answer:?}");
}

#[test]
fn no_common_version_is_an_error_that_lists_ours() {
    check(
        &mut Client::new(),
        "CONNECT\naccept-version:1.3\n\n\0",
        &[
            "ERROR\nmessage:no common version\nversion:1.0,1.1,1.2\ncontent-type:text/plain\n\
             content-length:43\n\nSupported protocol versions are 1.0,1.1,1.2^@",
            "close ProtocolError",
        ],
    );
}

#[test]
fn every_frame_with_a_receipt_gets_it_after_it_was_processed() {
    let mut client = Client::connected("1.2", "0,0");
    check(
        &mut client,
        "SUBSCRIBE\nid:0\ndestination:/topic/a\nreceipt:r1\n\n\0\
         SEND\ndestination:/app/a\nreceipt:r\\c2\n\nhi\0\
         UNSUBSCRIBE\nid:0\nreceipt:r3\n\n\0\
         DISCONNECT\nreceipt:r4\n\n\0",
        &[
            "subscribe 0 to /topic/a",
            "RECEIPT\nreceipt-id:r1\n\n^@",
            "send 2 bytes",
            "RECEIPT\nreceipt-id:r\\c2\n\n^@",
            "unsubscribe 0",
            "RECEIPT\nreceipt-id:r3\n\n^@",
            "RECEIPT\nreceipt-id:r4\n\n^@",
            "close Disconnect",
        ],
    );
}

#[test]
fn a_frame_waits_until_the_one_before_is_processed() {
    let mut client = Client::connected("1.2", "0,0");
    let send = "SEND\ndestination:/app/a\nreceipt:1\n\n\0";
    client.session.handle_bytes(client.now, format!("{send}{send}").as_bytes());
    assert!(matches!(client.poll(), Some(Output::Send(_))));
    assert_eq!(client.poll(), None);
    client.session.accept(client.now);
    assert!(matches!(client.poll(), Some(Output::Write(_))));
    assert!(matches!(client.poll(), Some(Output::Send(_))));
}

#[test]
fn a_rejected_frame_is_an_error_with_its_receipt() {
    let mut client = Client::connected("1.2", "0,0");
    client.session.handle_bytes(client.now, b"SEND\ndestination:/app/a\nreceipt:7\n\n\0");
    assert!(matches!(client.poll(), Some(Output::Send(_))));
    client.session.reject("invalid message", "no JSON");
    assert_eq!(
        client.outputs(),
        [
            "ERROR\nmessage:invalid message\nreceipt-id:7\ncontent-type:text/plain\n\
             content-length:7\n\nno JSON^@",
            "close Refused",
        ]
    );
    assert!(client.send("SEND\ndestination:/app/a\n\n\0").is_empty());
    client.session.reject("once more", "");
    assert!(client.outputs().is_empty());
}

#[test]
fn protocol_faults_are_an_error_and_a_close() {
    for (sent, message) in [
        ("SUBSCRIBE\ndestination:/topic/a\n\n\0", "SUBSCRIBE without an id"),
        ("SUBSCRIBE\nid:1\n\n\0", "SUBSCRIBE without a destination"),
        (
            "SUBSCRIBE\nid:1\ndestination:/topic/a\nack:maybe\n\n\0",
            "ack is none of auto, client and client-individual",
        ),
        ("SEND\n\nhi\0", "SEND without a destination"),
        ("SEND\ndestination:/app/a\ntransaction:t\n\n\0", "unknown transaction"),
        ("UNSUBSCRIBE\n\n\0", "UNSUBSCRIBE without an id"),
        ("CONNECT\n\n\0", "already connected"),
        ("MESSAGE\n\n\0", "MESSAGE is sent by servers only"),
        ("ACK\nmessage-id:1\n\n\0", "ACK without id"),
        ("NACK\n\n\0", "NACK without id"),
        ("ACK\nid:1\ntransaction:1\n\n\0", "unknown transaction"),
        ("BEGIN\n\n\0", "BEGIN without a transaction"),
        ("COMMIT\ntransaction:\n\n\0", "COMMIT without a transaction"),
        ("COMMIT\ntransaction:1\n\n\0", "unknown transaction"),
        ("ABORT\ntransaction:1\n\n\0", "unknown transaction"),
        ("NONSENSE\n\n\0", "unknown command \"NONSENSE\""),
    ] {
        let mut client = Client::connected("1.2", "0,0");
        let error = format!("ERROR\nmessage:{message}\ncontent-length:0\n\n^@");
        check(&mut client, sent, &[&error, "close ProtocolError"]);
    }
}

#[test]
fn nothing_works_before_connect() {
    check(
        &mut Client::new(),
        "SEND\ndestination:/app/a\n\n\0",
        &["ERROR\nmessage:SEND before CONNECT\ncontent-length:0\n\n^@", "close ProtocolError"],
    );
}

#[test]
fn a_subscription_id_is_unique_until_it_is_given_back() {
    let mut client = Client::connected("1.2", "0,0");
    let subscribe = "SUBSCRIBE\nid:0\ndestination:/topic/a\n\n\0";
    check(&mut client, subscribe, &["subscribe 0 to /topic/a"]);
    check(&mut client, "UNSUBSCRIBE\nid:0\n\n\0", &["unsubscribe 0"]);
    check(&mut client, subscribe, &["subscribe 0 to /topic/a"]);
    check(
        &mut client,
        subscribe,
        &["ERROR\nmessage:subscription id is in use\ncontent-length:0\n\n^@", "close ProtocolError"],
    );
}

#[test]
fn a_subscription_id_has_a_limit() {
    let subscribe = |length| {
        let id = "i".repeat(length);
        Client::connected("1.2", "0,0").send(&format!("SUBSCRIBE\nid:{id}\ndestination:/topic/a\n\n\0"))
    };
    assert_eq!(subscribe(256).len(), 1);
    assert_eq!(
        subscribe(257),
        ["ERROR\nmessage:subscription id is too long\ncontent-length:0\n\n^@", "close ProtocolError"]
    );
}

#[test]
fn a_session_holds_so_many_subscriptions() {
    let mut client = Client::connected("1.2", "0,0");
    let subscribe = |id| format!("SUBSCRIBE\nid:{id}\ndestination:/topic/a\n\n\0");
    for id in 0..3 {
        assert_eq!(client.send(&subscribe(id)).len(), 1);
    }
    client.send("UNSUBSCRIBE\nid:0\n\n\0");
    assert_eq!(client.send(&subscribe(0)).len(), 1);
    check(
        &mut client,
        &subscribe(3),
        &["ERROR\nmessage:too many subscriptions\ncontent-length:0\n\n^@", "close ProtocolError"],
    );
}

#[test]
fn headers_above_their_limits_are_an_error() {
    for (headers, message) in [
        ("a:b\n".repeat(9), "frame has more than 8 headers"),
        (format!("a:{}\n", "x".repeat(511)), "header line exceeds 512 bytes"),
    ] {
        let mut client = Client::connected("1.2", "0,0");
        let error = format!("ERROR\nmessage:{message}\ncontent-length:0\n\n^@");
        check(&mut client, &format!("SEND\n{headers}\n\0"), &[&error, "close ProtocolError"]);
    }
}

#[test]
fn version_1_0_subscribes_without_an_id() {
    let mut client = Client::connected("1.0", "0,0");
    check(&mut client, "SUBSCRIBE\ndestination:/topic/a\n\n\0", &["subscribe - to /topic/a"]);
    check(&mut client, "UNSUBSCRIBE\ndestination:/topic/a\n\n\0", &["unsubscribe /topic/a"]);
}

#[test]
fn a_frame_above_the_limit_is_an_error() {
    let mut client = Client::connected("1.2", "0,0");
    let body = "x".repeat(1024);
    check(
        &mut client,
        &format!("SEND\ndestination:/app/a\n\n{body}\0"),
        &["ERROR\nmessage:frame exceeds 1024 bytes\ncontent-length:0\n\n^@", "close TooLarge"],
    );
}

#[test]
fn heart_beats_are_sent_before_the_interval_ends() {
    let mut client = Client::connected("1.2", "0,5000");
    assert_eq!(client.session.poll_timeout(), Some(client.now + Duration::from_secs(9)));
    assert!(client.wait(8).is_empty());
    assert_eq!(client.wait(1), ["\n"]);
    // Other traffic takes the place of a beat.
    client.now += Duration::from_secs(5);
    client.session.handle_written(client.now);
    assert!(client.wait(8).is_empty());
    assert_eq!(client.wait(1), ["\n"]);
}

#[test]
fn a_client_that_misses_three_heart_beats_is_closed() {
    let mut client = Client::connected("1.2", "10000,0");
    client.wait(29);
    assert!(client.send("\n").is_empty());
    let last = client.wait(30);
    assert_eq!(last, ["ERROR\nmessage:no heart-beat in time\ncontent-length:0\n\n^@", "close Unreliable"]);
}

#[test]
fn heart_beats_flow_while_a_frame_is_processed_and_silence_is_forgiven() {
    let mut client = Client::connected("1.2", "10000,10000");
    client.session.handle_bytes(client.now, b"SEND\ndestination:/app/a\nreceipt:1\n\n\0");
    assert!(matches!(client.poll(), Some(Output::Send(_))));
    let mut beats = 0;
    for _ in 0..100 {
        let outputs = client.wait(1);
        assert!(outputs.iter().all(|output| output == "\n"), "{outputs:?}");
        beats += outputs.len();
    }
    assert!(beats >= 10, "{beats} beats in 100 s");
    client.session.accept(client.now);
    assert_eq!(client.outputs(), ["RECEIPT\nreceipt-id:1\n\n^@"]);
    assert!(client.wait(29).iter().all(|output| output == "\n"));
    assert!(client.wait(1).contains(&"close Unreliable".to_owned()));
}

#[test]
fn a_client_without_heart_beats_is_pinged() {
    let mut client = Client::connected("1.2", "0,0");
    assert_eq!(client.session.poll_timeout(), Some(client.now + Duration::from_secs(25)));
    assert_eq!(client.wait(25), ["ping"]);
    assert!(client.wait(24).is_empty());
    assert_eq!(client.wait(1), ["ping"]);
}

#[test]
fn a_client_with_rare_heart_beats_is_pinged_as_well() {
    let mut client = Client::connected("1.2", "0,120000");
    assert_eq!(client.wait(25), ["ping"]);
    let frequent = Client::connected("1.2", "0,20000");
    assert_eq!(frequent.session.poll_timeout(), Some(frequent.now + Duration::from_secs(18)));
}

#[test]
fn a_server_without_heart_beats_offers_none() {
    let mut client = Client::with_heart_beat(ZERO);
    let answer = client.send("CONNECT\naccept-version:1.2\nheart-beat:1000,1000\n\n\0");
    assert!(answer[0].contains("\nheart-beat:0,0\n"), "{answer:?}");
    assert_eq!(client.session.poll_timeout(), Some(client.now + Duration::from_secs(25)));
}

#[test]
fn a_client_that_never_connects_is_closed() {
    let mut client = Client::new();
    assert_eq!(client.wait(59), ["ping"]);
    assert_eq!(
        client.wait(1),
        ["ERROR\nmessage:no CONNECT frame in time\ncontent-length:0\n\n^@", "close Unreliable"]
    );
    assert_eq!(client.session.poll_timeout(), None);
}

#[test]
fn each_version_names_an_acknowledged_message_in_its_own_way() {
    let all = "id:0-7\nsubscription:0\nmessage-id:s1-7";
    let named = r#"OfSubscription { subscription: "0", message_id: "s1-7" }"#;
    for (version, expected) in [("1.0", r#"Message("s1-7")"#), ("1.1", named), ("1.2", r#"Ack("0-7")"#)] {
        let mut client = Client::connected(version, "0,0");
        let ack = format!("ACK\n{all}\nreceipt:r\n\n\0");
        check(&mut client, &ack, &[&format!("Ack {expected}"), "RECEIPT\nreceipt-id:r\n\n^@"]);
    }
    for (version, headers, missing) in [
        ("1.0", "id:1", "message-id"),
        ("1.1", "message-id:1", "subscription"),
        ("1.2", "message-id:1", "id"),
    ] {
        let mut client = Client::connected(version, "0,0");
        let error = format!("ERROR\nmessage:ACK without {missing}\ncontent-length:0\n\n^@");
        check(&mut client, &format!("ACK\n{headers}\n\n\0"), &[&error, "close ProtocolError"]);
    }
}

#[test]
fn version_1_0_has_no_nack() {
    check(
        &mut Client::connected("1.0", "0,0"),
        "NACK\nmessage-id:1\nreceipt:r\n\n\0",
        &["ERROR\nmessage:NACK is of STOMP 1.1\nreceipt-id:r\ncontent-length:0\n\n^@", "close ProtocolError"],
    );
    let mut client = Client::connected("1.1", "0,0");
    assert!(client.send("NACK\nmessage-id:1\nsubscription:0\n\n\0")[0].starts_with("Nack "));
}

#[test]
fn a_subscription_has_an_ack_mode() {
    for (header, mode) in [
        ("", ""),
        ("ack:auto\n", ""),
        ("ack:client\n", " with Client"),
        ("ack:client-individual\n", " with ClientIndividual"),
    ] {
        let mut client = Client::connected("1.2", "0,0");
        let subscribe = format!("SUBSCRIBE\nid:0\ndestination:/topic/a\n{header}\n\0");
        check(&mut client, &subscribe, &[&format!("subscribe 0 to /topic/a{mode}")]);
    }
}

#[test]
fn frames_of_a_transaction_are_processed_at_its_commit_with_their_receipts() {
    let mut client = Client::connected("1.2", "0,0");
    check(
        &mut client,
        "BEGIN\ntransaction:t\nreceipt:1\n\n\0\
         SEND\ndestination:/app/a\ntransaction:t\nreceipt:2\n\nhello\0\
         ACK\nid:0-7\ntransaction:t\nreceipt:3\n\n\0\
         SEND\ndestination:/app/a\nreceipt:4\n\nat once\0",
        &["RECEIPT\nreceipt-id:1\n\n^@", "send 7 bytes", "RECEIPT\nreceipt-id:4\n\n^@"],
    );
    check(
        &mut client,
        "COMMIT\ntransaction:t\nreceipt:5\n\n\0SEND\ndestination:/app/a\n\n.\0",
        &[
            "send 5 bytes",
            "RECEIPT\nreceipt-id:2\n\n^@",
            "Ack Ack(\"0-7\")",
            "RECEIPT\nreceipt-id:3\n\n^@",
            "RECEIPT\nreceipt-id:5\n\n^@",
            "send 1 bytes",
        ],
    );
    assert!(client.session.transactions.is_none(), "no memory is held between transactions");
}

#[test]
fn frames_of_an_aborted_transaction_are_forgotten() {
    let mut client = Client::connected("1.1", "0,0");
    check(
        &mut client,
        "BEGIN\ntransaction:t\n\n\0\
         SEND\ndestination:/app/a\ntransaction:t\nreceipt:2\n\nhello\0\
         ABORT\ntransaction:t\nreceipt:3\n\n\0",
        &["RECEIPT\nreceipt-id:3\n\n^@"],
    );
    // The name is free again, and what is open at the end is aborted.
    check(&mut client, "BEGIN\ntransaction:t\n\n\0", &[]);
    check(&mut client, "SEND\ndestination:/app/a\ntransaction:t\n\n\0", &[]);
    check(&mut client, "DISCONNECT\nreceipt:4\n\n\0", &["RECEIPT\nreceipt-id:4\n\n^@", "close Disconnect"]);
}

#[test]
fn a_frame_that_is_rejected_at_the_commit_ends_the_session_with_its_receipt() {
    let mut client = Client::connected("1.2", "0,0");
    let send = "SEND\ndestination:/app/a\ntransaction:t\nreceipt:2\n\nhello\0";
    client.send(&format!("BEGIN\ntransaction:t\n\n\0{send}{send}"));
    client.session.handle_bytes(client.now, b"COMMIT\ntransaction:t\nreceipt:3\n\n\0");
    assert!(matches!(client.poll(), Some(Output::Send(_))));
    client.session.reject("invalid message", "");
    assert_eq!(
        client.outputs(),
        ["ERROR\nmessage:invalid message\nreceipt-id:2\ncontent-length:0\n\n^@", "close Refused"]
    );
}

#[test]
fn a_transaction_begins_once_and_keeps_so_much() {
    let begin = "BEGIN\ntransaction:t\n\n\0";
    let mut client = Client::connected("1.2", "0,0");
    check(
        &mut client,
        &format!("{begin}{begin}"),
        &["ERROR\nmessage:transaction is in use\ncontent-length:0\n\n^@", "close ProtocolError"],
    );
    let mut client = Client::connected("1.2", "0,0");
    let body = "x".repeat(500);
    check(
        &mut client,
        &format!("{begin}SEND\ndestination:/app/a\ntransaction:t\nreceipt:9\n\n{body}\0"),
        &[
            "ERROR\nmessage:transactions hold too much\nreceipt-id:9\ncontent-length:0\n\n^@",
            "close ProtocolError",
        ],
    );
}

fn any_frame() -> impl Strategy<Value = String> {
    let command = prop_oneof![
        4 => Just("CONNECT"),
        8 => prop::sample::select(&["SEND", "SUBSCRIBE", "UNSUBSCRIBE", "ACK", "NACK", "BEGIN", "COMMIT", "ABORT"][..]),
        1 => prop::sample::select(&["DISCONNECT", "STOMP", "MESSAGE", "ERROR", "HELLO", ""][..]),
    ];
    let header = (
        prop::sample::select(
            &[
                "id",
                "destination",
                "ack",
                "transaction",
                "receipt",
                "accept-version",
                "heart-beat",
                "message-id",
                "subscription",
                "content-length",
            ][..],
        ),
        prop::sample::select(&["0", "1", "/app/a", "client", "1.0", "1.1,1.2", "10,10", "\\c", ""][..]),
    );
    (command, proptest::collection::vec(header, 0..5), "[a-z\u{0}]{0,5}").prop_map(
        |(command, headers, body)| {
            let headers: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
            let body = if command == "SEND" { body.as_str() } else { "" };
            format!("{command}\n{headers}\n{body}\0\n")
        },
    )
}

/// What became of a frame, when its owner accepts it, rejects it or takes long.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Accept,
    Reject,
    Later,
}

proptest! {
    #[test]
    fn any_frames_are_answered_in_order_and_an_end_is_the_end(
        connected in any::<bool>(),
        frames in proptest::collection::vec(any_frame(), 0..30),
        answers in proptest::collection::vec(
            prop_oneof![8 => Just(Answer::Accept), 1 => Just(Answer::Reject), 3 => Just(Answer::Later)],
            1..20,
        ),
    ) {
        let mut client = if connected { Client::connected("1.2", "0,0") } else { Client::new() };
        let mut answers = answers.iter().cycle();
        let mut over = false;
        for frame in frames {
            client.session.handle_bytes(client.now, frame.as_bytes());
            while let Some(output) = client.session.poll_output() {
                prop_assert!(!over, "{output:?} after the end");
                match output {
                    Output::Write(_) | Output::Ping => continue,
                    Output::Close(_) => {
                        over = true;
                        continue;
                    }
                    _ => {}
                }
                prop_assert_eq!(client.session.poll_output(), None, "the answer is waited for");
                let answer = *answers.next().unwrap();
                if matches!(answer, Answer::Later) {
                    client.now += Duration::from_secs(30);
                    client.session.handle_timeout(client.now);
                    let late = client.session.poll_output();
                    prop_assert!(matches!(late, None | Some(Output::Ping | Output::Write(_))) || client.session.phase == Phase::Over);
                }
                match (answer, &output) {
                    (Answer::Reject, _) => client.session.reject("no", ""),
                    (_, Output::Received) => client.session.admit(),
                    (_, Output::Connect(_)) => client.session.accept_connect(client.now, Some("ann")),
                    _ => client.session.accept(client.now),
                }
            }
        }
    }
}
