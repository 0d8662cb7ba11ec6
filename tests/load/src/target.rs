//! What is measured, as the command line gives it: the same for every scenario.

use std::{path::PathBuf, time::Duration};

use clap::ValueEnum;

use crate::{client::sources::Sources, quantity::Quantity};

/// The service or balancer under measurement.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Target {
    /// Where it is: `http`, `https`, `ws` or `wss`, with the path of the endpoint
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// What is spoken there
    #[arg(long, value_enum, default_value_t = Protocol::Plain)]
    pub(crate) protocol: Protocol,
    /// Trust the certificates of this file instead of the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Trust any certificate
    #[arg(long, conflicts_with = "ca")]
    pub(crate) insecure: bool,
    /// Connect from these local addresses in turn, with commas between them, or from those of a network;
    /// by default from 127.0.0.1 to 127.0.0.250 when the service is there
    #[arg(long, value_name = "ADDRESSES")]
    pub(crate) source_addresses: Option<Sources>,
    /// A header that every request carries
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// The longest time any single step may take
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub(crate) patience: Duration,
    /// The service runs with this time scale: what is measured is multiplied by it
    #[arg(long, value_name = "DIVISOR", default_value_t = 1.0)]
    pub(crate) time_scale: f64,
    /// Measure processor time and memory of this process and its children, on this machine
    #[arg(long)]
    pub(crate) pid: Option<u32>,
}

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Protocol {
    /// HTTP, or a WebSocket without a protocol on it.
    Plain,
    /// STOMP 1.2 on a WebSocket.
    Stomp,
    /// STOMP 1.2 on SockJS.
    SockJs,
    /// Socket.IO 5 on a WebSocket.
    SocketIo,
}

impl Protocol {
    /// As the command line has it: `plain`, `stomp`, `sock-js`, `socket-io`.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// A duration with its unit: `500ms`, `30s`, `5m`, `1h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let quantity = text.parse::<Quantity>().ok();
    let wrong = || "a duration is a number with its unit, such as 500ms, 30s, 5m or 1h".to_owned();
    quantity.and_then(|quantity| quantity.duration()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_called_as_on_the_command_line() {
        let names = Protocol::value_variants().iter().map(|protocol| protocol.name());
        assert_eq!(names.collect::<Vec<_>>(), ["plain", "stomp", "sock-js", "socket-io"]);
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["30", "30%", "-1s", "1e99h", "5 apples"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert!(duration("s").is_err());
    }
}
