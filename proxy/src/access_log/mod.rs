//! Access logs: what is written about each request, how, and where to.
//!
//! ELB page: "Access logs for your Application Load Balancer". [`record`] holds
//! the facts, [`mod@format`] makes the line (pure), [`sink`] takes lines without
//! ever holding up a request and writes them in the background.

mod file;
pub mod format;
pub mod record;
pub mod sink;

pub use self::{
    record::Record,
    sink::{Sink, SinkSettings},
};
