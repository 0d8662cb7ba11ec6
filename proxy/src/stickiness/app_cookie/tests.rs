use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);
const TARGET: &str = "10.0.0.7:9001";
const CHROME: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36";

fn keys() -> Keys {
    Keys::new(&[1; 32], &[])
}

fn group() -> GroupId {
    GroupId::new("websocket-tg")
}

/// 28 November 2023, 10:21:43.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_701_166_903)
}

fn value(issued_at: SystemTime) -> CookieValue {
    seal(&keys(), group(), TARGET.parse().unwrap(), issued_at, [7; NONCE_LENGTH]).unwrap()
}

fn decision(lines: &[String]) -> Decision {
    let lines = lines.iter().map(String::as_bytes);
    decide(lines, "SESSION", &keys(), (group(), DAY), now())
}

#[track_caller]
fn check(line: &str, expected: Decision) {
    assert_eq!(decision(&[line.to_owned()]), expected, "{line}");
}

#[test]
fn a_client_is_bound_exactly_when_it_sends_both_cookies() {
    let value = value(now());
    let v = value.as_str();
    let sticky = Decision::Sticky(TARGET.parse().unwrap());
    check(&format!("SESSION=abc; AWSALBAPP-0={v}"), sticky);
    check(&format!("AWSALBAPP-0={v}; AWSALBAPP-1=_remove_; a=b; SESSION="), sticky);
    check("", Decision::New(NewReason::NoCookie));
    check("SESSION=abc", Decision::New(NewReason::NoCookie));
    check("SESSION=abc; AWSALBAPP-0=_remove_; AWSALBAPP-1=_remove_", Decision::New(NewReason::NoCookie));
    check("AWSALBAPP-0=_remove_", Decision::New(NewReason::NoCookie));
    check(&format!("AWSALBAPP-0={v}"), Decision::NoApplicationCookie);
    check(&format!("session=abc; SESSIONS=x; AWSALBAPP-0={v}"), Decision::NoApplicationCookie);
    check("AWSALBAPP-0=forged", Decision::NoApplicationCookie);
}

#[test]
fn what_does_not_open_was_made_for_another_group_or_is_too_old_does_not_bind() {
    let v = value(now());
    let v = v.as_str();
    let undecodable = Decision::New(NewReason::Undecodable);
    check(&format!("SESSION=a; AWSALBAPP-0={v}="), undecodable);
    check(&format!("SESSION=a; AWSALBAPP-0={v}; AWSALBAPP-1=x"), undecodable);
    check(&format!("SESSION=a; AWSALBAPP-1={v}"), Decision::New(NewReason::NoCookie));
    let lb = lb_cookie::seal(&keys(), group(), TARGET.parse().unwrap(), now(), [7; 12]).unwrap();
    check(&format!("SESSION=a; AWSALBAPP-0={}", lb.as_str()), undecodable);
    let other = seal(&keys(), GroupId::new("chat"), TARGET.parse().unwrap(), now(), [7; 12]).unwrap();
    check(&format!("SESSION=a; AWSALBAPP-0={}", other.as_str()), Decision::New(NewReason::OtherGroup));
    let aged = |age| format!("SESSION=a; AWSALBAPP-0={}", value(now() - age).as_str());
    check(&aged(DAY), Decision::Sticky(TARGET.parse().unwrap()));
    check(&aged(DAY + Duration::from_secs(1)), Decision::New(NewReason::Expired));
}

#[test]
fn only_the_name_of_the_applications_cookie_counts() {
    let sets = |lines: &[&str]| sets_cookie(lines.iter().map(|line| line.as_bytes()), "SESSION");
    assert!(sets(&["SESSION=abc; Path=/; HttpOnly"]));
    assert!(sets(&["a=b", " SESSION="]));
    for other in ["SESSIONID=abc", "session=abc", "a=SESSION=b", "SESSION", ""] {
        assert!(!sets(&[other]), "{other}");
    }
}

