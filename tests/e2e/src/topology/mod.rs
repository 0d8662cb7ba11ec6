//! The ways from a client through load balancers to a target, side by side:
//! started as `docs/topologies.md` says, looked at by one client, and compared
//! with one table of expected facts ([`facts::EXPECTED`]).
//!
//! Both `demo-topologies` (the ports of the files) and the tests (held ports)
//! use it.

pub mod facts;
pub mod idle;
pub mod look;
pub mod ports;
pub mod stage;
pub mod table;

use anyhow::{Context as _, Result};

use self::{
    facts::{Facts, Row},
    ports::Ports,
    stage::{Directory, Stage},
};

/// How often a look at idleness is repeated: at the high time scale a busy machine misses deadlines.
const ATTEMPTS: usize = 3;

/// Starts `way` in `dir` and finds out everything about it. All its processes have ended afterwards.
///
/// # Errors
/// When something breaks. What is only not as expected is in [`Facts::surprises`].
pub async fn facts_of(way: Way, dir: &Directory, ports: impl Fn() -> Result<Ports>) -> Result<Facts> {
    let mut stage = Stage::start(way, dir, ports()?, 1).await?;
    let mut facts = look::look(&stage).await?;
    stage.stop().await?;
    look::logs(&stage, &mut facts)?;
    for attempt in 1..=ATTEMPTS {
        let mut stage = Stage::start(way, dir, ports()?, idle::TIME_SCALE).await?;
        let found = idle::silent_web_socket(&stage).await;
        stage.stop().await?;
        match found {
            Ok(found) => facts.note(Row::Silence, found),
            Err(error) if attempt == ATTEMPTS => return Err(error).context("a silent WebSocket"),
            Err(_) => continue,
        }
        if facts.surprises(way).is_empty() {
            break;
        }
    }
    Ok(facts)
}

/// A way to the targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// An application load balancer alone.
    Alb,
    /// A network load balancer that ends TLS.
    NlbTls,
    /// A network load balancer that passes TLS through.
    NlbTcp,
    /// A network load balancer in front of an application load balancer, in one process.
    NlbAlb,
    /// The same in two processes, with PROXY protocol v2 between them.
    NlbProxyAlb,
}

impl Way {
    /// Every way, in the order of the columns of [`facts::EXPECTED`].
    pub const ALL: [Self; 5] = [Self::Alb, Self::NlbTls, Self::NlbTcp, Self::NlbAlb, Self::NlbProxyAlb];

    /// Heading of its column.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Alb => "ALB",
            Self::NlbTls => "NLB, TLS",
            Self::NlbTcp => "NLB, TCP",
            Self::NlbAlb => "NLB → ALB",
            Self::NlbProxyAlb => "NLB → PROXY → ALB",
        }
    }

    /// Its files in `conf/`, the one that clients reach first.
    #[must_use]
    pub const fn files(self) -> &'static [&'static str] {
        match self {
            Self::Alb => &["topology-alb.yaml"],
            Self::NlbTls => &["topology-nlb-tls.yaml"],
            Self::NlbTcp => &["topology-nlb-tcp.yaml"],
            Self::NlbAlb => &["topology-nlb-alb.yaml"],
            Self::NlbProxyAlb => &["topology-nlb-alb-front.yaml", "topology-nlb-alb-behind.yaml"],
        }
    }

    /// Whether the targets themselves end TLS.
    #[must_use]
    pub fn targets_end_tls(self) -> bool {
        self == Self::NlbTcp
    }

    /// Its place among [`Self::ALL`].
    #[must_use]
    pub fn column(self) -> usize {
        Self::ALL.iter().position(|way| *way == self).unwrap_or_default()
    }

    /// The commands that start it, in a directory with `conf/` and `certs/`.
    #[must_use]
    pub fn commands(self) -> Vec<String> {
        let mut commands = Vec::new();
        for number in ["1", "2"] {
            let mut words = vec!["albeit-backend".to_owned()];
            words.extend(self.backend_arguments(number, &format!("900{number}")));
            commands.push(words.join(" "));
        }
        commands.extend(self.files().iter().rev().map(|file| format!("albeit run -c conf/{file}")));
        commands
    }

    /// Arguments of `albeit-backend` number `number`.
    pub(crate) fn backend_arguments(self, number: &str, port: &str) -> Vec<String> {
        let mut arguments: Vec<String> =
            ["--port", port, "--instance", &format!("backend-{number}")].map(str::to_owned).to_vec();
        if self.targets_end_tls() {
            let tls = [
                "--ssl-certificate",
                stage::TARGET_CERTIFICATE,
                "--ssl-certificate-private-key",
                stage::TARGET_KEY,
            ];
            arguments.extend(tls.map(str::to_owned));
        }
        arguments
    }
}
