//! Sticky sessions: which target, and which target group of a weighted forward,
//! a client's cookie binds it to, and the cookies that say so.
//!
//! ELB page: "Sticky sessions for your Application Load Balancer". Pure: the
//! time and the nonces are arguments; whether the target named by a cookie is
//! still registered and healthy is the caller's knowledge.

pub mod app_cookie;
mod cookie;
pub mod lb_cookie;
pub mod seal;
pub mod source_ip;
pub mod target_group_cookie;

pub use self::cookie::{CookieValue, EXPIRES_AFTER, GroupId, VALUE_LENGTH, epoch_seconds, imf_fixdate};
