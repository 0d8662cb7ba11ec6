//! Health of targets: what a check found, what follows from it, and when to check.
//!
//! ELB page: "Health checks for Application Load Balancer target groups".
//! [`state`] is pure; [`check`] makes one HTTP check; [`schedule`] keeps the
//! rhythm. Which targets exist and who may be chosen is decided in
//! `target_groups`.

pub mod check;
pub mod schedule;
pub mod state;

pub use self::{
    check::{Checker, HttpChecker},
    state::{Forced, Health, Outcome, Reason, State, Thresholds, Tracker},
};
