//! A client's connection: what carries its bytes, what has been carried, and
//! what is known of the client. Below `listener`, which makes it, and `alb`,
//! which serves it.

pub mod connection;
pub mod meter;
pub mod stream;

pub use self::{
    connection::Connection,
    meter::{Mark, Meter},
    stream::{ClientStream, Transport},
};
