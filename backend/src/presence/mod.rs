//! Who is in a room, and on which instance.
//!
//! Each instance knows its own sessions and announces them: changes shortly after
//! they happen, and all of it at an interval, so that what was lost on the way is
//! made good. Announcements hold totals and no differences: to get one twice does
//! no harm. An instance that is silent for [`SILENT_INTERVALS`] is forgotten; one
//! that leaves says so.
//!
//! Nothing here reads a clock or a socket. The owner passes announcements and
//! the time in, and takes from [`Map::poll_output`] what is to be sent.

mod announcement;
mod changes;
mod map;
mod peer;
mod report;

use std::collections::BTreeMap;

pub use announcement::{Announced, Announcement, Kind, Malformed};
pub use map::{Map, Output, Settings};
pub use report::{Change, Report};

/// Intervals after which an instance that announces nothing is forgotten.
pub const SILENT_INTERVALS: u32 = 3;

/// Longest name of a user that is announced, in bytes; those with longer ones are
/// counted only.
const NAME_LIMIT: usize = 256;

/// An instance of the service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instance {
    /// What it is called; two may have one name.
    pub name: String,
    /// Names this run of it among all.
    pub id: String,
}

/// The sessions in a room, all of them or those of one instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Totals {
    sessions: u64,
    anonymous: u64,
}

/// Who of one instance is in a room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Attendance {
    /// Users with the number of their sessions.
    users: BTreeMap<String, u64>,
    totals: Totals,
}
