//! Cookies that clients bring back.

use std::time::{Duration, SystemTime};

use albeit_proxy::stickiness::{
    lb_cookie::{self, Decision, GroupId},
    seal::Keys,
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
