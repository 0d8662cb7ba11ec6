//! `albeit doctor --probe`.

use std::{io::IsTerminal as _, path::Path, time::Duration};

use anyhow::Context as _;
use clap::Args;
use futures_util::future::try_join_all;
use time::OffsetDateTime;

use super::{complain, parse_duration, parse_time_scale};
use crate::{
    doctor::{
        measured::{self, UnknownName},
        system::System,
    },
    error_chain::chain,
    probe::{self, Endpoint, Limits, Measurements, Plan, Progress, Seconds, Trust},
    time_scale::TimeScale,
};

#[derive(Debug, Args)]
pub(super) struct ProbeArgs {
    /// Measure this target or load balancer: at `http://` and `https://` keep-alive timeout, header limits,
    /// half-close and cookies, at `ws://` and `wss://` the idle cut of a WebSocket, over TLS versions and
    /// certificate. NAME says which load balancer, target group or application it is; else its port tells.
    #[arg(long, value_name = "[NAME=]URL", value_parser = Target::parse)]
    probe: Vec<Target>,
    /// What runs there divides its timers by this, as with `albeit run --time-scale`.
    #[arg(long, value_name = "DIVISOR", default_value = "1", value_parser = parse_time_scale, requires = "probe")]
    time_scale: TimeScale,
    /// How long to wait for an idle connection to be closed, before time scaling.
    #[arg(long, value_name = "DURATION", default_value = "75s", value_parser = parse_duration, requires = "probe")]
    longest_wait: Duration,
    /// When to end measuring an address, finished or not.
    #[arg(long, value_name = "DURATION", default_value = "3m", value_parser = parse_duration, requires = "probe")]
    probe_time: Duration,
    /// How many connections to open to each address at most.
    #[arg(long, value_name = "COUNT", default_value = "150", requires = "probe")]
    probe_connections: usize,
    /// The longest time between two pings of a WebSocket, before time scaling.
    #[arg(long, value_name = "DURATION", default_value = "25s", value_parser = parse_duration, requires = "probe")]
    ping_interval: Duration,
    /// The response header or JSON member that names the target; else the usual ones are looked for.
    #[arg(long, value_name = "NAME", requires = "probe")]
    told_by: Option<String>,
    /// Believe certificates of these authorities (PEM) instead of the system's.
    #[arg(long, value_name = "FILE", value_parser = authorities, requires = "probe", conflicts_with = "insecure")]
    ca: Option<Trust>,
    /// Believe every certificate, as Elastic Load Balancing does with its targets.
    #[arg(long, requires = "probe")]
    insecure: bool,
}

/// An address with the name it has in the files.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    name: Option<String>,
    endpoint: Endpoint,
}

impl Target {
    fn parse(text: &str) -> Result<Self, String> {
        // An address may have a `=` in its query: a name has no colon.
        let (name, url) = match text.split_once('=') {
            Some((name, url)) if !name.contains(':') => (Some(name.to_owned()), url),
            _ => (None, text),
        };
        url.parse()
            .map(|endpoint| Self { name, endpoint })
            .map_err(|error: probe::InvalidEndpoint| error.to_string())
    }
}

fn authorities(file: &str) -> Result<Trust, String> {
    Trust::authorities(Path::new(file)).map_err(|error| chain(&error))
}

impl ProbeArgs {
    /// Measures what is to be measured and takes it into `system`.
    ///
    /// # Errors
    ///
    /// When an address cannot be reached; inside, when nothing has the name that an address was given.
    pub(super) fn take_in(&self, system: &mut System) -> anyhow::Result<Result<(), UnknownName>> {
        if self.probe.is_empty() {
            return Ok(Ok(()));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let all = runtime.block_on(try_join_all(self.probe.iter().map(|target| self.measure(target))))?;
        for (target, found) in self.probe.iter().zip(&all) {
            if let Err(unknown) = measured::take_in(system, target.name.as_deref(), found, self.time_scale) {
                return Ok(Err(unknown));
            }
        }
        Ok(Ok(()))
    }

    async fn measure(&self, target: &Target) -> anyhow::Result<Measurements> {
        let endpoint = &target.endpoint;
        let plan = Plan {
            endpoint: endpoint.clone(),
            limits: Limits {
                total: self.probe_time,
                connections: self.probe_connections,
                longest_wait: self.longest_wait,
            },
            time_scale: self.time_scale,
            ping_interval: self.ping_interval,
            trust: match &self.ca {
                _ if self.insecure => Trust::Unverified,
                Some(authorities) => authorities.clone(),
                None => Trust::system(),
            },
            told_by: self.told_by.clone(),
        };
        let is_watched = std::io::stderr().is_terminal();
        let tell = |progress: Progress| {
            if is_watched {
                complain(&format!("{endpoint}: {}", words(progress)));
            }
        };
        probe::measure(&plan, OffsetDateTime::now_utc(), &tell).await.with_context(|| endpoint.to_string())
    }
}

fn words(progress: Progress) -> String {
    match progress {
        Progress::Started { name } => format!("{name}: begins"),
        Progress::Waiting { name, most } => format!("{name}: waits for up to {}", Seconds(most)),
        Progress::Finished { name } => format!("{name}: done"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: (Option<&str>, &str)) {
        let target = Target::parse(text).unwrap();
        assert_eq!((target.name.as_deref(), target.endpoint.to_string().as_str()), expected);
    }

    #[test]
    fn an_address_may_have_a_name_before_it() {
        check("http://a:80/", (None, "http://a:80/"));
        check("web=http://a:80/?b=c", (Some("web"), "http://a:80/?b=c"));
        check("http://a:80/?b=c", (None, "http://a:80/?b=c"));
        assert!(Target::parse("web=a").is_err());
    }
}