#[test]
fn four_cookies_carry_the_value_or_nothing() {
    let value = value(now());
    let expires = "Expires=Tue, 05 Dec 2023 10:21:43 GMT; Path=/";
    let set = set_cookie_headers(Some(&value), ListenerProtocol::Https, None, now());
    let v = value.as_str();
    assert_eq!(set[0], format!("AWSALBAPP-0={v}; {expires}"));
    for (index, cookie) in set.iter().enumerate().skip(1) {
        assert_eq!(cookie, &format!("AWSALBAPP-{index}=_remove_; {expires}"));
    }
    for (index, cookie) in set_cookie_headers(None, ListenerProtocol::Http, None, now()).iter().enumerate() {
        assert_eq!(cookie, &format!("AWSALBAPP-{index}=_remove_; {expires}"));
    }
}

#[test]
fn chromium_from_80_on_is_told_same_site_none_over_tls() {
    let attributes = |user_agent: Option<&str>, listener| {
        let set = set_cookie_headers(None, listener, user_agent.map(str::as_bytes), now());
        let told: Vec<bool> = set
            .iter()
            .map(|cookie| cookie.to_str().unwrap().ends_with("; Path=/; SameSite=None; Secure"))
            .collect();
        assert!(told.iter().all(|one| *one == told[0]));
        told[0]
    };
    for (user_agent, expected) in [
        (CHROME, true),
        ("Chrome/80", true),
        ("Chromium/81.0", true),
        ("HeadlessChrome/99.0", true),
        ("Chrome/99999999999999999999", true),
        ("Chrome/79.9", false),
        ("Chrome/8", false),
        ("Chrome/", false),
        ("Chrome/x80", false),
        ("Mozilla/5.0 Gecko/20100101 Firefox/121.0", false),
        ("Mozilla/5.0 Version/17.0 Safari/605.1.15", false),
        ("curl/8.5.0", false),
    ] {
        assert_eq!(attributes(Some(user_agent), ListenerProtocol::Https), expected, "{user_agent}");
        assert!(!attributes(Some(user_agent), ListenerProtocol::Http), "{user_agent}");
    }
    assert!(!attributes(None, ListenerProtocol::Https));
}

proptest! {
    #[test]
    fn a_value_in_any_pieces_and_lines_binds(
        mut cuts in prop::collection::vec(0..=VALUE_LENGTH, 3),
        separate in prop::collection::vec(any::<bool>(), 4),
    ) {
        cuts.sort_unstable();
        let value = value(now());
        let v = value.as_str();
        let piece = |from, to| v.get(from..to).unwrap();
        let pieces =
            [piece(0, cuts[0]), piece(cuts[0], cuts[1]), piece(cuts[1], cuts[2]), piece(cuts[2], v.len())];
        let mut lines = vec!["SESSION=x".to_owned()];
        for ((name, piece), separate) in AWSALBAPP.iter().zip(pieces).zip(separate) {
            if separate {
                lines.push(format!("{name}={piece}"));
            } else {
                lines.last_mut().unwrap().push_str(&format!("; {name}={piece}"));
            }
        }
        prop_assert_eq!(decision(&lines), Decision::Sticky(TARGET.parse().unwrap()));
    }

    #[test]
    fn arbitrary_bytes_never_bind_and_never_panic(line: Vec<u8>, pieces: [Vec<u8>; 4], user_agent: Vec<u8>) {
        let mut cookies = b"SESSION=x".to_vec();
        for (name, piece) in AWSALBAPP.iter().zip(&pieces) {
            cookies.extend_from_slice(b"; ");
            cookies.extend_from_slice(name.as_bytes());
            cookies.push(b'=');
            cookies.extend_from_slice(piece);
        }
        for line in [line, cookies] {
            let lines = [line.as_slice()].into_iter();
            let decision = decide(lines, "SESSION", &keys(), (group(), DAY), now());
            prop_assert!(!matches!(decision, Decision::Sticky(_)));
        }
        let _ = is_chromium_with_lax_default(&user_agent);
    }
}
