use proptest::prelude::{any, proptest};

use super::*;

const SETTINGS: Settings = Settings {
    ping_interval: Duration::from_secs(25),
    ping_timeout: Duration::from_secs(60),
    upgrade_timeout: Duration::from_secs(10),
    max_payload: 1_000_000,
};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn opened(transport: TransportName) -> (Session, Instant) {
    let now = Instant::now();
    let mut session = Session::new(SETTINGS, "abc", transport, now);
    assert!(matches!(session.poll_output(), Some(Output::Send(Packet::Open(_)))));
    (session, now)
}

fn outputs(session: &mut Session) -> Vec<Output> {
    std::iter::from_fn(|| session.poll_output()).collect()
}

fn text(text: &'static str) -> Packet {
    Packet::Message(Message::Text(Bytes::from_static(text.as_bytes())))
}

fn ping() -> Output {
    Output::Send(Packet::Ping(Bytes::new()))
}

fn probe() -> Packet {
    Packet::Ping(Bytes::from_static(PROBE))
}

#[test]
fn the_open_packet_tells_the_parameters() {
    let check = |transport, upgrades: serde_json::Value| {
        let mut session = Session::new(SETTINGS, "abc", transport, Instant::now());
        let Some(Output::Send(Packet::Open(open))) = session.poll_output() else { panic!("no open packet") };
        let expected = json!({
            "sid": "abc", "upgrades": upgrades,
            "pingInterval": 25_000, "pingTimeout": 60_000, "maxPayload": 1_000_000,
        });
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&open).unwrap(), expected);
    };
    check(TransportName::Polling, json!(["websocket"]));
    check(TransportName::WebSocket, json!([]));
}

#[test]
fn the_first_ping_comes_after_the_interval() {
    let (mut session, start) = opened(TransportName::WebSocket);
    assert_eq!(session.poll_timeout(), Some(start + secs(25)));
    session.handle_timeout(start + secs(24));
    assert_eq!(outputs(&mut session), []);
    session.handle_timeout(start + secs(25));
    assert_eq!(outputs(&mut session), [ping()]);
}

#[test]
fn a_pong_starts_the_next_interval() {
    let (mut session, start) = opened(TransportName::WebSocket);
    session.handle_timeout(start + secs(25));
    session.handle_packet(start + secs(30), Ok(Packet::Pong(Bytes::new())));
    assert_eq!(session.poll_timeout(), Some(start + secs(55)));
}

#[test]
fn without_a_pong_the_session_ends() {
    let (mut session, start) = opened(TransportName::Polling);
    session.handle_timeout(start + secs(25));
    session.handle_timeout(start + secs(84));
    assert_eq!(outputs(&mut session), [ping()]);
    session.handle_timeout(start + secs(85));
    assert_eq!(outputs(&mut session), [Output::Close(CloseReason::PingTimeout)]);
    assert_eq!(session.poll_timeout(), None);
}

#[test]
fn another_packet_moves_the_deadline_of_a_pong_once() {
    let (mut session, start) = opened(TransportName::WebSocket);
    session.handle_timeout(start + secs(25));
    session.handle_packet(start + secs(50), Ok(text("a")));
    session.handle_packet(start + secs(100), Ok(text("b")));
    assert_eq!(session.poll_timeout(), Some(start + secs(110)));
}

#[test]
fn faults_of_the_client_end_the_session() {
    for (packet, reason) in [
        (Ok(Packet::Ping(Bytes::new())), CloseReason::TransportError),
        (Ok(Packet::Close), CloseReason::TransportClose),
        (Err(Malformed::Type), CloseReason::ParseError),
    ] {
        let (mut session, now) = opened(TransportName::WebSocket);
        session.handle_packet(now, packet);
        session.handle_packet(now, Ok(text("late")));
        assert_eq!(outputs(&mut session), [Output::Close(reason)]);
    }
}

