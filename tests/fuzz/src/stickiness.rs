//! Cookies that clients bring back.

use std::time::{Duration, SystemTime};

use albeit_proxy::{
    model::ListenerProtocol,
    stickiness::{
        GroupId,
        app_cookie::{self, AWSALBAPP},
        lb_cookie::{self, Decision},
        seal::Keys,
        target_group_cookie,
    },
};

/// The keys of all targets here: no input can be sealed with them but by chance.
fn keys() -> Keys {
    Keys::new(&[7; 32], &[[8; 32]])
}

/// AWSALB and AWSALBCORS.
pub(crate) fn lb_cookie(data: &[u8]) {
    let lines = data.split(|&byte| byte == b'\n');
    let group = GroupId::new("web");
    let decision = lb_cookie::decide(lines, &keys(), group, Duration::from_secs(60), SystemTime::UNIX_EPOCH);
    assert!(!matches!(decision, Decision::Sticky(_)), "a forged cookie was honoured");
}

/// AWSALBTG and AWSALBTGCORS.
pub(crate) fn target_group_cookie(data: &[u8]) {
    let lines = data.split(|&byte| byte == b'\n');
    let now = SystemTime::UNIX_EPOCH;
    let decision = target_group_cookie::decide(lines, &keys(), Duration::from_secs(60), now);
    assert!(!matches!(decision, target_group_cookie::Decision::Sticky(_)), "a forged cookie was honoured");
}

/// AWSALBAPP-0 to -3 beside a cookie of the application; and what a target and a user agent send.
pub(crate) fn app_cookie(data: &[u8]) {
    let (group, now) = (GroupId::new("web"), SystemTime::UNIX_EPOCH);
    let lines = data.split(|&byte| byte == b'\n').chain([b"SESSION=1".as_slice()]);
    let decision = app_cookie::decide(lines, "SESSION", &keys(), (group, Duration::from_secs(60)), now);
    assert!(!matches!(decision, app_cookie::Decision::Sticky(_)), "a forged cookie was honoured");
    let sets = app_cookie::sets_cookie(data.split(|&byte| byte == b'\n'), "SESSION");
    assert!(!sets || data.windows(8).any(|bytes| bytes == b"SESSION="));
    let set = app_cookie::set_cookie_headers(None, ListenerProtocol::Https, Some(data), now);
    assert!(set.iter().zip(AWSALBAPP).all(|(cookie, name)| cookie.as_bytes().starts_with(name.as_bytes())));
}
