//! The systems of `conf/reference/`: the files of each folder are run as they are, with two real instances behind
//! the load balancer, and held to what the folder's README promises.

mod auction;
mod chat;
mod documents;
mod keep_alive;
mod shutdown;
mod sock_js;
mod spring_stomp;
mod stomp;
mod system;
mod token;
mod values;
mod ways;