#[test]
fn a_probed_websocket_takes_over() {
    let (mut session, now) = opened(TransportName::Polling);
    assert!(session.handle_offer(now));
    session.handle_probe(now, Ok(probe()));
    let pong = Output::Probe(Packet::Pong(Bytes::from_static(PROBE)));
    assert_eq!(outputs(&mut session), [pong, Output::ReleasePoll]);
    // A poll that came after the first release is released again.
    session.handle_timeout(now + RELEASE_INTERVAL);
    assert_eq!(outputs(&mut session), [Output::ReleasePoll]);
    session.handle_packet(now, Ok(text("still polling")));
    session.handle_probe(now, Ok(Packet::Upgrade));
    let message = Message::Text(Bytes::from_static(b"still polling"));
    assert_eq!(outputs(&mut session), [Output::Message(message), Output::Switch]);
    assert_eq!(session.poll_timeout(), Some(now + secs(25)));
}

#[test]
fn an_upgrade_that_is_not_finished_is_given_up_and_may_be_tried_again() {
    let (mut session, now) = opened(TransportName::Polling);
    assert!(session.handle_offer(now));
    session.handle_timeout(now + secs(10));
    assert_eq!(outputs(&mut session), [Output::DropProbe]);
    assert!(session.handle_offer(now + secs(11)));
    session.handle_probe(now + secs(11), Ok(text("no probe")));
    assert_eq!(outputs(&mut session), [Output::DropProbe]);
    assert!(session.handle_offer(now + secs(12)));
    session.handle_probe_closed();
    assert!(session.handle_offer(now + secs(13)));
    session.handle_probe(now + secs(13), Ok(Packet::Upgrade));
    assert_eq!(outputs(&mut session), [Output::DropProbe, Output::Switch]);
}

#[test]
fn a_websocket_is_probed_once() {
    let (mut session, now) = opened(TransportName::Polling);
    assert!(session.handle_offer(now));
    session.handle_probe(now, Ok(probe()));
    outputs(&mut session);
    session.handle_probe(now, Ok(probe()));
    assert_eq!(outputs(&mut session), [Output::DropProbe]);
    session.handle_probe(now, Ok(Packet::Upgrade));
    assert_eq!(outputs(&mut session), []);
}

#[test]
fn a_second_websocket_is_not_wanted() {
    let (mut session, now) = opened(TransportName::WebSocket);
    assert!(!session.handle_offer(now));
    let (mut session, now) = opened(TransportName::Polling);
    assert!(session.handle_offer(now));
    assert!(!session.handle_offer(now));
    session.handle_probe(now, Ok(Packet::Upgrade));
    assert_eq!(outputs(&mut session), [Output::Switch]);
}

#[test]
fn a_ping_during_the_upgrade_gets_its_time_again() {
    let (mut session, start) = opened(TransportName::Polling);
    session.handle_timeout(start + secs(25));
    assert!(session.handle_offer(start + secs(80)));
    session.handle_probe(start + secs(84), Ok(Packet::Upgrade));
    assert_eq!(session.poll_timeout(), Some(start + secs(144)));
}

proptest! {
    /// Whatever happens, and in whatever order: one close at most, and nothing
    /// after it; a switch only of a WebSocket that was offered.
    #[test]
    fn a_session_closes_once_and_switches_once(steps in proptest::collection::vec(any::<(u8, u8)>(), 0..60)) {
        let (mut session, mut now) = opened(TransportName::Polling);
        let mut seen = Vec::new();
        for (step, seconds) in steps {
            now += Duration::from_millis(u64::from(seconds) * 100);
            match step % 9 {
                0 => session.handle_packet(now, Ok(text("a"))),
                1 | 2 => session.handle_packet(now, Ok(Packet::Pong(Bytes::new()))),
                3 | 4 => session.handle_timeout(now),
                5 => drop(session.handle_offer(now).then_some(())),
                6 => session.handle_probe(now, Ok(probe())),
                7 => session.handle_probe(now, Ok(Packet::Upgrade)),
                _ if seconds < 20 => session.handle_packet(now, Err(Malformed::Type)),
                _ => session.handle_probe_closed(),
            }
            seen.extend(outputs(&mut session));
        }
        let closes = seen.iter().filter(|output| matches!(output, Output::Close(_))).count();
        let switches = seen.iter().filter(|output| **output == Output::Switch).count();
        assert!(closes <= 1 && switches <= 1, "{seen:?}");
        let after = seen.iter().skip_while(|output| !matches!(output, Output::Close(_))).skip(1);
        assert!(after.clone().all(|output| !matches!(output, Output::Send(_) | Output::Message(_))), "{seen:?}");
    }
}
