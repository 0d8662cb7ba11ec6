//! A client's connection: what carries its bytes, what has been carried, and
//! what is known of the client. Below `listener`, which makes it, and `alb`,
//! which serves it.

pub mod closing;
pub mod connection;
pub mod connections;
pub mod meter;
pub mod reset;
pub mod stream;
pub mod usage;

pub use self::{
    connection::Connection,
    connections::Connections,
    meter::{Mark, Meter},
    stream::{ClientStream, Transport},
    usage::Usage,
};
